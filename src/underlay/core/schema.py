"""What the columns mean: written once at training, stored in the bundle, never inferred again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from underlay.core.errors import DataError
from underlay.core.labels import LabelMap

Task = Literal["binary", "multiclass", "multilabel", "regression", "tagging", "next-item"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "multilabel", "regression", "tagging", "next-item")


@dataclass(frozen=True)
class Column:
    """An input column and how to read it.

    Args:
        name: As in the data file.
        modality: `text`, `image`, `audio`, `series`, `events` or `table`.
    """

    name: str
    modality: str


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Args:
        name: The column, as in the data file.
        task: One of `TASKS`.
        labels: Names in their fixed order; empty for regression. A `tagging` target has one of them for each unit of a
            row (word of a sentence), a `next-item` target the one that follows a sequence.
        separator: Between the labels of one multilabel cell; unused elsewhere.
    """

    name: str
    task: Task
    labels: tuple[str, ...] = ()
    separator: str = "|"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DataError(f"target {self.name!r} has the task {self.task!r}", f"known: {', '.join(TASKS)}")
        if self.task == "binary" and len(self.labels) != 2:
            raise DataError(f"target {self.name!r} is binary and has {len(self.labels)} labels", "two are needed")
        if (self.task == "multiclass" or self.dense) and len(self.labels) < 2:
            raise DataError(f"target {self.name!r} has {len(self.labels)} label", "two or more are needed")

    @property
    def label_map(self) -> LabelMap:
        """Names and positions."""
        return LabelMap(self.labels)

    @property
    def dense(self) -> bool:
        """Whether a model answers at every position, `[B, L, K]`: it is taught one label a unit of the input."""
        return self.task in ("tagging", "next-item")

    @property
    def by_unit(self) -> bool:
        """Whether an answer is one label a unit; the other dense task asks only what follows the last one."""
        return self.task == "tagging"

    @property
    def ranked(self) -> bool:
        """Whether an answer is the likeliest labels in order: of what comes next there is seldom one that must."""
        return self.task == "next-item"

    @property
    def outputs(self) -> int:
        """Logits a head gives for it: K labels, or 1 number."""
        return len(self.labels) if self.labels else 1


@dataclass(frozen=True)
class Schema:
    """Columns, targets and the roles of the other columns.

    Args:
        columns: Inputs, in order.
        targets: At least one.
        group: Rows of one group stay in one split (customer, movie).
        time: Later rows are for validation and test.
        weight: Importance of a row, > 0.
        extra: Further columns that objectives or slices may ask for.

    >>> schema = Schema((Column("text", "text"),), (Target("label", "binary", ("no", "yes")),))
    >>> Schema.from_dict(schema.to_dict()) == schema
    True
    """

    columns: tuple[Column, ...]
    targets: tuple[Target, ...]
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    extra: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """The only target.

        Raises:
            DataError: There are several; name one.
        """
        if len(self.targets) != 1:
            names = [target.name for target in self.targets]
            raise DataError(f"this schema has the targets {names}", "name the one you mean")
        return self.targets[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Schema":
        """Read back what `to_dict` gave."""
        return cls(
            columns=tuple(Column(**column) for column in data["columns"]),
            targets=tuple(Target(**{**target, "labels": tuple(target["labels"])}) for target in data["targets"]),
            group=data["group"],
            time=data["time"],
            weight=data["weight"],
            extra=tuple(data["extra"]),
        )
