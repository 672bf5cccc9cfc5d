"""What is measured of answers that are one label a unit: spans found, tags right."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from underlay.core import OUTSIDE, DataError, Target, are_span_tags, find_spans, joined, ragged, span_kinds
from underlay.evaluate.calibration import BINS, bin_columns, ece_of_sums
from underlay.evaluate.classification import SMALLEST, macro_f1, micro_f1
from underlay.evaluate.confusion import LabelFigures
from underlay.evaluate.interval import Statistic, wilson

UNLABELLED = -100


@dataclass(frozen=True)
class Units:
    """The units of all rows that have a label and an answer, one under the other.

    Args:
        scores: Probabilities, `[P, K]`.
        truth: Label indices, `[P]`.
        predictions: What was said, `[P]`.
        row: The row of each, `[P]`.
    """

    scores: np.ndarray
    truth: np.ndarray
    predictions: np.ndarray
    row: np.ndarray


def check_tags(target: Target, scores: np.ndarray, truth: np.ndarray) -> None:
    """Refuse scores and truth that do not fit one another, row by row.

    Raises:
        DataError: Another number of rows, units or labels.
    """
    shapes = [(row.shape, (len(known), len(target.labels))) for row, known in zip(scores, truth, strict=False)]
    if len(scores) != len(truth) or any(found != wanted for found, wanted in shapes):
        wrong = next((pair for pair in shapes if pair[0] != pair[1]), ((len(scores),), (len(truth),)))
        raise DataError(
            f"target {target.name!r} (tagging) has scores {wrong[0]} where the truth asks for {wrong[1]}",
            "give one line of scores a unit",
        )


def decide_tags(target: Target, scores: np.ndarray) -> np.ndarray:
    """The likeliest label of each unit, an array a row; a unit without an answer lies outside, or has -100."""
    cut = target.labels.index(OUTSIDE) if OUTSIDE in target.labels else UNLABELLED
    return ragged(
        np.where(np.isfinite(row).all(-1), np.nan_to_num(row).argmax(-1), cut).astype(np.int64) for row in scores
    )


def by_unit(scores: np.ndarray, truth: np.ndarray, predictions: np.ndarray) -> Units:
    """Lay the units that have a label and an answer one under the other."""
    rows = np.repeat(np.arange(len(truth)), [len(row) for row in truth])
    flat, known, said = joined(scores), joined(truth).astype(np.int64), joined(predictions).astype(np.int64)
    kept = (known >= 0) & np.isfinite(flat).all(-1)
    return Units(flat[kept], known[kept], said[kept], rows[kept])


def tag_statistics(target: Target, scores: np.ndarray, truth: np.ndarray) -> dict[str, Statistic]:
    """Statistics of a tagging target, each over rows.

    Where the labels are tags of spans: `precision`, `recall`, `f1` over spans, right where both ends and the kind are,
    and `macro_f1` over kinds, as the CoNLL evaluation counts them; else `macro_f1` over tags. Besides `token_accuracy`
    (share of labelled units), `exact_match` (share of rows without a mistake), and of the units that were answered
    `log_loss` and `ece`.

    Args:
        target: Its labels.
        scores: An array a row, `[U, K]`; NaN where a unit was cut: it is taken to lie outside.
        truth: An array a row, label indices `[U]`, -100 where a unit has none.
    """
    predictions = decide_tags(target, scores)
    labelled = [row >= 0 for row in truth]
    right = [(said == row) & known for said, row, known in zip(predictions, truth, labelled, strict=True)]
    sums = np.array([(hit.sum(), known.sum()) for hit, known in zip(right, labelled, strict=True)], np.float64)
    whole = (sums[:, 0] == sums[:, 1]).astype(np.float64)
    counts = _counts(target, predictions, truth)
    found = {}
    if are_span_tags(target.labels):
        found = {
            "f1": Statistic(counts, micro_f1),
            "precision": Statistic(counts, lambda sums: _share(sums, of=2)),
            "recall": Statistic(counts, lambda sums: _share(sums, of=1)),
        }
    return {
        **found,
        "token_accuracy": Statistic(sums, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1)),
        "macro_f1": Statistic(counts, _macro),
        "exact_match": Statistic(whole[:, None], lambda sums: sums[:, 0] / len(truth), proportion=True),
        **_of_units(by_unit(scores, truth, predictions), len(truth)),
    }


def _macro(sums: np.ndarray) -> np.ndarray:
    """The mean over kinds that occur; 0 where none does."""
    none = sums.sum(1) == 0
    return np.asarray(np.where(none, 0.0, macro_f1(np.where(none[:, None], 1.0, sums))))


def _share(sums: np.ndarray, *, of: int) -> np.ndarray:
    """Right ones of those that are true (1) or were said (2); 0 of none."""
    parts = [part.sum(1) for part in np.split(sums, 3, axis=1)]
    return np.asarray(parts[0] / np.maximum(parts[of], 1))


def _of_units(units: Units, rows: int) -> dict[str, Statistic]:
    own = np.clip(units.scores[np.arange(len(units.truth)), units.truth], SMALLEST, None)
    losses = np.zeros((rows, 2))
    np.add.at(losses, units.row, np.stack([-np.log(own), np.ones(len(own))], axis=1))
    confidence = units.scores[np.arange(len(units.truth)), units.predictions]
    bins = np.zeros((rows, 2 * BINS))
    np.add.at(bins, units.row, bin_columns(confidence, units.predictions == units.truth))
    return {
        "log_loss": Statistic(losses, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1), bounds=(0.0, np.inf)),
        "ece": Statistic(bins, ece_of_sums, biased=True),
    }


class _Row(NamedTuple):
    right: Counter[str]
    true: Counter[str]
    said: Counter[str]


def _counts(target: Target, predictions: np.ndarray, truth: np.ndarray) -> sparse.csr_array:
    """Columns whose sums are, by kind of span (or by tag): found rightly, true, said."""
    kinds = kinds_of(target)
    place = {kind: at for at, kind in enumerate(kinds)}
    where, columns, values = [], [], []
    for number, (said, known) in enumerate(zip(predictions, truth, strict=True)):
        for block, counted in enumerate(_row(target, said, known)):
            where += [number] * len(counted)
            columns += [place[kind] + block * len(kinds) for kind in counted]
            values += list(counted.values())
    shape = (len(truth), 3 * len(kinds))
    return sparse.csr_array((np.array(values, np.float64), (where, columns)), shape=shape)


def kinds_of(target: Target) -> tuple[str, ...]:
    """What the figures of a tagging target are about: kinds of spans, or the tags where they mark none."""
    return span_kinds(target.labels) if are_span_tags(target.labels) else target.labels


def _row(target: Target, said: np.ndarray, known: np.ndarray) -> _Row:
    """What is right, true and said in one row, by kind; units without a label are in nothing."""
    names = target.labels
    truth = [names[at] if at >= 0 else None for at in known]
    answer = [names[at] if at >= 0 and there is not None else None for at, there in zip(said, truth, strict=True)]
    if not are_span_tags(names):
        pairs = zip(truth, answer, strict=True)
        right = Counter(one for one, other in pairs if one == other and one is not None)
        return _Row(right, Counter(filter(None, truth)), Counter(filter(None, answer)))
    true, found = set(find_spans(truth)), set(find_spans(answer))
    return _Row(*(Counter(span.kind for span in spans) for spans in (true & found, true, found)))


def span_figures(target: Target, scores: np.ndarray, truth: np.ndarray) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of each kind of span, or of each tag where they mark none, in the target's order."""
    sums = np.asarray(_counts(target, decide_tags(target, scores), truth).sum(axis=0)).ravel()
    return tuple(
        LabelFigures(
            label=kind or "span",
            count=int(true),
            predicted=int(said),
            precision=wilson(float(hit / said), int(said)) if said else None,
            recall=wilson(float(hit / true), int(true)) if true else None,
            f1=float(2 * hit / (true + said)) if true else None,
        )
        for kind, hit, true, said in zip(kinds_of(target), *np.split(sums, 3), strict=True)
    )


def counted_kinds(target: Target, truth: Sequence[np.ndarray] | np.ndarray) -> dict[str, int]:
    """How many spans (or units) of each kind the rows hold."""
    found: Counter[str] = Counter()
    for row in truth:
        found.update(_row(target, row, row).true)
    return {kind or "span": found[kind] for kind in kinds_of(target)}


def told(target: Target, answer: np.ndarray, words: Sequence[str]) -> str:
    """The spans of a row as a person reads them, `place: New York; name: Ada`; the tags where they mark none.

    Args:
        target: Its labels.
        answer: Label indices, `[U]`.
        words: Of the row; as many as it has units, or none where they are not known.
    """
    tags = [target.labels[at] if at >= 0 else None for at in answer]
    if not are_span_tags(target.labels):
        return " ".join(tag or "?" for tag in tags)
    spans = [
        f"{span.kind or 'span'}: "
        + (" ".join(words[span.start : span.stop]) if words else f"{span.start + 1} to {span.stop}")
        for span in find_spans(tags)
    ]
    return "; ".join(spans) or "(none)"
