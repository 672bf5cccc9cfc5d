"""What one column looks like, from a bounded number of its rows."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from underlay.data.media import column_medium, is_bytes, medium_of_path
from underlay.data.table import Table, label_strings, taken
from underlay.data.targets import MISSING

INPUT_NAMES = {
    "text": frozenset(
        """text texts sentence review content body comment message tweet document utterance query question title
        description 文本 内容 评论 句子 标题 正文""".split()  # noqa: SIM905
    ),
    "image": frozenset(("image", "picture", "photo", "图片")),
    "audio": frozenset(("audio", "recording", "sound", "音频")),
    "series": frozenset(("series", "signal", "序列")),
}
"""What input columns are called, by modality."""

_LIST = re.compile(r"\s*\[(?:[\d\s.,eE+\-\[\]]|null|NaN|nan)*\]\s*")
"""A list of numbers, or of lists of them, as JSON in a cell."""

_LISTS = 200  # cells looked at: a column of lists is one from top to bottom
_ROWS = 20_000
_LABELS = 500  # above that a column is not taken for labels unless it is named
_ID_NAMES = frozenset(("id", "index", "idx", "uuid", "guid", "key", "编号", "序号"))


@dataclass(frozen=True)
class Profile:
    """What a column could be.

    Args:
        empty: No cell holds anything.
        modality: `text`, `image`, `audio` or `series` where it could be an input, else None.
        label_like: It could be a target.
        strings: It holds strings and is no key; text, where nothing else could be.
    """

    empty: bool
    modality: str | None
    label_like: bool
    strings: bool = False


def profile(table: Table, name: str) -> Profile:
    """Look at up to 20 000 rows spread over the column."""
    if (medium := column_medium(table.column(name))) is not None:
        return Profile(empty=False, modality=medium, label_like=False)
    column = sampled(table.column(name))
    if _is_series(column.type):
        return Profile(empty=False, modality="series", label_like=False)
    if pa.types.is_nested(column.type) or is_bytes(column.type):
        labels = pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type)
        return Profile(empty=False, modality=None, label_like=labels and not is_key(name))
    cells = [cell for cell in label_strings(column).to_pylist() if cell is not None and cell.strip() not in MISSING]
    if not cells:
        return Profile(empty=True, modality=None, label_like=False)
    distinct = len(set(cells))
    strings = _is_text(column.type) and not is_key(name)
    medium = _medium(name, cells) if strings else None
    repeats = 1 < distinct <= max(2, len(cells) // 2) and distinct <= _LABELS
    return Profile(False, medium, repeats and medium != "text" and not is_key(name), strings)


def sampled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """At most 20 000 rows spread over a column."""
    if len(column) <= _ROWS:
        return column
    rows = np.linspace(0, len(column) - 1, _ROWS).astype(np.int64)
    return taken(column, rows)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_series(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        names = {kind.field(at).name: kind.field(at).type for at in range(kind.num_fields)}
        return set(names) == {"time", "value"} and _is_series(names["value"])
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return True
    return False


def is_key(name: str) -> bool:
    """Whether a column of this name identifies rows.

    >>> [is_key(name) for name in ("id", "customer_id", "width")]
    [True, True, False]
    """
    lowered = name.strip().lower()
    return lowered in _ID_NAMES or lowered.endswith(("_id", " id", "_key")) or not lowered


def _medium(name: str, cells: list[str]) -> str | None:
    media = {medium_of_path(cell) for cell in cells}
    if len(media) == 1 and None not in media:
        return media.pop()
    if all(_LIST.fullmatch(cell) for cell in cells[:_LISTS]):
        return "series"
    named = name.strip().lower() in INPUT_NAMES["text"]
    return "text" if named or _reads_like_text(cells) else None


def _reads_like_text(cells: list[str]) -> bool:
    """Words with spaces between them, or long runs of Chinese, Japanese, Korean; and mostly different cells."""
    words = np.mean([len(cell.split()) + sum(ideographic(sign) for sign in cell[:50]) / 2 for cell in cells])
    numbers = np.mean([cell.replace(".", "", 1).lstrip("+-").isdigit() for cell in cells])
    return bool(words >= 2.5 and numbers < 0.5 and len(set(cells)) > len(cells) / 10)


def ideographic(sign: str) -> bool:
    """Whether a character belongs to a script written without spaces between words.

    >>> [ideographic(sign) for sign in "a好"]
    [False, True]
    """
    return "\u3040" <= sign <= "\u9fff" or "\uac00" <= sign <= "\ud7a3" or sign >= "\U00020000"
