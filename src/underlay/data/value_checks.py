"""What a modality says of the values of a column: which cannot be read, which hold nothing, and how large they are."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import RowProblem, rows_within
from underlay.data.cell_checks import empty_cells
from underlay.data.findings import Finding, several
from underlay.data.table import Table

LOOKED_AT = 20_000
"""Rows whose values are looked into: decoding them once more takes a minute or two, and more rows say little else."""

_SHOWN = 20
"""Files that cannot be read are named one by one, up to here."""

_BLOCK, _BLOCK_BYTES = 512, 32 << 20


@dataclass(frozen=True)
class Inspection:
    """What a modality knows of one column.

    Args:
        problems: Row -> why its value cannot be read.
        oddities: Code -> what is said of such cells (`in which nothing can be heard`).
        odd: Raw value -> codes that hold for it; None where the modality has no opinion.
        sizes: How large the values are, as a clause; empty where it does not say.
    """

    problems: Mapping[int, RowProblem] = field(default_factory=dict)
    oddities: Mapping[str, str] = field(default_factory=dict)
    odd: Callable[[Any], tuple[str, ...]] | None = None
    sizes: str = ""


def value_findings(table: Table, name: str, found: Inspection) -> list[Finding]:
    """Findings on one column; cells without anything in them are others' business.

    Args:
        table: The data.
        name: The column.
        found: What its modality knows.
    """
    return [*_unreadable(table, name, found.problems), *_odd(table, name, found), *_sizes(table, name, found)]


def _unreadable(table: Table, name: str, problems: Mapping[int, RowProblem]) -> Iterator[Finding]:
    """One finding for each reason, the commonest first."""
    empty = empty_cells(table.column(name))
    rows: dict[str, list[int]] = defaultdict(list)
    for row, problem in sorted(problems.items()):
        if not empty[row]:
            rows[problem.code].append(row)
    for code, these in sorted(rows.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        message = f"{several(len(these), 'cell')} of {name!r} cannot be read, set aside: {problems[these[0]].message}"
        yield Finding(code, "warning", len(these), message, _places(table, these))


def _odd(table: Table, name: str, found: Inspection) -> Iterator[Finding]:
    if found.odd is None:
        return
    rows: dict[str, list[int]] = {code: [] for code in found.oddities}
    for row, value in _values(table, name):
        for code in () if row in found.problems else found.odd(value):
            rows[code].append(row)
    among = f", among the first {LOOKED_AT:,} rows" if len(table) > LOOKED_AT else ""
    for code, these in rows.items():
        if these:
            message = f"{several(len(these), 'cell')} of {name!r} {found.oddities[code]}{among}"
            yield Finding(code, "warning", len(these), message, _places(table, these))


def _sizes(table: Table, name: str, found: Inspection) -> Iterator[Finding]:
    if found.sizes:
        yield Finding("sizes", "info", len(table) - len(found.problems), f"{name!r}: {found.sizes}")


def _values(table: Table, name: str) -> Iterator[tuple[int, Any]]:
    """Rows with their raw values, few of them in memory at a time."""
    column, count = table.column(name), min(len(table), LOOKED_AT)
    step = rows_within(_BLOCK_BYTES, rows=len(column), taken=column.nbytes, most=_BLOCK)
    for start in range(0, count, step):
        block = np.arange(start, min(start + step, count))
        yield from zip(block.tolist(), table.values(name, block), strict=True)


def _places(table: Table, rows: list[int]) -> tuple[str, ...]:
    return tuple(table.place(row) for row in rows[:_SHOWN])
