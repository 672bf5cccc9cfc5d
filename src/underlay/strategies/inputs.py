"""What is said of the inputs on test rows: how long they are, what they look like, what each of them contributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from underlay.bundle import Answers, Bundle
from underlay.core import Modality, PicturedModality, Target, stream
from underlay.evaluate import Examination, contributions
from underlay.strategies.prepared import Prepared

MOST_ROWS = 2_000
"""Rows answered once more for each input: an interval of two points either way at 80 %."""

LOOKED_AT = 50
"""Values after which a modality that cuts every value into as many parts is known to."""


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
    answers: Answers,
    data: Prepared,
    *,
    seed: int,
) -> list[Examination]:
    """The examinations with what each of several inputs contributes; of one input as they are.

    Args:
        examined: Of the test rows.
        bundle: What answers.
        columns: Raw values of the test rows.
        answers: With all inputs.
        data: Knows the truth.
        seed: Of sampling and intervals.
    """
    if len(columns) < 2:
        return list(examined)
    rows = np.arange(len(answers))
    if len(rows) > MOST_ROWS:
        rows = np.sort(stream(seed, "contributions").choice(rows, MOST_ROWS, replace=False))
    chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
    without = {name: _answer_without(bundle, chosen, name) for name in columns}
    return [
        replace(
            one,
            contributions=contributions(
                target,
                scores_of(target, answers)[rows],
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
