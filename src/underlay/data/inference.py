"""What the columns mean, guessed where that is safe, asked where it is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from underlay.core import Column, DataError, MissingColumn, Schema, UsageError
from underlay.data.profile import INPUT_NAMES, Profile, profile
from underlay.data.remaining import EVERY, take_remaining, why_not
from underlay.data.table import Table
from underlay.data.tasks import describe_target, infer_target
from underlay.data.unit_labels import list_sizes, paired_column

TARGET_NAMES = frozenset(
    """label labels target targets class classes category categories sentiment intent intents topic tag tags star
    stars rating score polarity emotion toxicity spam y ner ner_tags pos pos_tags 标签 类别 分类 情感 评分""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Inference:
    """A schema and the sentences that say how it came about."""

    schema: Schema
    notes: tuple[str, ...]


def infer_schema(
    table: Table,
    *,
    targets: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    task: str | None = None,
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    extra: Sequence[str] = (),
) -> Inference:
    """Give the schema of a table; what the caller names is taken, the rest is guessed and said.

    Args:
        table: The training data.
        targets: Columns to predict.
        columns: Input column -> modality; under `*`, that of all other columns of numbers and categories.
        task: Of all targets: `binary`, `multiclass`, `multilabel`, `regression` or `tagging`.
        group: Column whose rows stay in one split.
        time: Column to split by time.
        weight: Column with the importance of a row.
        extra: Further columns that objectives ask for.

    Raises:
        MissingColumn: A named column is not there, or nothing can be the target.
        UsageError: Several columns could be meant; the message lists them.
        DataError: There are no rows, one label only, or more labels than a classifier can have.

    >>> import pyarrow as pa
    >>> table = Table(pa.table({"text": ["a fine film", "a dull one"], "label": ["yes", "no"]}))
    >>> infer_schema(table).schema.target.labels
    ('no', 'yes')
    """
    inputs = [name for name in columns or {} if name != EVERY]
    named = [*targets, *inputs, *filter(None, (group, time, weight)), *extra]
    for name in named:
        table.column(name)
    _require_distinct_roles(targets, columns or {})
    if not len(table):
        raise DataError(
            f"{table.name} has a header ({', '.join(table.columns)}) and no rows", "add rows", code="no_rows"
        )
    free = {name: profile(table, name) for name in table.columns if name not in named}
    target_names = tuple(targets) or (_guess_target(table, free),)
    left = {name: found for name, found in free.items() if name not in target_names}
    chosen, notes = take_remaining(table, columns or {}, left)
    pairs = {} if task not in (None, "tagging") else _pairs(table, target_names, list(chosen or left))
    chosen = chosen or dict.fromkeys(pairs.values(), "words") or (_lists(table, left) if task == "tagging" else {})
    chosen = chosen or _guess_inputs(table, left)
    if pairs or task == "tagging":
        chosen = {name: "words" if modality == "text" else modality for name, modality in chosen.items()}
    notes = (*notes, *_pair_notes(pairs, task))
    found = tuple(infer_target(table, name, task="tagging" if name in pairs else task) for name in target_names)
    schema = Schema(
        tuple(Column(name, modality) for name, modality in chosen.items()),
        found,
        group=group,
        time=time,
        weight=weight,
        extra=tuple(extra),
    )
    return Inference(schema, (*_notes(table, schema), *notes))


def _pairs(table: Table, targets: Sequence[str], inputs: Sequence[str]) -> dict[str, str]:
    """By target that is a list of labels beside a list of as many words: the column of the words."""
    found = {name: paired_column(table, name, inputs) for name in targets}
    return {name: column for name, column in found.items() if column is not None}


def _lists(table: Table, free: Mapping[str, Profile]) -> dict[str, str]:
    """The only free column of lists of strings, which a tagging target stands beside."""
    found = [name for name in free if list_sizes(table.column(name)) is not None]
    return {found[0]: "words"} if len(found) == 1 else {}


def _pair_notes(pairs: Mapping[str, str], task: str | None) -> tuple[str, ...]:
    if task is not None:
        return ()
    return tuple(
        f"{name!r} has one label for each word of {column!r}: tagging (--set data.task=multilabel if it is none)"
        for name, column in pairs.items()
    )


def _require_distinct_roles(targets: Sequence[str], columns: Mapping[str, str]) -> None:
    both = [name for name in targets if name in columns]
    if both:
        raise UsageError(
            f"the column {both[0]!r} is named as input and as target", "a model that reads its answer learns nothing"
        )


def _guess_target(table: Table, free: Mapping[str, Profile]) -> str:
    named = [name for name, found in free.items() if name.strip().lower() in TARGET_NAMES and not found.empty]
    likely = named or [name for name, found in free.items() if found.label_like]
    if len(likely) == 1:
        return likely[0]
    if not likely:
        _refuse_empty(table, free, TARGET_NAMES)
        raise MissingColumn("the target (pass --target COLUMN)", "label", table.columns)
    raise UsageError(
        f"{_count(len(likely))} columns could be the target: {', '.join(map(repr, likely))}",
        f"pass {' or '.join(f'--target {name}' for name in likely)}",
        code="ambiguous_target",
    )


def _refuse_empty(table: Table, free: Mapping[str, Profile], names: frozenset[str]) -> None:
    """Say of a column that is named as one would expect that nothing is in it."""
    hollow = [name for name, found in free.items() if found.empty and name.strip().lower() in names]
    if hollow:
        raise DataError(
            f"the column {hollow[0]!r} of {table.name} is empty in every row",
            "is this the right file?",
            code="empty_column",
        )


def _guess_inputs(table: Table, free: Mapping[str, Profile]) -> dict[str, str]:
    likely = {name: found.modality for name, found in free.items() if found.modality is not None}
    named = {name: modality for name, modality in likely.items() if name.strip().lower() in INPUT_NAMES[modality]}
    strings = {name: "text" for name, found in free.items() if found.strings}
    chosen = named or likely or strings
    if len(chosen) == 1:
        return chosen
    if not chosen:
        _refuse_empty(table, free, INPUT_NAMES["text"])
        cells = [name for name, found in free.items() if not why_not(table, name, found)]
        other = f", or --table '*' for {len(cells)} columns of numbers and categories" if cells else ""
        raise MissingColumn(f"the input (pass --text COLUMN{other})", "text", table.columns)
    flags = [f"--{modality} {quote(name)}" for name, modality in chosen.items()]
    raise UsageError(
        f"{_count(len(chosen))} columns could be the input: {', '.join(map(repr, chosen))}",
        f"pass {' or '.join(flags)}, or {'both' if len(flags) == 2 else 'several of them'}",
        code="ambiguous_input",
    )


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))


def _notes(table: Table, schema: Schema) -> tuple[str, ...]:
    roles = {"group": schema.group, "time": schema.time, "weight": schema.weight}
    used = [column.name for column in schema.columns] + [target.name for target in schema.targets]
    used += [name for name in roles.values() if name] + list(schema.extra)
    unused = [name for name in table.columns if name not in used]
    return (
        f"{len(table):,} rows of {table.name}",
        *(f"input: {column.name!r}, read as {column.modality}" for column in schema.columns),
        *(describe_target(table, target) for target in schema.targets),
        *(f"{role}: {name!r}" for role, name in roles.items() if name),
        *((f"not used: {', '.join(map(repr, unused))}",) if unused else ()),
    )
