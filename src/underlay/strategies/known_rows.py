"""Rows that a changed model is adjusted on, and others, with their answers, on which it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from underlay.bundle import Bundle
from underlay.core import MissingColumn, stream
from underlay.data import Table, gathered_as, open_table
from underlay.strategies.evaluation import truths_of
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.read_again import Sources, read_again

SEEN = 1_024
"""Rows to adjust on at most: ranges of activations change no more beyond them."""

HELD = 2_000
"""Rows to measure on at most: an interval of a point either way."""


@dataclass(frozen=True)
class KnownRows:
    """Two parts of a data set that share no row.

    Args:
        seen: Raw values by column, to adjust on.
        held: Raw values by column, to measure on.
        truths: Of `held`, by target; None where the data has no answers.
        own: Whether it is what the bundle was trained on: then `seen` was trained on, `held` is of its validation rows,
            and no test row is in either.
    """

    seen: Mapping[str, list[Any]]
    held: Mapping[str, list[Any]]
    truths: Mapping[str, np.ndarray] | None
    own: bool


def known_rows(bundle: Bundle, source: Any) -> KnownRows:
    """Both parts of `source`.

    The data that the bundle was trained on is split as it was then. Other data is cut in two halves by draw.

    Args:
        bundle: Knows how its data was read.
        source: As `fine_tune` reads it.

    Raises:
        MissingColumn: A column that the bundle reads is not there.
    """
    digests = bundle.provenance.get("data", {})
    with TemporaryDirectory(prefix="underlay-") as cache:
        opened = open_table(source, cache=Path(cache))
        if opened.digest == digests.get("training"):
            return _own(bundle, read_again(bundle, Sources(source), cache=Path(cache), say=Say(None)))
        return _other(bundle, gathered_as(opened, bundle.provenance.get("recipe", {})))


def _own(bundle: Bundle, data: Prepared) -> KnownRows:
    names = [column.name for column in bundle.schema.columns]
    rng = stream(0, "known rows")
    seen, held = (_drawn(np.arange(len(rows)), most, rng) for rows, most in (
        (data.splits.train, SEEN), (data.splits.validation, HELD)
    ))  # fmt: skip
    return KnownRows(
        {name: _at(data.values("train", name), seen) for name in names},
        {name: _at(data.values("validation", name), held) for name in names},
        {target.name: data.truth("validation", target.name)[held] for target in bundle.schema.targets},
        own=True,
    )


def _other(bundle: Bundle, table: Table) -> KnownRows:
    for column in bundle.schema.columns:
        if column.name not in table.columns:
            raise MissingColumn("this bundle", column.name, table.columns)
    table = table.with_files(bundle.file_columns)
    labelled = all(target.ranked or target.name in table.columns for target in bundle.schema.targets)
    table, truths = truths_of(bundle, table) if labelled else (table, None)
    rng = stream(0, "known rows")
    order = rng.permutation(len(table))
    seen, held = np.sort(order[: len(order) // 2][:SEEN]), np.sort(order[len(order) // 2 :][:HELD])
    columns = {column.name: table.values(column.name) for column in bundle.schema.columns}
    return KnownRows(
        {name: _at(values, seen) for name, values in columns.items()},
        {name: _at(values, held) for name, values in columns.items()},
        None if truths is None else {name: values[held] for name, values in truths.items()},
        own=False,
    )


def _drawn(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.permutation(rows)[:most])


def _at(values: Sequence[Any], rows: np.ndarray) -> list[Any]:
    return [values[row] for row in rows]
