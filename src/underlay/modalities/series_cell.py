"""One cell of a series column -> numbers `[T, C]`, NaN where a value is missing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from underlay.core import RowError

MOST_VALUES = 1_000_000
"""Values of one cell over all channels: an hour of six sensors at 40 Hz; more is a file, not a cell."""

MOST_CHANNELS = 1_000

MOST_CHARACTERS = 32 * MOST_VALUES
"""Of a cell written as JSON: a double takes at most 25 characters and a comma."""

TIMED = ("time", "value")
"""Keys of the form for uneven sampling."""

BLANK = "blank"
"""Key of the neutral series: `{"blank": 150}` has 150 positions and nothing in them."""

MISSING_WORDS = ("nan", "none", "null", "na")


def read_cell(value: Any, *, ragged: str = "refuse") -> np.ndarray:
    """Read one raw value, float64 `[T, C]`, NaN where a value is missing.

    Args:
        value: A list of numbers or of channels, an array `[T]` or `[C, T]`, `{"time": [...], "value": [...]}`, or any
            of these as JSON in a string.
        ragged: What happens to channels of several lengths: `refuse`, or `resample` to the longest.

    Raises:
        RowError: It is none of these; the code says what it is.

    >>> read_cell("[1, null, 3]").T.tolist()
    [[1.0, nan, 3.0]]
    >>> read_cell([[1, 2], [3, 4], [5, 6]]).shape
    (2, 3)
    """
    if isinstance(value, str):
        value = _parsed(value)
    if value is None or isinstance(value, float | np.floating):
        if value is None or value != value:
            raise RowError("the series is missing", "give a list of numbers", code="missing_series")
        _refuse(value)
    numbers = _timed(value, ragged) if isinstance(value, Mapping) else _channels(value, ragged)
    if np.isinf(numbers).any():
        place = np.argwhere(np.isinf(numbers))[0]
        raise RowError(
            f"the series holds an infinite value (position {place[0]}, channel {place[1]})",
            "write null where a value is missing",
            code="infinite",
        )
    if np.isnan(numbers).all() and not is_blank(value):
        raise RowError(
            f"all {numbers.size} values of the series are missing", "give at least one number", code="all_missing"
        )
    return numbers


def is_blank(value: Any) -> bool:
    """Whether it is the neutral series."""
    return isinstance(value, Mapping) and set(value) == {BLANK}


def even_grid(numbers: np.ndarray, positions: int) -> np.ndarray:
    """The same span `[T, C]` on `positions` even steps, linearly between neighbours.

    A new value is missing where the nearest old one is.

    >>> even_grid(np.array([[0.0], [1.0], [2.0]]), 5).T.tolist()
    [[0.0, 0.5, 1.0, 1.5, 2.0]]
    """
    length = len(numbers)
    if length == positions:
        return numbers
    return interpolated(np.arange(length), numbers, np.linspace(0, length - 1, positions))


def interpolated(times: np.ndarray, numbers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Values `[N, C]` at the `asked` times, linear between observed ones; missing where the nearest sample is."""
    nearest = np.clip(np.searchsorted((times[1:] + times[:-1]) / 2, asked), 0, len(times) - 1)
    found = np.full((len(asked), numbers.shape[1]), np.nan)
    for channel, column in enumerate(numbers.T):
        seen = ~np.isnan(column)
        if not seen.any():
            continue
        drawn = np.interp(asked, times[seen], column[seen])
        found[:, channel] = np.where(seen[nearest], drawn, np.nan)
    return found


def _parsed(text: str) -> Any:
    if len(text) > MOST_CHARACTERS:
        _too_long(f"{len(text):,} characters")
    if not text.strip():
        raise RowError("the series is empty", "write its numbers as a JSON list: [0.1, 0.2, null]", code="empty_series")
    if text.strip().lower() in MISSING_WORDS:
        raise RowError("the series is missing", "give a list of numbers", code="missing_series")
    try:
        # NaN and Infinity are Python's, not JSON's; a NaN is a missing value, an infinity is refused later.
        found = json.loads(text)
    except RecursionError:
        _refuse_depth()
    except ValueError as error:
        raise RowError(
            f"a series is needed; found the text {text!r:.60} ({error})",
            "write its numbers as a JSON list: [0.1, 0.2, null]",
            code="not_series",
        ) from None
    if found is None:
        raise RowError("the series is missing", "give a list of numbers", code="missing_series")
    if not isinstance(found, list | dict):
        _refuse(found)
    return found


