"""What is said of test rows, and of their inputs: how long they are, what they look like, what each contributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from underlay.bundle import Answers, Bundle
from underlay.core import Modality, PicturedModality, RowProblem, Target, stream
from underlay.evaluate import Examination, Ranked, blocks, contributions
from underlay.strategies.prepared import Prepared

MOST_ROWS = 2_000
"""Rows answered once more for each input: an interval of two points either way at 80 %."""

LOOKED_AT = 50
"""Values after which a modality that cuts every value into as many parts is known to."""


@dataclass(frozen=True)
class Said:
    """What a bundle says of rows whose truth is known.

    Args:
        scores: By target, as `evaluate` measures them.
        logits: By target; none of numbers and of rankings.
        problems: By row number.
    """

    scores: Mapping[str, Any]
    logits: Mapping[str, np.ndarray]
    problems: Mapping[int, RowProblem]


def said_of(
    bundle: Bundle,
    columns: Mapping[str, Sequence[Any]],
    truths: Mapping[str, np.ndarray],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Said:
    """Ask a bundle; of rankings a block of rows at a time, of each of which no more is kept than is measured.

    Args:
        bundle: What answers.
        columns: Raw values.
        truths: By target.
        progress: Called with (rows answered, of all).
    """
    ranked = [target for target in bundle.schema.targets if target.ranked]
    if not ranked:
        answers = bundle.answer(columns, progress=progress)
        return Said(
            {target.name: scores_of(target, answers) for target in bundle.schema.targets},
            {t.name: answers.logits[t.name] for t in bundle.schema.targets if t.task != "regression"},
            answers.problems,
        )
    (target,) = ranked  # what follows is the only thing that is asked
    truth, count = truths[target.name], len(next(iter(columns.values())))
    parts, problems = [], dict[int, RowProblem]()
    for rows in blocks(count, len(target.labels)):
        answers = bundle.answer({name: values[rows] for name, values in columns.items()})
        parts.append(Ranked.of(np.nan_to_num(scores_of(target, answers)), truth[rows]))
        problems |= {rows.start + row: problem for row, problem in answers.problems.items()}
        progress(rows.stop, count)
    return Said({target.name: Ranked.joined(parts)}, {}, problems)


def lengths(modalities: Mapping[str, Modality], columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """How many parts each value has, by a name for people; of inputs whose values differ in that.

    Args:
        modalities: By column.
        columns: Raw values.
    """
    found: dict[str, list[Any]] = {}
    for name, values in columns.items():
        count = [len(modalities[name].parts(value)) for value in values[:LOOKED_AT]]
        if len(set(count) - {0}) > 1:
            count += [len(modalities[name].parts(value)) for value in values[LOOKED_AT:]]
            found["length" if len(columns) == 1 else f"length of {name}"] = count
    return found


def thumbnails(modalities: Mapping[str, Modality]) -> dict[str, Callable[[Any], str]]:
    """What shows a value small, by column whose values can be shown."""
    return {name: one.thumbnail for name, one in modalities.items() if isinstance(one, PicturedModality)}


def with_contributions(
    examined: Sequence[Examination],
    bundle: Bundle,
    columns: Mapping[str, Sequence[Any]],
    said: Said,
    data: Prepared,
    *,
    seed: int,
) -> list[Examination]:
    """The examinations with what each of several inputs contributes; of one input as they are.

    Args:
        examined: Of the test rows.
        bundle: What answers.
        columns: Raw values of the test rows.
        said: With all inputs.
        data: Knows the truth.
        seed: Of sampling and intervals.
    """
    if len(columns) < 2:
        return list(examined)
    rows = np.arange(len(next(iter(columns.values()))))
    if len(rows) > MOST_ROWS:
        rows = np.sort(stream(seed, "contributions").choice(rows, MOST_ROWS, replace=False))
    chosen = {name: [values[int(row)] for row in rows] for name, values in columns.items()}
    without = {name: _answer_without(bundle, chosen, name) for name in columns}
    return [
        replace(
            one,
            contributions=contributions(
                target,
                said.scores[target.name][rows],
                data.truth("test", target.name)[rows],
                without={name: scores_of(target, other) for name, other in without.items()},
                threshold=list(bundle.rules[target.name].thresholds) or None,
                seed=seed,
            ),
        )
        for one, target in zip(examined, bundle.schema.targets, strict=True)
    ]


def _answer_without(bundle: Bundle, columns: Mapping[str, Sequence[Any]], name: str) -> Answers:
    modality = bundle.modalities[name]
    neutral = [modality.without(value, modality.parts(value)) for value in columns[name]]
    return bundle.answer({**columns, name: neutral})


def scores_of(target: Target, answers: Answers) -> np.ndarray:
    """What `evaluate` measures: probabilities `[N, K]`, or numbers `[N]`."""
    scores = answers.probabilities[target.name]
    return scores[:, 0] if target.task == "regression" else scores
