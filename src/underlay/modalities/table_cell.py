"""What one cell of a table says: nothing, a number, a day, or a category."""

import math
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any

import numpy as np

from underlay.core import RowError

MISSING = frozenset(("", "nan", "<na>", "#n/a", "n/a", "na", "null", "none", "nat"))
"""Cells that say nothing, whatever their case: what spreadsheets and data frames write for no value."""

TRUTH = {"true": 1.0, "false": 0.0}
NUMBER, DAY, CATEGORY = "number", "date", "category"
KINDS = (NUMBER, DAY, CATEGORY)
DAY_SECONDS = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
_LONGEST_NUMBER = 400
"""Characters; a longer cell is no number, and reading it as one would cost time."""


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing.

    >>> [is_missing(value) for value in (None, float("nan"), " NA ", 0, "no")]
    [True, True, True, False, False]
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return True
    return is_scalar(value) and not isinstance(value, str) and bool(value != value)


def is_scalar(value: Any) -> bool:
    """Whether it can stand in a cell at all: a number, a truth value, a date or a string.

    >>> is_scalar(np.float32(1)), is_scalar([1])
    (True, False)
    """
    return isinstance(value, str | Real | date | np.bool_ | np.datetime64)


def number_of(value: Any) -> float | None:
    """The number in a cell, or None; truth values are 0 and 1, numbers beyond floating point are infinite.

    >>> number_of(" 1e3 "), number_of(True), number_of("2024-02-30"), number_of("1_000")
    (1000.0, 1.0, None, None)
    """
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        if "_" in text or len(text) > _LONGEST_NUMBER:
            return None
        value = text
    elif not isinstance(value, Real | np.bool_):
        return None
    try:
        found = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except ValueError:
        return None
    return None if math.isnan(found) else found


def day_of(value: Any) -> float | None:
    """Days since 1970 of a date or of an ISO string, or None; without a zone it is UTC.

    >>> day_of("1970-01-02"), day_of("1970-01-01T12:00Z"), day_of(date(1970, 1, 3)), day_of("2024-02-30")
    (1.0, 0.5, 2.0, None)
    """
    if isinstance(value, np.datetime64):
        value = None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, str):
        value = _read_iso(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        return float((value - _EPOCH.date()).days)
    if not isinstance(value, datetime) or value != value:
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (aware - _EPOCH).total_seconds() / DAY_SECONDS


def _read_iso(text: str) -> date | None:
    if not _ISO.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


def written_day(day: float) -> str:
    """The ISO string of a number of days since 1970, to the second.

    >>> written_day(1.0), written_day(0.5)
    ('1970-01-02', '1970-01-01T12:00:00')
    """
    last = (datetime.max.replace(tzinfo=UTC) - _EPOCH).days - 1
    first = (datetime.min.replace(tzinfo=UTC) - _EPOCH).days + 1
    moment = _EPOCH + timedelta(seconds=round(min(max(day, first), last) * DAY_SECONDS))
    whole = moment.hour == moment.minute == moment.second == 0
    return moment.date().isoformat() if whole else moment.replace(tzinfo=None).isoformat()


def category_of(value: Any) -> str:
    """The name of the category a cell names: composed, without outer space; numbers as people write them.

    >>> category_of(" red "), category_of(2.0), category_of(True)
    ('red', '2', 'True')
    """
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.strip())
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(float(value))
    return str(value)


def read_number(value: Any, kind: str) -> float:
    """The number or the days of a cell that is not missing.

    Raises:
        RowError: It holds neither.
    """
    require_scalar(value)
    found = day_of(value) if kind == DAY else number_of(value)
    if found is None:
        wanted = "an ISO date (2024-05-31)" if kind == DAY else "a number"
        raise RowError(
            f"{wanted} is needed; found {value!r:.60}", "correct the cell, or leave it empty", code=f"not_{kind}"
        )
    return found


def require_scalar(value: Any) -> None:
    """Refuse what cannot stand in a cell.

    Raises:
        RowError: A list, a mapping, bytes or the like.
    """
    if not is_scalar(value):
        raise RowError(
            f"a cell holds a number, a date or a category; found {value!r:.60} ({type(value).__name__})",
            "give one scalar value",
            code="not_scalar",
        )
