"""A graph in eight bits that answers nearly as before: made, measured on rows whose answer is known, checked."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from underlay.bundle import Backend, Bundle
from underlay.compress.choice import choose
from underlay.compress.convolutions import Convolution, convolutions
from underlay.compress.examples import Row, collated, mixed
from underlay.compress.int8 import quantised
from underlay.compress.levels import calibrate
from underlay.compress.loss import Judge, Labelled, Loss
from underlay.compress.operators import Operator, compare_operators, require_operators
from underlay.compress.parity import BATCH
from underlay.compress.planes import fit_grids, values_of
from underlay.compress.products import Product, Table, products, tables
from underlay.core import Event, Listener, UsageError

MAX_DROP = 0.5
"""Points that may be lost, where nothing else is said."""


@dataclass(frozen=True)
class Asked:
    """What eight bits are asked for.

    Args:
        static: Whether ranges of activations are fixed beforehand, on rows that were given.
        max_drop: Points that may be lost on `labelled`.
        labelled: Rows whose answer is known; None: nothing is measured but parity.
    """

    static: bool = False
    max_drop: float = MAX_DROP
    labelled: Labelled | None = None


@dataclass(frozen=True)
class EightBits:
    """A graph of eight bits, and what it cost.

    Args:
        model: The `onnx.ModelProto`.
        scheme: `dynamic` or `static`.
        operators: How many it has in eight bits.
        kept: Tensors of those left in fp32, the most harmful first.
        losses: By target; empty where no row has a known answer.
        noise: What the worst operator misses of what it gives in fp32.
        stays: What else is computed in fp32, and why, a sentence each.
    """

    model: Any
    scheme: str
    operators: int
    kept: tuple[str, ...]
    losses: tuple[Loss, ...]
    noise: float
    stays: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "scheme": self.scheme,
            "operators": self.operators,
            "left_in_fp32": list(self.kept),
            "losses": [loss.to_dict() for loss in self.losses],
            "operator_noise": self.noise,
            "stays": list(self.stays),
        }


@dataclass(frozen=True)
class Shown:
    """Rows that a graph is shown.

    Args:
        bundle: Collates them.
        rows: Synthetic ones.
        given: Of given data; ranges are fixed on them.
    """

    bundle: Bundle
    rows: Sequence[Row]
    given: Sequence[Row] = field(default=())

    def alone(self) -> list[Any]:
        """A batch for each given row, so that nothing in it is padding."""
        return [collated(self.bundle, [row]) for row in self.given]

    def padded(self) -> list[Any]:
        """Batches of synthetic rows of unequal length."""
        return [
            collated(self.bundle, [self.rows[row] for row in batch])
            for batch in mixed(self.bundle, self.rows, size=BATCH)
        ]


def in_eight_bits(
    model: Any,
    shown: Shown,
    asked: Asked,
    *,
    ready: Callable[[Any], Backend],
    listener: Listener = lambda event: None,
) -> EightBits:
    """The graph in eight bits, as far as the loss allows.

    Args:
        model: The `onnx.ModelProto` in fp32.
        shown: Rows to calibrate and to compare on.
        asked: How, and how much may be lost.
        ready: Makes a graph ready to answer.
        listener: Hears what is done.

    Raises:
        UsageError: Ranges are to be fixed, and there are no rows for it; or nothing in the graph is large.
        GateNotMet: `max_drop` or `parity`.
    """
    if asked.static and not shown.given:
        raise UsageError("static eight bits fix the ranges of activations on data", "give it with --data")
    windows = convolutions(model) if asked.static else {}
    matrices = products(model)
    known: dict[str, Product | Table | Convolution] = {**matrices, **tables(model), **windows}
    stays = _staying(model, static=asked.static)
    if not known:
        raise UsageError(
            "; ".join(["no product or table of this model is large enough for eight bits", *stays]), "leave out --int8"
        )
    for said in stays:
        listener(Event("note", said, {}))
    levels = grids = None
    if asked.static:
        listener(Event("phase", f"fixing ranges on {len(shown.given)} rows", {}))
        levels = calibrate(model, matrices, shown.alone()) if matrices else {}
        grids = fit_grids(model, values_of(windows.values()), shown.alone()) if windows else {}

    def make(kept: Collection[str]) -> Any:
        return quantised(model, levels=levels, grids=grids, kept=kept)

    kept: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    judge = None if asked.labelled is None else Judge.of(shown.bundle, asked.labelled)
    if judge is None:
        made = make(())
    else:
        listener(Event("phase", f"measuring what is lost on {len(judge.labelled)} rows", {}))
        chosen = choose(make, ready, list(known), judge, max_drop=asked.max_drop, listener=listener)
        made, kept, losses = chosen.model, chosen.kept, chosen.losses
    found = compare_operators(model, made, shown.padded())
    if poor := poor_convolutions(found, windows):
        listener(Event("note", f"{len(poor)} convolutions miss too much in eight bits and stay in fp32", {}))
        kept = (*kept, *poor)
        made = make(kept)
        losses = () if judge is None else judge.losses(ready(made))
        found = compare_operators(model, made, shown.padded())
    require_operators(found)
    return EightBits(
        made,
        "static" if asked.static else "dynamic",
        sum(one.name in known for one in found),
        tuple(known[name].tensor for name in kept),
        losses,
        max((one.noise for one in found), default=0.0),
        stays,
    )


def poor_convolutions(found: Sequence[Operator], windows: Collection[str]) -> tuple[str, ...]:
    """Convolutions that miss more than an operator may; none where that is more than a quarter: that is a fault.

    All outputs of a convolution share their levels: one that is small beside the others is on few of them.
    """
    poor = tuple(one.name for one in found if one.name in windows and not one.off <= 1)
    return poor if len(poor) <= len(windows) // 4 else ()


def _staying(model: Any, *, static: bool) -> tuple[str, ...]:
    """What is computed in fp32 whatever it costs, and why."""
    kinds = [node.op_type for node in model.graph.node]
    said = []
    if (count := kinds.count("Conv")) and not static:
        said.append(f"{count} convolutions stay in fp32: their ranges are fixed on rows (--static --data FILE)")
    if count := kinds.count("GRU") + kinds.count("LSTM"):
        # ONNX Runtime's own DynamicQuantizeLSTM has one scale for a whole batch, and is no operation of the standard.
        said.append(f"{count} recurrent layers stay in fp32: ONNX has no recurrent operation of eight bits")
    return tuple(said)
