"""From a data file to rows a loop can draw from: read, infer, set aside, split, fit the modalities, encode."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from underlay.core import Column, DataError, Modality, RecipeError, Schema, Target, joined, ragged, stream
from underlay.data import (
    ColumnRows,
    EventLog,
    Gathering,
    Splits,
    Table,
    TargetValues,
    encode_targets,
    find_wide,
    gather,
    gather_events,
    gathered_items,
    infer_schema,
    log_of,
    open_table,
    split,
)
from underlay.modalities import MODALITIES
from underlay.objectives import balanced_weights
from underlay.strategies.assembly import Assembly, require_units
from underlay.strategies.listening import Say
from underlay.strategies.next_item import UNASKED, ask_last, leave_last_out, piece_of, target_name
from underlay.strategies.pairs import options_of, pair_of, shared_lengths
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.unit_counts import unequal_rows
from underlay.train import EncodedRows, encode_store

VALIDATED_SCORES = 1 << 26
"""Scores of validation rows over all items that are held while a run is judged: 256 MiB."""

FEWEST_VALIDATED = 500
"""Rows that tell epochs apart, however many items there are: a hit rate of a tenth to within three points."""

SCALE_FLOOR = 1e-12
"""A regression target that never varies is divided by 1 instead."""


def read(source: Any, recipe: Recipe, *, test: Any = None, cache: Path, say: Say) -> Prepared:
    """Read, infer the schema, encode the targets and split.

    Raises:
        DataError: More than half of the rows have no usable target, or a part of the split is empty.
    """
    data = recipe.data
    names = (data.target,) if isinstance(data.target, str) else tuple(data.target or ())
    table = _opened(source, recipe, names, cache)
    if (followed := followed_column(table, recipe, names)) is not None:
        return _read_followed(table, *followed, recipe, test=test, cache=cache, say=say)
    group, time = _roles(table, recipe)
    inferred = infer_schema(
        table,
        targets=names,
        columns=data.columns or gathered_items(table) or None,
        task=data.task,
        group=group,
        time=time,
        weight=data.weight,
        extra=data.extra,
    )
    schema = inferred.schema
    table = _with_files(table, schema)
    for note in (*table.notes, *inferred.notes):
        say.note(note)
    encoded = {target.name: encode_targets(table, target) for target in schema.targets}
    usable = ~np.any([values.missing for values in encoded.values()], axis=0)
    _require_most(table, usable, "target")
    test_table = (
        _with_files(_opened(test, recipe, tuple(t.name for t in schema.targets), cache), schema)
        if test is not None
        else None
    )
    test_encoded = {t.name: encode_targets(test_table, t) for t in schema.targets} if test_table else encoded
    splits = _split(table, schema, encoded, np.flatnonzero(usable), recipe, has_test=test_table is not None)
    if test_table is not None:
        answered = ~np.any([values.missing for values in test_encoded.values()], axis=0)
        splits = replace(splits, test=np.flatnonzero(answered))
    for note in splits.notes:
        say.note(note)
    return Prepared(
        table,
        test_table,
        schema,
        {name: values.values for name, values in encoded.items()},
        {name: values.values for name, values in test_encoded.items()},
        splits,
        {"no usable target": int((~usable).sum())} if not usable.all() else {},
        {t.name: _scale(encoded[t.name].values[splits.train]) for t in schema.targets if t.task == "regression"},
    )


def followed_column(table: Table, recipe: Recipe, targets: Sequence[str]) -> tuple[str, str] | None:
    """The column of which the run asks what happens next, and its modality; None where it asks something else.

    That is so where the recipe says `next-item`, and where no target is named and the only input is things that happen.

    Raises:
        RecipeError: It is asked for, and there is no such column, or several, or another target is named.
    """
    columns = recipe.data.columns or gathered_items(table)
    able = {name: kind for name, kind in columns.items() if name in table.columns and happens(kind)}
    if recipe.data.task != "next-item":
        return next(iter(able.items())) if not targets and len(columns) == len(able) == 1 else None
    if len(columns) != 1 or len(able) != 1:
        raise RecipeError([f"next-item reads one column of events; the columns are {dict(columns)}: --events COLUMN"])
    (column, kind) = next(iter(able.items()))
    if tuple(targets) not in ((), (target_name(column),)):
        raise RecipeError([f"next-item predicts from {column!r} itself; drop the target {targets[0]!r}"])
    return column, kind


def happens(modality: str) -> bool:
    """Whether values of this modality are things that happen one after another."""
    return modality in MODALITIES and hasattr(MODALITIES[modality], "unfolded")


def _read_followed(
    table: Table, column: str, modality: str, recipe: Recipe, *, test: Any, cache: Path, say: Say
) -> Prepared:
    """A data set that asks what happens next in `column`."""
    wanted = recipe.data.split
    found = leave_last_out(
        table,
        column,
        modality,
        options=recipe.model.read.get(modality, {}),
        validation=wanted.validation > 0,
        test=test is None and wanted.test > 0,
        piece=piece_of(recipe),
        seed=recipe.seed,
    )
    if not len(found.splits.validation):
        raise RecipeError(["data.split.validation is 0; next-item needs it to choose the best epoch"])
    test_table, asked, values = None, found.asked, found.values
    target = found.target
    if test is not None:
        whole = _opened(test, recipe, (), cache)
        test_table, asked = ask_last(whole, column, found.reader, target)
        values = ragged([np.zeros(0, np.int64)] * len(test_table))
    splits = few_validated(found.splits, labels=len(target.labels), seed=recipe.seed)
    if len(splits.validation) < len(found.splits.validation):
        say.note(f"{len(splits.validation):,} of the rows asked in validation choose the best epoch, drawn at random")
    if test_table is not None:
        splits = replace(splits, test=np.flatnonzero(asked != UNASKED))
    prepared = Prepared(
        found.table,
        test_table,
        Schema((Column(column, modality),), (target,), extra=recipe.data.extra),
        {target.name: found.values},
        {target.name: values},
        splits,
        {"events that cannot be read": len(found.problems)} if found.problems else {},
        {},
        {target.name: found.asked},
        {target.name: asked},
    )
    _say_followed(prepared, table, found.short, say, named=recipe.data.task is not None)
    return prepared


def few_validated(splits: Splits, *, labels: int, seed: int) -> Splits:
    """The parts with no more validation rows than whose scores of all labels can be held.

    Args:
        splits: Before.
        labels: Each row ranks.
        seed: Of the run.
    """
    most = max(FEWEST_VALIDATED, VALIDATED_SCORES // max(labels, 1))
    if len(splits.validation) <= most:
        return splits
    drawn = stream(seed, "validated").choice(splits.validation, most, replace=False)
    return replace(splits, validation=np.sort(drawn))


def _say_followed(prepared: Prepared, table: Table, short: int, say: Say, *, named: bool) -> None:
    """What a person should know of data that asks what happens next."""
    column, target = prepared.schema.columns[0], prepared.schema.target
    test = prepared.truth("test", target.name)
    notes = [
        *table.notes,
        f"{len(table):,} rows of {table.name}",
        f"input: {column.name!r}, read as {column.modality}",
        f"target: what happens next in {column.name!r} (next-item), {len(target.labels):,} items"
        + ("" if named else "; no target was named: --target COLUMN predicts another column from the events"),
        f"the last event of each row is asked in the test, the one before it in validation: {len(test):,} rows",
        *([f"{short:,} rows are too short for that and only teach"] if short else []),
    ]
    for note in notes:
        say.note(note)
    if len(test) and (cold := float((test == -1).mean())) > 0:
        say.note(f"{cold:.1%} of the test items were not seen in training and count as misses".replace("%", " %"))


def _roles(table: Table, recipe: Recipe) -> tuple[str | None, str | None]:
    """The columns of group and time; none that went into gathered events: each row is a group of its own then."""
    used = {name for spec in (table.gathered or {}).values() for name in spec.values() if isinstance(name, str)}
    group, time = recipe.data.group, recipe.data.time
    return None if group in used else group, None if time in used else time


def fit_modalities(
    prepared: Prepared,
    assembly: Assembly,
    recipe: Recipe,
    *,
    kept: Mapping[str, Modality] | None = None,
    say: Say,
) -> dict[str, Modality]:
    """One fitted modality a column, from the training rows alone; a pair on one trunk shares its length.

    Args:
        prepared: The rows.
        assembly: The trunks that read them.
        recipe: `model` and `seed` are read.
        kept: What a run that is resumed fitted: taken as it is.
        say: Told of pairs, and what the modalities warn of.
    """
    pair = pair_of(assembly, prepared.schema, recipe)
    found = dict(kept) if kept is not None else _fitted(prepared, assembly, recipe, pair)
    if pair:
        say.note(f"{' and '.join(map(repr, pair))} are read as a pair, the second behind the first")
    if tagged := [target.name for target in prepared.schema.targets if target.by_unit]:
        require_units(found, tagged[0])
    for name, modality in found.items():
        for warning in modality.facts().get("warnings", ()):
            say.warning(f"column {name!r}: {warning}")
    return found


def _fitted(
    prepared: Prepared, assembly: Assembly, recipe: Recipe, pair: Mapping[str, Mapping[str, Any]]
) -> dict[str, Modality]:
    def fitted(column: Column, **more: Any) -> Modality:
        kind, backbone = MODALITIES[column.modality], assembly.backbone_of(column.name)
        options = {**options_of(column.modality, backbone, recipe), **more}
        fresh = kind.create(assets=backbone.assets, limit=backbone.limit, options=options)
        values = column_values(prepared.table, column.name, prepared.splits.train)
        modality: Modality = fresh.fit(values, stream(recipe.seed, f"modality/{column.name}"))
        return modality

    found = {column.name: fitted(column, **pair.get(column.name, {})) for column in prepared.schema.columns}
    lengths = shared_lengths(found, limit=assembly.backbones[0].limit) if pair else {}
    for column in prepared.schema.columns if lengths else ():
        found[column.name] = fitted(column, **pair[column.name], max_length=lengths[column.name])
    return found


def encode(
    prepared: Prepared, modalities: Mapping[str, Modality], *, cache: Path, say: Say
) -> tuple[Prepared, EncodedRows, EncodedRows, EncodedRows]:
    """Encode every row once; rows whose value cannot be used leave the split and are counted.

    Gives the data set without them, and the rows of training, validation and test.

    Raises:
        DataError: More than half of the rows cannot be used, or none of a part.
    """
    main = _stores(prepared.table, modalities, cache)
    tests = _stores(prepared.test_table, modalities, cache) if prepared.test_table is not None else main
    good, good_test = (
        np.all([store.lengths > 0 for store in stores.columns.values()], axis=0) for stores in (main, tests)
    )
    _require_most(prepared.table, good, "input")
    slipped = unequal_rows(main, prepared.targets, prepared.table)
    slipped_test = unequal_rows(tests, prepared.test_targets, prepared.tests_on) if tests is not main else slipped
    good[list(slipped)] = False
    good_test[list(slipped_test)] = False
    _require_most(prepared.table, good, "pair of input and target")
    splits = prepared.splits
    kept = replace(
        splits,
        train=splits.train[good[splits.train]],
        validation=splits.validation[good[splits.validation]],
        test=splits.test[good_test[splits.test]],
    )
    for part in ("train", "validation", "test"):
        if len(getattr(splits, part)) and not len(getattr(kept, part)):
            raise DataError(
                f"none of the {len(getattr(splits, part))} rows drawn for {part} has a usable input",
                "correct the empty cells, add rows, or change data.split",
                code="too_few_rows",
            )
    lost = sum(map(len, (splits.train, splits.validation, splits.test))) - sum(
        map(len, (kept.train, kept.validation, kept.test))
    )
    if lost:
        first = next(iter({**main.columns, **tests.columns}.values())).problems
        reasons = [problem.message for problem in first.values()] + [*slipped.values(), *slipped_test.values()]
        say.warning(f"{lost:,} rows set aside: {reasons[0] if reasons else 'no usable value'}")
    aside = {**prepared.set_aside, **({"no usable input": lost} if lost else {})}
    prepared = replace(prepared, splits=kept, set_aside=aside)
    main = replace(main, targets=prepared.scaled(prepared.targets), extra=_extra(prepared))
    tests = replace(tests, targets=prepared.scaled(prepared.test_targets))
    return prepared, main.select(kept.train), main.select(kept.validation), tests.select(kept.test)


def class_weights(data: Prepared) -> dict[str, tuple[float, ...]]:
    """What `class_weights: balanced` stands for, by target, from the training rows."""
    return {
        target.name: balanced_weights(np.bincount(known, minlength=len(target.labels)).tolist())
        for target in data.schema.targets
        if target.task in ("binary", "multiclass") or target.dense
        for known in [_known(data.truth("train", target.name))]
    }


def column_values(table: Table, column: str, rows: np.ndarray | None = None) -> Iterator[Any]:
    """Raw values in order, a slice at a time, so that a large column is never a list."""
    return iter(ColumnRows(table, column, rows))


def _known(labels: np.ndarray) -> np.ndarray:
    labels = joined(labels)
    return labels[labels >= 0]


def _opened(source: Any, recipe: Recipe, targets: Sequence[str], cache: Path) -> Table:
    """The table, with the label spellings merged that the recipe names."""
    table = gathered(open_table(source, cache=cache), recipe)
    if recipe.data.merge and not targets:
        raise RecipeError(["data.merge needs data.target: the column whose labels are merged"])
    for target in targets if recipe.data.merge else ():
        table = table.with_merged(target, recipe.data.merge)
    return table


def gathered(table: Table, recipe: Recipe) -> Table:
    """The table with series and events that lie in many columns or rows in one, as the recipe says or as is clear.

    Where the recipe names other input columns, nothing is gathered unasked.
    """
    if (log := _log(table, recipe)) is not None:
        return gather_events(table, log)
    asked, named = recipe.data.series, recipe.data.columns
    if asked is False:
        return table
    unasked = asked is None and (named is None or "series" in named)
    how = Gathering.read(asked) if asked is not None else find_wide(table) if unasked else None
    return table if how is None else gather(table, how)


def _log(table: Table, recipe: Recipe) -> EventLog | None:
    """How events lie in many rows: as the recipe says, or by its column of events with a group and a time."""
    data = recipe.data
    if data.events is not None:
        return EventLog.read(data.events)
    columns = [name for name, kind in (data.columns or {}).items() if name in table.columns and happens(kind)]
    return log_of(table, columns, group=data.group, time=data.time)


def _with_files(table: Table, schema: Schema) -> Table:
    return table.with_files([column.name for column in schema.columns if MODALITIES[column.modality].files])


def _stores(table: Table, modalities: Mapping[str, Modality], cache: Path) -> EncodedRows:
    columns = {
        name: encode_store(cache / _key(table, name, modality), modality, column_values(table, name))
        for name, modality in modalities.items()
    }
    return EncodedRows(columns, dict(modalities), {}, {}, np.arange(len(table)))


def _key(table: Table, column: str, modality: Modality) -> str:
    digest = hashlib.sha256(f"{table.digest}/{column}/{modality.name}".encode())
    for name, content in sorted(modality.state().items()):
        digest.update(name.encode() + content)
    return f"encoded-{digest.hexdigest()[:16]}"


def _extra(prepared: Prepared) -> dict[str, np.ndarray]:
    schema, extra = prepared.schema, {}
    for name in schema.extra:
        values = prepared.table.values(name)
        numbers = all(isinstance(value, int | float) for value in values)
        codes = np.unique([str(value) for value in values], return_inverse=True)[1]
        extra[name] = np.asarray(values, np.float32) if numbers else codes.astype(np.int64)
    if schema.weight is not None:
        extra["weight"] = _weights(prepared.table, schema.weight)
    return extra


def _weights(table: Table, column: str) -> np.ndarray:
    try:
        weights = np.array([float(value) for value in table.values(column)], np.float32)
    except (TypeError, ValueError):
        raise DataError(f"the weight column {column!r} holds values that are not numbers", "correct them") from None
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if len(bad):
        raise DataError(
            f"{table.place(int(bad[0]))}: weight {weights[bad[0]]} in column {column!r}; weights are finite and > 0",
            f"correct {len(bad)} rows",
        )
    return weights


def _split(
    table: Table,
    schema: Schema,
    encoded: Mapping[str, TargetValues],
    usable: np.ndarray,
    recipe: Recipe,
    *,
    has_test: bool,
) -> Splits:
    wanted = recipe.data.split
    strategy = "group" if schema.group and wanted.by == "stratified" else wanted.by
    strategy = "time" if schema.time and strategy == "stratified" else strategy
    if strategy == "leave-last-out":
        raise RecipeError(["data.split.by is 'leave-last-out', which cuts within a row and is for the task next-item"])
    for role, column in (("group", schema.group), ("time", schema.time)):
        if strategy == role and column is None:
            raise RecipeError([f"data.split.by is {role!r} and no column has that role; set data.{role}"])
    labels = _strata(schema.targets[0], encoded[schema.targets[0].name].values[usable])
    drawn = split(
        len(usable),
        strategy=strategy if strategy != "stratified" or labels is not None else "random",
        labels=labels,
        groups=table.values(schema.group, usable) if schema.group else None,
        times=table.values(schema.time, usable) if schema.time else None,
        validation=wanted.validation,
        test=0.0 if has_test else wanted.test,
        seed=recipe.seed,
    )
    parts = {part: usable[getattr(drawn, part)] for part in ("train", "validation", "test")}
    for part in ("train", "validation") if has_test or wanted.test == 0 else ("train", "validation", "test"):
        if not len(parts[part]) and labels is not None and len(np.unique(labels)) == len(labels):
            raise DataError(
                f"each of the {len(usable)} rows has a label of its own in {schema.targets[0].name!r}",
                "is this really the target? --target names another column",
                code="unique_labels",
            )
        if not len(parts[part]):
            raise DataError(
                f"{len(usable)} rows leave none for {part}", "add rows, or change data.split", code="too_few_rows"
            )
    return replace(drawn, **parts)


def _strata(target: Target, values: np.ndarray) -> Sequence[int] | np.ndarray | None:
    return values if target.task in ("binary", "multiclass") else None


def _scale(values: np.ndarray) -> tuple[float, float]:
    scale = float(np.std(values))
    return float(np.mean(values)), scale if scale > SCALE_FLOOR else 1.0


def _require_most(table: Table, good: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~good)
    if len(bad) * 2 > len(good):
        first = ", ".join(table.place(int(row)) for row in bad[:5])
        raise DataError(
            f"{len(bad):,} of {len(good):,} rows have no usable {what} (first: {first})",
            "is this the right column?",
            code=f"no_{what}",
        )
