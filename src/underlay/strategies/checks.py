"""The data checks of a run: what `data` finds, told, kept for the report, and in strict mode obeyed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from underlay.core import InspectingModality, Modality, RowProblem
from underlay.data import Inspection, check, suspects
from underlay.evaluate import CheckLine
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.train import EncodedRows

COMPARED_ROWS = 200_000
"""Beyond these, comparing every row with every other costs more time than the training of a small model."""


@dataclass(frozen=True)
class Checked:
    """What the checks found.

    Args:
        lines: For the report.
        leaked: Test rows (positions among them) whose input training has seen, exactly or nearly.
    """

    lines: tuple[CheckLine, ...] = ()
    leaked: np.ndarray | None = None


def check_data(
    data: Prepared, modalities: Mapping[str, Modality], rows: EncodedRows, recipe: Recipe, *, say: Say
) -> Checked:
    """Compare and count the rows, tell what was found, stop where it cannot go on.

    Args:
        data: Read and split.
        modalities: Fitted, by column.
        rows: Encoded training rows; their lengths say what was cut.
        recipe: `data.strict` and `data.suspects` are read.
        say: Told the findings.

    Raises:
        DataError: A finding that stops the run.
    """
    if any(target.ranked for target in data.schema.targets):
        say.note("data checks: rows that ask hold the rows that teach, so they are not compared")
        return Checked()
    comparable = len(data.table) <= COMPARED_ROWS
    found = check(
        data.table,
        data.schema,
        test=data.test_table,
        splits=data.splits if data.test_table is None else None,
        fingerprint={name: modality.fingerprint for name, modality in modalities.items()} if comparable else None,
        lengths=_lengths(rows),
        limit=_limit(modalities),
        read=np.all([store.lengths > 0 for store in rows.columns.values()], axis=0),
        inspected={name: _inspection(modality, rows.columns[name].problems) for name, modality in modalities.items()},
    )
    findings = list(found.findings)
    if recipe.data.suspects and len(data.schema.columns) == 1:
        first = modalities[data.schema.columns[0].name]
        findings += suspects(data.table, data.schema, classical=first.classical(), seed=recipe.seed)[1]
    lines = tuple(CheckLine(one.code, one.severity, one.message, one.count, one.rows) for one in findings)
    if not comparable:
        say.note(f"duplicates were not looked for: more than {COMPARED_ROWS:,} rows")
    if lines:
        shown = [(line.severity, line.count, line.message, line.rows[0] if line.rows else "") for line in lines]
        say.table("data checks", ("", "rows", "what", "first"), shown)
    else:
        say.note("data checks: nothing found")
    found.raise_if(recipe.data.strict)
    return Checked(lines, found.leaked)


def _inspection(modality: Modality, problems: Mapping[int, RowProblem]) -> Inspection:
    """What this modality says of its column."""
    sizes = str(modality.facts().get("sizes", ""))
    if isinstance(modality, InspectingModality):
        return Inspection(problems, modality.oddities, modality.odd, sizes)
    return Inspection(problems, sizes=sizes)


def _lengths(rows: EncodedRows) -> np.ndarray | None:
    """Positions each row of the table takes; only for a single column, whose limit is one number."""
    stores = list(rows.columns.values())
    return stores[0].lengths if len(stores) == 1 else None


def _limit(modalities: Mapping[str, Modality]) -> int | None:
    longest = [modality.facts().get("max_length") for modality in modalities.values()]
    return int(longest[0]) if len(longest) == 1 and longest[0] is not None else None
