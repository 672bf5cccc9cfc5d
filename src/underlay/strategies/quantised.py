"""A bundle as a graph of eight bits that is calibrated and measured by what it says itself."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from underlay.bundle import Bundle, open_bundle
from underlay.bundle.refreshing import refresh
from underlay.compress import Exported, export
from underlay.core import Listener
from underlay.strategies.candidate import validation_rows
from underlay.strategies.known_rows import SEEN
from underlay.strategies.prepared import Prepared
from underlay.strategies.release import Measured, release
from underlay.strategies.run_folder import RunFolder


def quantised(
    folder: Path, out: Path, data: Prepared, *, static: bool, max_drop: float, listener: Listener | None
) -> Exported:
    """The graph, ranges and choice of operators made on training and validation rows.

    Args:
        folder: A bundle that PyTorch runs.
        out: Where the graph will stand.
        data: What the bundle was trained on.
        static: Whether the ranges of activations are fixed on training rows; else each position has its own.
        max_drop: Points that may be lost on the validation rows, against `folder`.
        listener: Told what happens.

    Raises:
        GateNotMet: It loses more, or answers otherwise.
        UsageError: The model cannot be a graph, or nothing in it is large.
    """
    seen = {column.name: data.values("train", column.name)[:SEEN] for column in data.schema.columns}
    return export(
        folder,
        out,
        int8=True,
        static=static,
        max_drop=max_drop,
        columns=seen,
        labelled=validation_rows(data),
        listener=listener or (lambda event: None),
    )


def released(graph: Path, told: str, measured: Measured, final: RunFolder, *, force: bool) -> Bundle:
    """The graph as a bundle of its own.

    Args:
        graph: What `quantised` wrote.
        told: What the card says of it; `in_words`.
        measured: Of the same model in fp32.
        final: Where it will stand.
        force: Whether what stands there goes.
    """
    data, learned, source = measured.data, measured.learned, open_bundle(graph, replay=False)
    answers = source.answer({column.name: data.values("validation", column.name) for column in data.schema.columns})
    own = {target.name: answers.logits[target.name] for target in data.schema.targets if not target.dense}
    said = replace(learned, validation_logits={**learned.validation_logits, **own})
    sealing = partial(refresh, source=source, notes=told)
    bundle, _ = release(replace(measured, learned=said), final, force=force, sealing=sealing)
    return bundle


def in_words(exported: Exported) -> str:
    """What the card says of a graph."""
    compared = exported.on_data or exported.parity
    scheme = "" if exported.eight_bits is None else f" ({exported.eight_bits.scheme})"
    return (
        f"It answers from an ONNX graph of eight bits{scheme}. Against the same model in fp32, on "
        f"{compared.rows} rows, scores differed by up to {compared.difference:.1e} and {compared.decisions} of "
        f"{compared.decided} decisions changed."
    )
