"""Which of the columns that nobody named hold one number or category a row: what `--table '*'` takes."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pyarrow as pa

from underlay.core import UsageError
from underlay.data.profile import Profile, is_key, sampled
from underlay.data.table import Table, label_strings
from underlay.data.targets import MISSING, number

EVERY = "*"
"""In place of a column's name: all the others that can be read so."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}\S*)?")
_MOSTLY = 0.9
_SHOWN = 12


def take_remaining(
    table: Table, columns: Mapping[str, str], free: Mapping[str, Profile]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Input columns with `*` replaced by the free columns that hold numbers or categories, and a note that says so.

    Args:
        table: The data.
        columns: Name or `*` -> modality.
        free: Columns without a role.

    Raises:
        UsageError: No free column can be taken.

    >>> table = Table(pa.table({"id": [4, 5, 6], "size": [1.5, 2.0, 3.5], "same": [1, 1, 1]}))
    >>> take_remaining(table, {"*": "table"}, {name: Profile(False, None, False) for name in table.columns})[0]
    {'size': 'table'}
    """
    if EVERY not in columns:
        return dict(columns), ()
    reasons = {name: why_not(table, name, found) for name, found in free.items()}
    taken = [name for name, reason in reasons.items() if not reason]
    left = [f"{name!r} ({reason})" for name, reason in reasons.items() if reason]
    if not taken and len(columns) == 1:
        raise UsageError(
            f"no column of {table.name} is left for '*': {_listed(left) or 'all have a role'}", "name the columns"
        )
    found = {name: modality for name, modality in columns.items() if name != EVERY}
    found |= dict.fromkeys(taken, columns[EVERY])
    said = f"'*' takes {len(taken)} columns: {_listed([repr(name) for name in taken]) or 'none'}"
    return found, (f"{said}; it leaves {_listed(left)}" if left else said,)


def why_not(table: Table, name: str, found: Profile) -> str:
    """Why a column is no number or category to learn from; empty where it is one."""
    kind = table.column(name).type
    if found.empty:
        return "empty"
    if found.modality is not None:
        return f"reads like {found.modality}"
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "no single values"
    if is_key(name):
        return "a key"
    cells = [cell for cell in label_strings(sampled(table.column(name))).to_pylist() if cell and cell not in MISSING]
    distinct = len(set(cells))
    if distinct == 1:
        return "one value only"
    numbers = [value for cell in cells if (value := number(cell)) is not None]
    if len(numbers) >= _MOSTLY * len(cells):
        return "row numbers" if _counts_rows(numbers, len(cells)) else ""
    if pa.types.is_temporal(kind) or sum(bool(_DATE.fullmatch(cell.strip())) for cell in cells) >= _MOSTLY * len(cells):
        return ""
    return "" if distinct <= max(2, len(cells) // 2) else "hardly a value repeats"


def _counts_rows(numbers: Sequence[float], cells: int) -> bool:
    """Whether they count up by one from row to row, as an index does."""
    return (
        len(numbers) == cells > 2
        and numbers[0].is_integer()
        and all(after - before == 1 for before, after in pairwise(numbers))
    )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
