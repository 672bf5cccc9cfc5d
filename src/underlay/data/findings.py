"""What checks report."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from underlay.core import DataError

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing a person should know about the data.

    Args:
        code: snake_case, stable.
        severity: `error` stops, `warning` stops with `--strict`, `info` never does.
        count: How many rows (or labels, cells) it concerns.
        message: What was found and what to do.
        rows: The first five places.
    """

    code: str
    severity: Severity
    count: int
    message: str
    rows: tuple[str, ...] = ()

    def line(self) -> str:
        """The message with the first places.

        >>> Finding("empty_input", "warning", 2, "2 rows are empty", ("a.csv, line 3", "a.csv, line 9")).line()
        '2 rows are empty [a.csv, line 3, 9]'
        """
        if not self.rows:
            return self.message
        more = ", …" if self.count > len(self.rows) else ""
        where = re.match(r".*?, (line|row) ", self.rows[0])
        shared = where.group() if where and all(row.startswith(where.group()) for row in self.rows) else ""
        return f"{self.message} [{shared}{', '.join(row[len(shared) :] for row in self.rows)}{more}]"


@dataclass(frozen=True)
class Checks:
    """All findings of one data set.

    Args:
        findings: Errors first, then warnings.
        usable: Rows with an input and a target, bool `[N]`; the others are set aside.
        leaked: Rows of the test part (positions in it) that training has seen, exactly or nearly, int64.
        duplicate_of: The first row equal to each row, int64 `[N]`; itself where it is the first.
    """

    findings: tuple[Finding, ...]
    usable: np.ndarray = field(repr=False)
    leaked: np.ndarray = field(repr=False)
    duplicate_of: np.ndarray = field(repr=False)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, code: str) -> Finding | None:
        return next((finding for finding in self.findings if finding.code == code), None)

    def raise_if(self, strict: bool = False) -> None:
        """Refuse the data for an error, and with `strict` for a warning.

        Raises:
            DataError: All of them at once.
        """
        stopping = ("error", "warning") if strict else ("error",)
        found = [finding for finding in self.findings if finding.severity in stopping]
        if found:
            do = "correct the data, or run without --strict" if found[-1].severity == "warning" else "correct the data"
            raise DataError("; ".join(finding.line() for finding in found), do, code=found[0].code)


def several(count: int, noun: str) -> str:
    """A count with its noun.

    >>> several(1, "row"), several(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
