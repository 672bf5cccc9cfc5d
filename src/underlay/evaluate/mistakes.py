"""The rows where the model was sure and wrong: first place to look for bad labels and blind spots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.core import Target
from underlay.evaluate.measure import decide, known_rows

LONGEST = 600
"""Characters of a row kept: a report shows it, it does not archive it."""

SHORTEST = 60
"""Characters of each value kept at least, however many inputs a row has."""


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Args:
        row: Its position among the rows measured.
        place: Where a person finds it ("reviews.csv, line 17"); empty when not known.
        value: The raw value as text, cut to 600 characters; of several inputs each on a line behind its name.
        truth: What it is.
        prediction: What was said.
        confidence: Of what was said, 0 to 1; for regression the size of the error.
    """

    row: int
    place: str
    value: str
    truth: str
    prediction: str
    confidence: float


def confident_mistakes(
    target: Target,
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    values: Mapping[str, Sequence[Any]],
    places: Callable[[int], str] | None = None,
    threshold: float | Sequence[float] | None = None,
    limit: int = 20,
) -> tuple[Mistake, ...]:
    """The wrong answers of highest confidence (regression: of largest error), surest first.

    Args:
        target: What was predicted.
        scores: As `measure`.
        truth: As `measure`.
        values: The raw value of each row, by input.
        places: Row -> where a person finds it.
        threshold: As `measure`.
        limit: At most so many.
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    predictions = decide(target, scores, threshold=threshold)
    sureness = np.where(known_rows(target, truth), _sureness(target, scores, truth, predictions), -1.0)
    order = np.argsort(-sureness, kind="stable")[:limit]
    return tuple(
        Mistake(
            row=int(row),
            place=places(int(row)) if places else "",
            value=row_text({name: cells[int(row)] for name, cells in values.items()}),
            truth=named(target, truth[row]),
            prediction=named(target, predictions[row]),
            confidence=float(sureness[row]),
        )
        for row in order
        if sureness[row] > 0
    )


def _sureness(target: Target, scores: np.ndarray, truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """How sure the wrong answer was; 0 where it was right."""
    if target.task == "regression":
        return np.asarray(np.nan_to_num(np.abs(predictions - truth)))
    if target.task == "multilabel":
        said = np.where(predictions == 1, scores, 1 - scores)
        return np.asarray((said * (predictions != truth)).max(1))
    said = np.take_along_axis(scores, predictions[:, None], axis=1)[:, 0]
    return np.asarray(said * (predictions != truth))


def named(target: Target, answer: Any) -> str:
    """An answer as a person reads it: a label, several joined by commas, a number.

    >>> named(Target("t", "multilabel", ("a", "b", "c")), np.array([1, 0, 1]))
    'a, c'
    """
    if target.task == "regression":
        return f"{float(answer):,.4g}"
    if target.task == "multilabel":
        return ", ".join(label for label, on in zip(target.labels, answer, strict=True) if on == 1) or "(none)"
    return target.labels[int(answer)]


def row_text(values: Mapping[str, Any]) -> str:
    """The raw values of a row as text of bounded length: the only one as it is, of several each behind its name.

    >>> row_text({"text": "fine"}), row_text({"text": "fine", "price": 3.5, "shop": None})
    ('fine', 'text: fine\\nprice: 3.5\\nshop: (missing)')
    """
    if len(values) == 1:
        return as_text(next(iter(values.values())))
    room = max(LONGEST // max(len(values), 1), SHORTEST)
    return "\n".join(f"{name}: {as_text(value, room)}" for name, value in values.items())


def as_text(value: Any, longest: int = LONGEST) -> str:
    """A raw value as text of bounded length.

    >>> as_text(b"RIFF")
    '4 bytes'
    """
    if value is None:
        return "(missing)"
    text = f"{len(value):,} bytes" if isinstance(value, bytes) else value if isinstance(value, str) else str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
