"""What happens next: rows of events -> histories, with what follows each event; the last ones are asked and not taught.

Each row is split within itself. Of what happened to one user the last event is asked in the test, the one before it in
validation, and the rest teaches: at every position of it, what follows is a label. The history shown in the test holds
the event that validation asks for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from underlay.core import DataError, FollowedModality, RecipeError, RowProblem, Target, attempt, ragged, stream
from underlay.data import Splits, Table
from underlay.modalities import MODALITIES
from underlay.strategies.recipe import Recipe

STRATEGY = "leave-last-out"

UNASKED, COLD = -100, -1
"""What stands for the answer of a row that is not asked, and for an item that training has not seen."""

FEWEST = 2
"""Events that must be left to teach from; a row with fewer of them is asked nothing."""

PIECE = 200
"""Most events of a row that teaches, where the recipe says nothing: longer ones are taught in pieces."""

Reading = tuple[list[Any], list[str | None]]
"""Of one row: its events, each of which is a value's piece, and their items."""


def piece_of(recipe: Recipe) -> int:
    """Most events of a row that teaches: as asked, or as many as a model of the asked length reads.

    >>> piece_of(Recipe())
    200
    """
    asked, length = recipe.data.split.piece, recipe.model.max_length
    if asked is not None:
        return asked
    return PIECE if length == "auto" else length


@dataclass(frozen=True)
class Followed:
    """Rows that ask what happens next.

    Args:
        table: A row for each history.
        target: Its labels are the items that training has seen.
        values: What follows each event of a row, as label indices, -100 where nothing is asked; an array a row.
        asked: The label index that the row as a whole asks for: -1 of an item training has not seen, -100 of training.
        splits: The parts.
        sources: Which row of the data each history was cut from.
        problems: Rows of the data that cannot be read, and why.
        short: Rows of the data that have too few events to be asked anything.
        reader: What read the events, fitted on those that teach.
    """

    table: Table
    target: Target
    values: np.ndarray
    asked: np.ndarray
    splits: Splits
    sources: np.ndarray
    problems: Mapping[int, RowProblem]
    short: int
    reader: FollowedModality

    @property
    def cold(self) -> float:
        """Share of the test rows whose answer training has not seen."""
        asked = self.asked[self.splits.test]
        return float((asked == COLD).mean()) if len(asked) else 0.0


@dataclass(frozen=True)
class _History:
    """A row to be: events `begin` to `end` of row `source`, of which each one up to `taught` is followed by a label."""

    source: int
    begin: int
    end: int
    taught: int
    part: str


def target_name(column: str) -> str:
    """How the answer is called.

    >>> target_name("item")
    'next item'
    """
    return f"next {column}"


def reader_of(modality: str, options: Mapping[str, Any]) -> Any:
    """An unfitted modality that reads events.

    Raises:
        RecipeError: It reads none.
    """
    kind = MODALITIES[modality]
    if not hasattr(kind, "unfolded"):
        raise RecipeError(
            [f"data.task is next-item, and {modality} is not read as things that happen one after another"]
        )
    return kind.create(assets={}, limit=None, options=options)


def leave_last_out(
    table: Table,
    column: str,
    modality: str,
    *,
    options: Mapping[str, Any],
    validation: bool = True,
    test: bool = True,
    piece: int = PIECE,
    seed: int = 0,
) -> Followed:
    """Cut every row of events into a history that teaches and histories that ask.

    Args:
        table: A row for each user.
        column: Its events.
        modality: How they are read.
        options: Of the modality; they decide which items are labels.
        validation: Ask for the event before the last one (or for the last one, where the test has rows of its own).
        test: Ask for the last event.
        piece: Most events of one row that teaches.
        seed: Of what the modality draws while it learns.

    Raises:
        DataError: More than half of the rows cannot be read, or no row is long enough to be asked.
    """
    reader = reader_of(modality, options)
    readings, problems = _read(table, column, reader)
    held = [part for part, wanted in (("validation", validation), ("test", test)) if wanted]
    histories = [one for row, (events, _) in readings.items() for one in _histories(row, len(events), held, piece)]
    short = sum(len(events) < FEWEST + len(held) for events, _ in readings.values())
    if not any(one.part != "train" for one in histories) and held:
        raise DataError(
            f"{table.name}: no row has {FEWEST + len(held)} events, so nothing is left to measure on",
            "gather the events of one user into one row: --group USER --time TIME, or data.events in a recipe",
            code="too_short",
        )
    taught = [one for one in histories if one.part == "train"]
    if not taught:
        raise DataError(f"{table.name}: no row teaches what follows an event", "add rows", code="too_few_rows")
    fitted = reader.fit([readings[one.source][0][one.begin : one.end] for one in taught], stream(seed, "labels"))
    target = Target(target_name(column), "next-item", fitted.items)
    labels = {name: at for at, name in enumerate(fitted.items)}
    values, asked = zip(*(_labels(one, readings[one.source][1], labels) for one in histories), strict=True)
    sources = np.array([one.source for one in histories], dtype=np.int64)
    parts = {part: _rows(histories, part) for part in ("train", "validation", "test")}
    return Followed(
        _with_histories(table, column, histories, readings),
        target,
        ragged(values),
        np.array(asked, dtype=np.int64),
        Splits(parts["train"], parts["validation"], parts["test"], strategy=STRATEGY),
        sources,
        problems,
        short,
        fitted,
    )


