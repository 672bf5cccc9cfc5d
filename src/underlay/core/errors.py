"""Errors a person can act on: what was found, what is possible, what to do.

UnderlayError            1  a bug in Underlay
├── UsageError           2  the command or the recipe asks for something impossible
│   ├── RecipeError         unknown keys, values out of range: all problems at once
│   ├── UnknownName         a registry holds no such name
│   ├── MissingExtra        an optional part is not installed
│   ├── OutputExists        something already stands where the output should go
│   └── RunLocked           another process works on this run
├── DataError            3  the data cannot be used as it is
│   ├── RowError            one value of one row; the other rows go on
│   ├── MissingColumn       a column that was asked for is not there
│   ├── DataChanged         the data is not what the run began with
│   └── LossNotFinite       training diverged
├── BundleRefused        4  a bundle is not what it was when it was sealed
│   └── CheckpointRefused   no valid checkpoint, weights that fail their digest
├── ResourceError        5  disk, memory, folders, ports
├── ServiceAway          6  a database or a cluster does not answer
├── GateNotMet           7  a quality bound does not hold
└── Stopped             75  stopped before the end and resumable
    └── Interrupted    130/143  by Ctrl-C or SIGTERM, after a checkpoint
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class UnderlayError(Exception):
    """The base of every error Underlay raises on purpose.

    Args:
        what: What was found, with the value in it.
        do: What the reader can do about it.
        code: A stable snake_case name; the class has a default.

    >>> str(UnderlayError("the disk is full", "free 2 GiB"))
    'the disk is full — free 2 GiB'
    """

    code: str = "bug"
    exit_code: int = 1

    def __init__(self, what: str, do: str = "", *, code: str | None = None) -> None:
        super().__init__(f"{what} — {do}" if do else what)
        self.what = what
        self.do = do
        if code is not None:
            self.code = code


class UsageError(UnderlayError):
    """The command, the arguments or the recipe ask for something impossible."""

    code = "usage"
    exit_code = 2


class RecipeError(UsageError):
    """A recipe with unknown keys or values out of range.

    Args:
        problems: One sentence each; all are shown at once.
    """

    code = "recipe"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems), "`underlay fit --print-recipe` shows every key with its default")
        self.problems = tuple(problems)


class UnknownName(UsageError):
    """A registry was asked for a name it does not hold."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"no {kind} named {name!r}", nearest(name, names))
        self.name = name


class MissingExtra(UsageError):
    """An optional dependency is not installed.

    >>> str(MissingExtra("training", "train"))
    "training needs an extra that is not installed — pip install 'underlay[train]'"
    """

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra that is not installed", f"pip install 'underlay[{extra}]'")


class OutputExists(UsageError):
    """Something already stands where the output should go."""

    code = "output_exists"


class RunLocked(UsageError):
    """Another process works on this run."""

    code = "run_locked"


class DataError(UnderlayError):
    """The data cannot be used as it is."""

    code = "data"
    exit_code = 3


class RowError(DataError):
    """One value of one row cannot be used; the other rows go on."""

    code = "row"


class MissingColumn(DataError):
    """A column that something asked for is not in the data.

    Args:
        asker: Who needs the column.
        column: Its name.
        present: The columns that are there.
    """

    code = "missing_column"

    def __init__(self, asker: str, column: str, present: Iterable[str]) -> None:
        columns = list(present)
        super().__init__(f"{asker} needs the column {column!r}; there is {columns}", nearest(column, columns))
        self.column = column


class DataChanged(DataError):
    """The data is not what the run began with."""

    code = "data_changed"


class LossNotFinite(DataError):
    """The loss became NaN or infinite and stayed so after the retries."""

    code = "loss_not_finite"


class BundleRefused(UnderlayError):
    """A bundle is not what it was when it was sealed, or asks for what a bundle may not ask."""

    code = "bundle"
    exit_code = 4


class CheckpointRefused(BundleRefused):
    """No checkpoint or weight file that passes its own check."""

    code = "checkpoint"


class ResourceError(UnderlayError):
    """Disk, memory, folders or ports are not sufficient."""

    code = "resources"
    exit_code = 5


class ServiceAway(UnderlayError):
    """A database or a cluster does not answer."""

    code = "service_away"
    exit_code = 6


class GateNotMet(UnderlayError):
    """A quality bound the user set does not hold."""

    code = "gate"
    exit_code = 7


class Stopped(UnderlayError):
    """Work stopped before its end; the same command with `--resume` goes on."""

    code = "stopped"
    exit_code = 75


class Interrupted(Stopped):
    """Stopped by a signal, after a checkpoint where there was something to keep.

    Args:
        signal_number: 2 (Ctrl-C, exit 130) or 15 (SIGTERM, exit 143).
    """

    code = "interrupted"

    def __init__(self, signal_number: int, what: str, do: str = "") -> None:
        super().__init__(what, do)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which known names are near `name`, or list them all.

    >>> nearest("supcom", ["supcon", "focal"])
    "did you mean 'supcon'?"
    """
    near = get_close_matches(name, known, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(known)}" if known else "nothing is registered"
