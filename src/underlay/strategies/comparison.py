"""Bundles side by side in one run: quality on the test rows, bytes, time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underlay.bundle import Bundle
from underlay.compress.measuring import Speed, measure_bundles
from underlay.evaluate import Interval, measure
from underlay.evaluate.measure import key_metric
from underlay.strategies.inputs import said_of
from underlay.strategies.prepared import Prepared

TIMED = 256
"""Rows that are timed, again and again."""


@dataclass(frozen=True)
class Line:
    """One bundle in the comparison.

    Args:
        name: Its path.
        figures: By target the key metric and its interval on the test rows; empty without any.
        bytes: Of all its files.
        speed: Raw value to decision.
    """

    name: str
    figures: Mapping[str, tuple[str, Interval]]
    bytes: int
    speed: Speed

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        figures = {
            target: {"metric": name, "value": one.value, "low": one.low, "high": one.high}
            for target, (name, one) in self.figures.items()
        }
        return {"name": self.name, "figures": figures, "bytes": self.bytes, "speed": self.speed.to_dict()}


def compared(bundles: Sequence[Bundle], data: Prepared, *, seconds: float) -> tuple[Line, ...]:
    """Quality on the test rows, bytes and speed of each, timed in turns.

    Args:
        bundles: That stand on disk.
        data: The rows.
        seconds: How long each is timed.
    """
    names = [column.name for column in data.schema.columns]
    part = "test" if len(data.splits.test) else "validation"
    columns = {name: data.values(part, name) for name in names}
    rows = [{name: columns[name][row] for name in names} for row in range(min(TIMED, len(columns[names[0]])))]
    speeds = measure_bundles({str(bundle.path): bundle for bundle in bundles}, rows, seconds=seconds)
    return tuple(
        Line(str(bundle.path), _figures(bundle, data, columns) if part == "test" else {}, bytes_of(bundle), speed)
        for bundle, speed in zip(bundles, speeds, strict=True)
    )


def _figures(bundle: Bundle, data: Prepared, columns: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, Interval]]:
    truths = {target.name: data.truth("test", target.name) for target in data.schema.targets}
    said, found = said_of(bundle, columns, truths), {}
    for target in data.schema.targets:
        threshold = list(bundle.rules[target.name].thresholds) or None
        name = key_metric(target)
        figures = measure(target, said.scores[target.name], truths[target.name], threshold=threshold)
        found[target.name] = (name, figures[name])
    return found


def bytes_of(bundle: Bundle) -> int:
    """Of all files of a bundle that stands on disk."""
    files = bundle.manifest.files.values() if bundle.manifest is not None else ()
    return sum(int(entry["bytes"]) for entry in files)