def ask_last(table: Table, column: str, modality: FollowedModality, target: Target) -> tuple[Table, np.ndarray]:
    """A table of histories without their last event, and which label that is, int64 `[N]`.

    Rows that cannot be read, or have fewer than two events, stay as they are and ask nothing (-100).

    Args:
        table: A row for each user.
        column: Its events.
        modality: Fitted.
        target: With its labels.
    """
    readings, _ = _read(table, column, modality)
    labels = {name: at for at, name in enumerate(target.labels)}
    asked = np.full(len(table), UNASKED, np.int64)
    cells = table.values(column)
    for row, (events, names) in readings.items():
        last = names[-1] if len(events) > 1 else None
        if last is not None:
            cells[row], asked[row] = events[:-1], labels.get(last, COLD)
    return _with_cells(table, column, cells), asked


def _read(table: Table, column: str, reader: FollowedModality) -> tuple[dict[int, Reading], dict[int, RowProblem]]:
    readings: dict[int, Reading] = {}
    problems: dict[int, RowProblem] = {}
    for row, cell in enumerate(table.values(column)):
        found = attempt(lambda value: (reader.unfolded(value), reader.named(value)), cell)
        if isinstance(found, RowProblem):
            problems[row] = found
        else:
            readings[row] = found
    if len(problems) * 2 > len(table):
        row, problem = next(iter(problems.items()))
        raise DataError(
            f"{len(problems):,} of {len(table):,} rows cannot be read, the first is {table.place(row)}: "
            f"{problem.message}",
            "is this the right column?",
            code="no_input",
        )
    return readings, problems


def _histories(row: int, count: int, held: Sequence[str], piece: int) -> Iterator[_History]:
    """The histories of a row of `count` events."""
    asked = list(held) if count >= FEWEST + len(held) else []
    taught = count - len(asked)
    for end in range(taught, 0, -piece):
        begin = max(0, end - piece)
        if min(end, taught - 1) > begin:  # a single event that nothing follows teaches nothing
            yield _History(row, begin, end, taught, "train")
    for number, part in enumerate(asked):
        yield _History(row, 0, taught + number, taught + number + 1, part)


def _labels(one: _History, names: Sequence[str | None], labels: Mapping[str, int]) -> tuple[np.ndarray, int]:
    """What follows each event of a history, and what the whole of it asks for."""
    found = np.full(one.end - one.begin, UNASKED, np.int64)
    if one.part != "train":
        answer = labels.get(names[one.end] or "", COLD)
        found[-1] = answer if answer >= 0 else UNASKED
        return found, answer
    for place in range(one.begin, min(one.end, one.taught - 1)):
        found[place - one.begin] = labels.get(names[place + 1] or "", UNASKED)
    return found, UNASKED


def _rows(histories: Sequence[_History], part: str) -> np.ndarray:
    return np.array([at for at, one in enumerate(histories) if one.part == part], dtype=np.int64)


def _with_histories(table: Table, column: str, histories: Sequence[_History], readings: Mapping[int, Reading]) -> Table:
    cells = [readings[one.source][0][one.begin : one.end] for one in histories]
    return _with_cells(table.take([one.source for one in histories]), column, cells)


def _with_cells(table: Table, column: str, cells: Sequence[Any]) -> Table:
    """Lists of names where all events are names, else JSON, which holds whatever is known of an event."""
    plain = all(isinstance(cell, list) and all(isinstance(one, str) for one in cell) for cell in cells)
    written = pa.array(
        cells if plain else [cell if isinstance(cell, str) else _json(cell) for cell in cells],
        pa.list_(pa.string()) if plain else pa.string(),
    )
    return replace(table, arrow=table.arrow.set_column(table.columns.index(column), column, written))


def _json(cell: Any) -> str | None:
    return None if cell is None else json.dumps(cell, ensure_ascii=False, default=str)
