"""Each operator of eight bits beside the same in fp32, on the very values that reach it.

What a whole model of eight bits may differ by is so much that one broken scale could hide in it. Alone, a product of
eight bits misses a few hundredths of what it stands for, and what it misses is noise: each of its outputs still rises
by as much as it should.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.compress.convolutions import convolutions
from underlay.compress.products import Product, Table, products, tables
from underlay.core import GateNotMet, Inputs, stream

NOISE = 0.1
"""What a whole operator may miss, root mean square, as a share of what it gives; a few hundredths are usual."""

SLOPE = 0.3
"""How much more or less an output may rise than it should: noise alone turns a slope by a few hundredths."""

PLACES = 256
"""Places of each batch on which a convolution is compared."""

SMALL = 0.1
"""An output that is this much smaller than the others is measured by them: it says little, and is mostly noise."""


@dataclass(frozen=True)
class Operator:
    """How near an operator is to what it stands for.

    Args:
        name: Of what comes out.
        tensor: Its matrix or table.
        noise: What it misses, root mean square, as a share of what it gives.
        slope: Of the output of a product, or the row of a table, that is furthest off: its slope's distance from 1.
    """

    name: str
    tensor: str
    noise: float
    slope: float

    @property
    def off(self) -> float:
        """The larger of both, as a share of what is allowed."""
        return max(self.noise / NOISE, self.slope / SLOPE)


def compare_operators(was: Any, now: Any, batches: Sequence[Inputs]) -> list[Operator]:
    """How near each operator of `was` is that is another in `now`, the worst first.

    Args:
        was: The `onnx.ModelProto` in fp32.
        now: The one of eight bits, whose operators give and take values of the same names.
        batches: What to ask.
    """
    found = [*_products_and_tables(was, now, batches), *_convolutions(was, now, batches)]
    return sorted(found, key=lambda operator: -operator.off)


def _products_and_tables(was: Any, now: Any, batches: Sequence[Inputs]) -> list[Operator]:
    known: dict[str, Product | Table] = {**products(was), **tables(was)}
    left = {**products(now), **tables(now)}
    changed = {name: one for name, one in known.items() if name not in left}
    wanted = [name for one in changed.values() for name in (_source(one), one.name)]
    seen = values_within(now, list(dict.fromkeys(wanted)), batches)
    apart = {name: _apart(one, seen[_source(one)], seen[name]) for name, one in changed.items()}
    return [Operator(name, one.tensor, *apart[name]) for name, one in changed.items()]


def _convolutions(was: Any, now: Any, batches: Sequence[Inputs]) -> list[Operator]:
    """Those of eight bits, from what enters to behind the activation, on places drawn from each batch."""
    left = convolutions(now)
    changed = {name: one for name, one in convolutions(was).items() if name not in left}
    between = dict.fromkeys(name for one in changed.values() for name in (one.entered, one.left))
    exact = {name: f"{name}/exact" for name in between}
    rng = stream(0, "operators")
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in (*changed, *exact)}
    for values in run_within(now, [*between, *exact.values()], batches, flat=False) if changed else ():
        here = {name: (one.meant(values[one.entered]), values[one.left]) for name, one in changed.items()}
        here |= {name: (values[before], values[name]) for name, before in exact.items() if name not in here}
        for name, pair in here.items():
            meant, found = map(_channels_last, pair)
            drawn = rng.permutation(len(meant))[:PLACES]
            pairs[name].append((meant[drawn], found[drawn]))
    tensors = {name: one.tensor for name, one in changed.items()}
    # The levels of a value are an operator too: what enters a convolution may come from something that is none.
    return [
        Operator(
            name, tensors.get(name, f"the levels of {name}"), *_between(*map(np.concatenate, zip(*seen, strict=True)))
        )
        for name, seen in pairs.items()
    ]


def _channels_last(array: np.ndarray) -> np.ndarray:
    """`[B, C, ...]` -> `[places, C]`."""
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1])


def require_operators(found: Sequence[Operator]) -> None:
    """Pass operators that are near enough.

    Raises:
        GateNotMet: `parity`: one is not.
    """
    far = [one for one in found if not one.off <= 1]
    if far:
        raise GateNotMet(
            f"{len(far)} of {len(found)} operators of eight bits are wrong: {far[0].tensor} misses {far[0].noise:.0%} "
            f"of what it gives (allowed {NOISE:.0%}), its worst output rises by {far[0].slope:.0%} too much or too "
            f"little (allowed {SLOPE:.0%})",
            "nothing was written; report the model's recipe and this processor",
            code="parity",
        )


def values_within(model: Any, names: Sequence[str], batches: Sequence[Inputs]) -> dict[str, np.ndarray]:
    """What passes through a graph under these names, `[positions, width]`, or `[positions]` of row numbers.

    Args:
        model: An `onnx.ModelProto`; not changed.
        names: Of values that a node gives.
        batches: What to ask.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for values in run_within(model, names, batches):
        for name, array in values.items():
            found[name].append(array)
    return {name: np.concatenate(arrays) for name, arrays in found.items()}


def run_within(
    model: Any, names: Sequence[str], batches: Sequence[Inputs], *, flat: bool = True
) -> Iterator[dict[str, np.ndarray]]:
    """The same, a batch at a time; with `flat` off in the shape that it has."""
    import onnx
    import onnxruntime

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    given = {value.name for value in (*opened.graph.input, *opened.graph.output)}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    asked = [name for name in names if name not in {value.name for value in opened.graph.input}]
    inputs = [value.name for value in session.get_inputs()]
    for batch in batches:
        given_arrays = {f"{column}.{name}": array for column, arrays in batch.items() for name, array in arrays.items()}
        values = session.run(asked, {name: given_arrays[name] for name in inputs}) if asked else []
        here = dict(zip(asked, values, strict=True)) | {name: given_arrays[name] for name in names if name in inputs}
        yield {name: _flat(array) if flat else array for name, array in here.items()}


def _source(one: Product | Table) -> str:
    return one.entered if isinstance(one, Product) else one.asked


def _flat(values: np.ndarray) -> np.ndarray:
    """Positions as rows; row numbers as one line."""
    return values.reshape(-1, values.shape[-1]) if values.dtype.kind == "f" else values.reshape(-1)


def _apart(one: Product | Table, source: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Noise and slope; infinite where the shapes differ or a number is missing."""
    if isinstance(one, Table):
        meant, found = one.rows[source].T, found.T  # a row has a scale, as an output of a product has
    else:
        meant = source @ one.weight
        found = found if one.bias is None else found - one.shift
    return _between(meant, found)


def _between(meant: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Noise and slope of `[positions, outputs]`."""
    if meant.shape != found.shape or not np.isfinite(found).all():
        return float("inf"), float("inf")
    missed, whole = found - meant, max(float(np.square(meant).mean()), float(np.finfo(np.float32).tiny))
    around = meant - meant.mean(0)  # what is always there is no slope
    power = np.square(around).mean(0)
    steep = np.abs((missed * around).mean(0)) / np.maximum(power, SMALL**2 * max(float(power.mean()), SMALL**2 * whole))
    return float(np.sqrt(np.square(missed).mean() / whole)), float(steep.max(initial=0.0))
