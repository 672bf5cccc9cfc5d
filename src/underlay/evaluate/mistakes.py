"""The rows where the model was sure and wrong: first place to look for bad labels and blind spots."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import RowError, Target, listed
from underlay.evaluate.measure import Scores, decide, known_rows
from underlay.evaluate.ranked import Ranked
from underlay.evaluate.tags import told

LONGEST = 600
"""Characters of a row kept: a report shows it, it does not archive it."""

SHORTEST = 60
"""Characters of each value kept at least, however many inputs a row has."""

PICTURED = 120
"""Characters kept of a value that is shown as a picture too: enough for a file's name."""

LARGEST_PICTURE = 64 << 10
"""Characters of a picture's address; twenty of them are then no more than a megabyte and a quarter."""

ADDRESS = re.compile(r"data:image/(png|jpeg|svg\+xml);base64,[A-Za-z0-9+/]*={0,2}")

Thumbnail = Callable[[Any], str]
"""A raw value -> its picture as a `data:` address; `RowError` where it cannot be used."""


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
        pictures: By input that can be shown: a `data:` address of at most 64 KiB.

    Raises:
        ValueError: A picture is something else.
    """

    row: int
    place: str
    value: str
    truth: str
    prediction: str
    confidence: float
    pictures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, address in self.pictures.items():
            if len(address) > LARGEST_PICTURE or not ADDRESS.fullmatch(address):
                raise ValueError(f"the picture of {name!r} is {address[:40]!r}, no data: address of a small picture")


def confident_mistakes(
    target: Target,
    scores: Scores,
    truth: np.ndarray,
    *,
    values: Mapping[str, Sequence[Any]],
    places: Callable[[int], str] | None = None,
    threshold: float | Sequence[float] | None = None,
    thumbnails: Mapping[str, Thumbnail] | None = None,
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
        thumbnails: By input whose values can be shown.
        limit: At most so many.
    """
    if not (target.by_unit or isinstance(scores, Ranked)):
        scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    predictions = decide(target, scores, threshold=threshold)
    sureness = np.where(known_rows(target, truth), _sureness(target, scores, truth, predictions), -1.0)
    order = np.argsort(-sureness, kind="stable")[:limit]
    found = []
    for row in (int(one) for one in order if sureness[one] > 0):
        cells = {name: cells[row] for name, cells in values.items()}
        shown = pictures(cells, thumbnails or {})
        words = _words(cells, len(truth[row])) if target.by_unit else ()
        found.append(
            Mistake(
                row=row,
                place=places(row) if places else "",
                value=row_text(cells, pictured=set(shown)),
                truth=named(target, truth[row], words),
                prediction=named(target, predictions[row], words),
                confidence=float(sureness[row]),
                pictures=shown,
            )
        )
    return tuple(found)


def pictures(cells: Mapping[str, Any], thumbnails: Mapping[str, Thumbnail]) -> dict[str, str]:
    """The pictures of a row's values, by input; what cannot be shown, or not within bounds, is left out."""
    found = {}
    for name, value in cells.items():
        if name not in thumbnails:
            continue
        try:
            address = thumbnails[name](value)
        except RowError:
            continue
        if len(address) <= LARGEST_PICTURE:
            found[name] = address
    return found


def _sureness(target: Target, scores: Scores, truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """How sure the wrong answer was; 0 where it was right."""
    if isinstance(scores, Ranked):
        return np.asarray(scores.sureness * (predictions != truth))
    if target.task == "regression":
        return np.asarray(np.nan_to_num(np.abs(predictions - truth)))
    if target.by_unit:
        rows = zip(scores, truth, predictions, strict=True)
        return np.array([_surest_unit(row, known, said) for row, known, said in rows])
    if target.task == "multilabel":
        said = np.where(predictions == 1, scores, 1 - scores)
        return np.asarray((said * (predictions != truth)).max(1))
    said = np.take_along_axis(scores, predictions[:, None], axis=1)[:, 0]
    return np.asarray(said * (predictions != truth))


def _surest_unit(scores: np.ndarray, truth: np.ndarray, said: np.ndarray) -> float:
    """The probability of the surest wrong label of a row's units."""
    wrong = (said != truth) & (truth >= 0) & np.isfinite(scores).all(-1)
    return float(scores[wrong].max(-1).max(initial=0.0)) if wrong.any() else 0.0


def _words(cells: Mapping[str, Any], units: int) -> Sequence[str]:
    """The names of a row's units, where its only value lists as many."""
    items = listed(next(iter(cells.values()))) if len(cells) == 1 else None
    return items if items is not None and len(items) == units and all(isinstance(one, str) for one in items) else ()


def named(target: Target, answer: Any, words: Sequence[str] = ()) -> str:
    """An answer as a person reads it: a label, several joined by commas, a number, spans with their words.

    >>> named(Target("t", "multilabel", ("a", "b", "c")), np.array([1, 0, 1]))
    'a, c'
    """
    if target.task == "regression":
        return f"{float(answer):,.4g}"
    if target.by_unit:
        return told(target, answer, words)
    if target.task == "multilabel":
        return ", ".join(label for label, on in zip(target.labels, answer, strict=True) if on == 1) or "(none)"
    return target.labels[int(answer)] if answer >= 0 else "(never seen in training)"


def row_text(values: Mapping[str, Any], *, pictured: Collection[str] = ()) -> str:
    """The raw values of a row as text of bounded length: the only one as it is, of several each behind its name.

    Args:
        values: By input.
        pictured: Inputs that are shown as pictures too, of which less is told.

    >>> row_text({"text": "fine"}), row_text({"text": "fine", "price": 3.5, "shop": None})
    ('fine', 'text: fine\\nprice: 3.5\\nshop: (missing)')
    """
    room = LONGEST if len(values) == 1 else max(LONGEST // max(len(values), 1), SHORTEST)
    texts = {name: as_text(value, min(room, PICTURED) if name in pictured else room) for name, value in values.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {t}" for name, t in texts.items())


def as_text(value: Any, longest: int = LONGEST) -> str:
    """A raw value as text of bounded length.

    >>> as_text(b"RIFF"), as_text({"bytes": b"RIFF", "path": "a.wav"})
    ('4 bytes', 'bytes: 4 bytes, path: a.wav')
    """
    if value is None:
        return "(missing)"
    if isinstance(value, bytes):
        text = f"{len(value):,} bytes"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name}: {as_text(inner, longest)}" for name, inner in value.items())
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        text = " ".join(value)
    else:
        text = str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