def _channels(value: Any, ragged: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return _of_array(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        _refuse(value)
    if not len(value):
        _refuse_empty()
    nested = [isinstance(one, Sequence | np.ndarray) and not isinstance(one, str | bytes) for one in value]
    if not any(nested):
        return _numbers(value).reshape(-1, 1)
    if not all(nested):
        if all(isinstance(one, Sequence | np.ndarray) or one is None for one in value):
            raise RowError("a whole channel of the series is missing", "give it as a list of nulls", code="no_channel")
        raise RowError(
            "the series mixes numbers and lists", "give a list of numbers, or a list of channels", code="mixed_series"
        )
    if len(value) > MOST_CHANNELS:
        _too_long(f"{len(value):,} channels; is each moment written as a list? Channels come first")
    return _joined([_numbers(channel) for channel in value], ragged)


def _joined(channels: Sequence[np.ndarray], ragged: str) -> np.ndarray:
    """Channels side by side, `[T, C]`."""
    lengths = [len(channel) for channel in channels]
    if not min(lengths):
        _refuse_empty()
    if sum(lengths) > MOST_VALUES:
        _too_long(f"{sum(lengths):,} values")
    if len(set(lengths)) > 1 and ragged != "resample":
        raise RowError(
            f"the channels of the series have {min(lengths):,} to {max(lengths):,} values",
            "give all of them alike, or set model.read.series.ragged=resample where they cover the same time",
            code="ragged_channels",
        )
    longest = max(lengths)
    return np.hstack([even_grid(channel.reshape(-1, 1), longest) for channel in channels])


def _of_array(array: np.ndarray) -> np.ndarray:
    if array.dtype == object:
        return _channels(array.tolist(), "refuse")
    if array.dtype.kind == "c":
        _refuse_complex()
    if array.dtype.kind == "b":
        _refuse_boolean()
    if array.dtype.kind not in "iuf":
        raise RowError(f"the series is an array of {array.dtype}", "give numbers", code="text_in_series")
    if array.ndim == 0:
        _refuse(array.item())
    if array.ndim > 2:
        _refuse_depth()
    if not array.size:
        _refuse_empty()
    if array.size > MOST_VALUES:
        _too_long(f"{array.size:,} values")
    if array.ndim == 2 and len(array) > MOST_CHANNELS:
        _too_long(f"{len(array):,} channels; an array is [channels, time]")
    return array.astype(np.float64).reshape(1, -1).T if array.ndim == 1 else array.astype(np.float64).T


def _numbers(values: Any) -> np.ndarray:
    """One channel, float64 `[T]`."""
    if isinstance(values, np.ndarray):
        flat = _of_array(values)
        if flat.shape[1] != 1 and values.ndim > 1:
            _refuse_depth()
        return flat[:, 0]
    if len(values) > MOST_VALUES:
        _too_long(f"{len(values):,} values")
    for place, one in enumerate(values):
        if type(one) is float or type(one) is int or one is None:
            continue
        _require_number(one, place)
    try:
        return np.array([np.nan if one is None else one for one in values], dtype=np.float64)
    except OverflowError:
        raise RowError(
            "the series holds a number beyond 1e308", "write numbers a double can hold", code="infinite"
        ) from None


def _require_number(one: Any, place: int) -> None:
    if isinstance(one, bool | np.bool_):
        _refuse_boolean()
    if isinstance(one, complex | np.complexfloating):
        _refuse_complex()
    if isinstance(one, str):
        raise RowError(
            f"the series holds the text {one!r:.40} (position {place})",
            "write numbers without quotes, null where a value is missing",
            code="text_in_series",
        )
    if isinstance(one, Sequence | np.ndarray):
        _refuse_depth()
    if isinstance(one, Mapping):
        raise RowError(
            f"the series holds an object (position {place})", "give lists of numbers", code="object_in_series"
        )
    if not isinstance(one, int | float | np.integer | np.floating):
        raise RowError(
            f"the series holds {one!r:.40} ({type(one).__name__}, position {place})", "give numbers", code="not_number"
        )


def _timed(value: Mapping[str, Any], ragged: str) -> np.ndarray:
    """Samples with their times -> an even grid of as many steps over the same span."""
    if set(value) == {BLANK} and type(value[BLANK]) is int and 1 <= value[BLANK] <= MOST_VALUES:
        return np.full((value[BLANK], 1), np.nan)
    if set(value) != set(TIMED):
        raise RowError(
            f"the series is an object with the keys {sorted(map(str, value))[:6]}",
            "it needs exactly 'time' and 'value'",
            code="series_keys",
        )
    if value["time"] is None or value["value"] is None:
        raise RowError("the series is missing", "give a list of times and one of values", code="missing_series")
    numbers = read_cell(value["value"] if not isinstance(value["value"], Mapping) else [], ragged=ragged)
    if isinstance(value["time"], str) or not isinstance(value["time"], Iterable):
        raise RowError("the times of the series are no list", "give a list of numbers", code="series_times")
    times = _numbers(value["time"] if isinstance(value["time"], np.ndarray) else list(value["time"]))
    if len(times) != len(numbers):
        raise RowError(
            f"the series has {len(times):,} times and {len(numbers):,} values", "give one for each", code="series_times"
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise RowError(
            "the times of the series do not rise", "sort the samples by time, each once", code="series_times"
        )
    if len(times) == 1 or np.ptp(np.diff(times)) <= 1e-9 * (times[-1] - times[0]):
        return numbers
    return interpolated(times, numbers, np.linspace(times[0], times[-1], len(times)))


def _refuse(value: Any) -> NoReturn:
    if isinstance(value, bool | np.bool_):
        _refuse_boolean()
    if isinstance(value, complex | np.complexfloating):
        _refuse_complex()
    raise RowError(
        f"a series is needed; found {value!r:.60} ({type(value).__name__})", "give a list of numbers", code="not_series"
    )


def _refuse_empty() -> NoReturn:
    raise RowError("the series is empty", "give at least one number", code="empty_series")


def _refuse_boolean() -> NoReturn:
    raise RowError("the series holds true or false", "write 1 and 0 if they are numbers", code="boolean_in_series")


def _refuse_complex() -> NoReturn:
    raise RowError(
        "the series holds complex numbers", "give real and imaginary part as two channels", code="complex_in_series"
    )


def _refuse_depth() -> NoReturn:
    raise RowError(
        "the series is nested too deep", "give a list of numbers, or a list of channels", code="nested_series"
    )


def _too_long(found: str) -> NoReturn:
    raise RowError(
        f"the series has {found}; at most {MOST_VALUES:,} values and {MOST_CHANNELS:,} channels are read",
        "resample it before, or cut it into several rows",
        code="series_too_long",
    )
