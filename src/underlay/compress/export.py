"""A bundle -> the same model as a graph, written only once it has answered as the bundle does."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underlay.bundle import GRAPH_BACKENDS, Backend, Bundle, Derived, Graph, derive, open_bundle
from underlay.bundle.machine import cores, installed, machine_fingerprint, versions
from underlay.bundle.sealing import refuse_existing
from underlay.bundle.torch_backend import TorchBackend
from underlay.compress.choice import in_words
from underlay.compress.eight_bits import MAX_DROP, Asked, EightBits, Shown, in_eight_bits
from underlay.compress.examples import Row, collated, encoded, given_rows, probes
from underlay.compress.external import split
from underlay.compress.loss import Labelled
from underlay.compress.measuring import Speed, measure
from underlay.compress.parity import EIGHT_BITS, EIGHT_BITS_SYNTHETIC, EXACT, Parity, compare, require
from underlay.compress.program import ProgramBackend, save_program
from underlay.compress.tracing import free_axes, names_of, require_onnx, to_onnx, trace
from underlay.compress.unread import without_unread
from underlay.core import BundleRefused, Event, GateNotMet, Listener, UsageError
from underlay.core.durable import write_file

BACKEND = "onnx.v1"
PYTORCH = "PyTorch"
FP32 = "fp32 in "
"""Before the name of a setting: the same graph without eight bits under it."""
TRACED = 4
"""Rows of the batch that is traced: more than one, of unequal length."""


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Args:
        path: The bundle, or the file.
        parity: How near it is to the original on synthetic rows.
        on_data: The same on given rows; None without any.
        speeds: Of the original and of the graph under each setting; none of a file.
        runtime: The setting that was chosen; empty for a file.
        bytes_before: Of the original bundle.
        bytes_after: Of the bundle or the file.
        chosen: Name of the setting.
        eight_bits: What they cost; None in fp32.
    """

    path: Path
    parity: Parity
    on_data: Parity | None
    bytes_before: int
    bytes_after: int
    speeds: tuple[Speed, ...] = ()
    runtime: Mapping[str, Any] = field(default_factory=dict)
    chosen: str = ""
    eight_bits: EightBits | None = None

    @property
    def gain(self) -> float | None:
        """Rows a second of the chosen setting over those of the fastest in fp32, PyTorch or this graph."""
        rates = {speed.name: speed.rows_per_second for speed in self.speeds}
        if self.chosen not in rates:
            return None
        rivals = [rate for name, rate in rates.items() if name == PYTORCH or name.startswith(FP32)]
        return rates[self.chosen] / max(rivals)

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "path": str(self.path),
            "parity": self.parity.to_dict(),
            "on_data": None if self.on_data is None else self.on_data.to_dict(),
            "bytes": {"before": self.bytes_before, "after": self.bytes_after},
            "speeds": [speed.to_dict() for speed in self.speeds],
            "runtime": dict(self.runtime),
            "chosen": self.chosen,
            "gain": self.gain,
            "eight_bits": None if self.eight_bits is None else self.eight_bits.to_dict(),
        }


def export(
    folder: str | Path,
    out: str | Path,
    *,
    to: str = "onnx",
    int8: bool = False,
    static: bool = False,
    max_drop: float = MAX_DROP,
    columns: Mapping[str, Sequence[Any]] | None = None,
    labelled: Labelled | None = None,
    force: bool = False,
    seconds: float = 2.0,
    listener: Listener = lambda event: None,
) -> Exported:
    """Write the model of a bundle as a graph.

    Args:
        folder: A bundle that PyTorch runs.
        out: A bundle that answers without PyTorch; or, ending in `.onnx` or `.pt2`, the graph alone.
        to: `onnx` or `torch`.
        int8: Whether weights and activations of large products become of eight bits; ONNX only.
        static: Whether the ranges of activations are fixed on `columns`; else each position has its own.
        max_drop: Points of each target that eight bits may lose on `labelled`; operators stay in fp32 until it holds.
        columns: Raw rows to compare on besides synthetic ones; rows that training has seen.
        labelled: Rows whose answer is known, not those of `columns`.
        force: Whether what stands at `out` goes.
        seconds: How long each setting is timed.
        listener: Hears what is done.

    Raises:
        OutputExists: Something stands at `out`.
        UsageError: `out` does not fit `to`, the bundle is an exported one, `static` without rows, or `not_exportable`.
        MissingExtra: ONNX is not installed.
        GateNotMet: `parity`: the graph answers otherwise; `max_drop`: it loses too much. Nothing was written.
        BundleRefused: `folder` is not what it was when it was sealed.
    """
    final = Path(out)
    write = _writer(final, to, int8=int8)
    refuse_existing(final, force=force)
    if to == "onnx":
        require_onnx()
    bundle = open_bundle(folder)
    model = _model(bundle)
    listener(Event("phase", f"tracing {folder}", {}))
    raw = probes(bundle)
    real = given_rows(bundle, columns) if columns else []
    rows, given = encoded(bundle, raw), encoded(bundle, real)
    inputs = collated(bundle, _unequal(bundle, rows))
    names = names_of(inputs)
    asked = Asked(static, max_drop, labelled) if int8 else None
    task = Task(bundle, final, real or raw, rows, given, names, asked, force=force, seconds=seconds, listener=listener)
    free = free_axes([collated(bundle, [row]) for row in rows + given])
    # What stands in a bundle is asked by its modalities alone; who takes a graph for other tools may ask for anything.
    asked_for = without_unread(model, bundle.config, bundle.modalities) if write is write_bundle else model
    return write(task, trace(asked_for, inputs, free))


@dataclass(frozen=True)
class Task:
    """What every way to write needs.

    Args:
        bundle: The original.
        out: Where the result will stand.
        raw: Rows to time, the given ones where there are any.
        rows: Synthetic rows, encoded.
        given: Rows of given data, encoded.
        names: `(column, array)` of each input.
        asked: How the graph is of eight bits; None: it is not.
        force: Whether what stands at `out` goes.
        seconds: How long each setting is timed.
        listener: Hears what is done.
    """

    bundle: Bundle
    out: Path
    raw: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    given: Sequence[Row]
    names: Sequence[tuple[str, str]]
    asked: Asked | None
    force: bool
    seconds: float
    listener: Listener

    @property
    def targets(self) -> list[str]:
        """Names in order."""
        return [target.name for target in self.bundle.schema.targets]

    @property
    def size(self) -> int:
        """Bytes of the original's weights and all else."""
        files = self.bundle.manifest.files.values() if self.bundle.manifest is not None else ()
        return sum(int(entry["bytes"]) for entry in files)

    def graph(self, program: Any) -> Any:
        """The `onnx.ModelProto` of a traced model, in fp32."""
        return to_onnx(program, self.names, self.targets)

    def eight_bits(self, model: Any) -> EightBits | None:
        """The same in eight bits, if they are asked for.

        Raises:
            GateNotMet: In fp32 it answers otherwise than the bundle, or eight bits lose too much or are wrong.
        """
        if self.asked is None:
            return None
        self.checked(self.ready(model), exact=True)
        shown = Shown(self.bundle, self.rows, self.given)
        return in_eight_bits(model, shown, self.asked, ready=self.ready, listener=self.listener)

    def ready(self, model: Any) -> Backend:
        """An `onnx.ModelProto` that can answer."""
        graph, weights = split(model)
        setting = next(iter(_settings().values()))
        return GRAPH_BACKENDS[BACKEND](self.bundle.config, weights, Graph(graph, setting))

    def checked(self, candidate: Backend, *, exact: bool) -> tuple[Parity, Parity | None]:
        """The parity of a candidate that passed, on synthetic and on given rows.

        Raises:
            GateNotMet: It did not.
        """
        self.listener(Event("phase", f"comparing answers on {len(self.rows) + len(self.given)} rows", {}))
        parity = compare(self.bundle, candidate, self.rows, bounds=EXACT if exact else EIGHT_BITS_SYNTHETIC)
        require(parity)
        if not self.given:
            return parity, None
        on_data = compare(self.bundle, candidate, self.given, bounds=EXACT if exact else EIGHT_BITS)
        require(on_data)
        return parity, on_data


def _writer(out: Path, to: str, *, int8: bool) -> "Callable[[Task, Any], Exported]":
    ways = {
        ("onnx", ""): write_bundle,
        ("onnx", ".onnx"): write_onnx,
        ("torch", ".pt2"): write_program,
    }
    ending = out.suffix if out.suffix in (".onnx", ".pt2") else ""
    if (to, ending) not in ways:
        raise UsageError(
            f"--to {to} cannot be written to {out}",
            "--to onnx writes a folder or NAME.onnx, --to torch writes NAME.pt2",
        )
    if int8 and to != "onnx":
        raise UsageError(f"--int8 is for ONNX, not for --to {to}", "leave out one of them")
    return ways[to, ending]


def write_bundle(task: Task, program: Any) -> Exported:
    """A bundle that holds the graph and answers without PyTorch."""
    model = task.graph(program)
    shrunk = task.eight_bits(model)
    graph, weights = split(model if shrunk is None else shrunk.model)
    settings = _settings()
    backends = _under(task, graph, weights, settings)
    found = task.checked(next(iter(backends.values())), exact=shrunk is None)
    rivals = {PYTORCH: task.bundle.backend}
    if shrunk is not None:
        rivals |= {f"{FP32}{name}": one for name, one in _under(task, *split(model), settings).items()}
    task.listener(Event("phase", f"timing {', '.join([*rivals, *backends])}", {}))
    speeds = measure(task.bundle, {**rivals, **backends}, task.raw, seconds=task.seconds)
    chosen = min((speed for speed in speeds if speed.name in settings), key=lambda speed: speed.cost)
    record = _record(found, shrunk) | {
        "runtime": settings[chosen.name],
        "chosen": chosen.name,
        "measured": [speed.to_dict() for speed in speeds],
    }
    derived = Derived(BACKEND, graph, weights, record, _notes(task, found, shrunk), exact=shrunk is None)
    try:
        made = derive(task.out, task.bundle, derived, force=task.force)
    except BundleRefused as error:
        raise GateNotMet(
            f"the exported bundle was not accepted: {error.what}", "nothing was written", code="parity"
        ) from error
    files = made.manifest.files.values() if made.manifest is not None else ()
    after = sum(int(entry["bytes"]) for entry in files)
    return Exported(
        task.out,
        *found,
        bytes_before=task.size,
        bytes_after=after,
        speeds=tuple(speeds),
        runtime=settings[chosen.name],
        chosen=chosen.name,
        eight_bits=shrunk,
    )


def _under(
    task: Task, graph: bytes, weights: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Backend]:
    """A graph under each setting."""
    build = GRAPH_BACKENDS[BACKEND]
    return {name: build(task.bundle.config, weights, Graph(graph, one)) for name, one in settings.items()}


def write_onnx(task: Task, program: Any) -> Exported:
    """The graph alone, its weights inside, for other tools."""
    model = task.graph(program)
    shrunk = task.eight_bits(model)
    model = model if shrunk is None else shrunk.model
    found = task.checked(task.ready(model), exact=shrunk is None)
    facts = {
        "underlay.parity": _record(found, shrunk),
        "underlay.targets": task.bundle.schema.to_dict()["targets"],
        "underlay.bundle": task.bundle.manifest.seal if task.bundle.manifest is not None else "",
    }
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=json.dumps(value, ensure_ascii=False))
    return _put(task, model.SerializeToString(deterministic=True), found, shrunk)


def write_program(task: Task, program: Any) -> Exported:
    """A file of `torch.export`."""
    data = save_program(program)
    return _put(task, data, task.checked(ProgramBackend(data, task.names, task.targets), exact=True))


def _put(task: Task, data: bytes, found: tuple[Parity, Parity | None], eight_bits: EightBits | None = None) -> Exported:
    write_file(task.out, data)
    return Exported(task.out, *found, task.size, len(data), eight_bits=eight_bits)


def _model(bundle: Bundle) -> Any:
    if not isinstance(bundle.backend, TorchBackend):
        raise UsageError(f"{bundle.path} holds a graph already", "export the bundle that `fit` wrote")
    return bundle.backend.model


def _unequal(bundle: Bundle, rows: Sequence[Row]) -> list[Row]:
    """Rows to trace, from the longest to the shortest."""
    lengths = [sum(bundle.modalities[name].length(arrays) for name, arrays in row.items()) for row in rows]
    order = sorted(range(len(rows)), key=lambda row: -lengths[row])
    return [rows[order[place * (len(rows) - 1) // (TRACED - 1)]] for place in range(TRACED)]


def _settings() -> dict[str, dict[str, Any]]:
    """Ways to run a graph, of which the fastest is kept: memory that is kept, or given back; one core, or all."""
    threads = {"one thread": 1} if cores() == 1 else {"all threads": 0, "one thread": 1}
    return {
        f"ONNX Runtime, {name}{'' if arena else ', no arena'}": {"threads": count, "arena": arena}
        for name, count in threads.items()
        for arena in (True, False)
    }


def _record(found: tuple[Parity, Parity | None], eight_bits: EightBits | None) -> dict[str, Any]:
    parity, on_data = found
    return {
        "to": "onnx",
        "precision": "fp32" if eight_bits is None else "int8",
        **({} if eight_bits is None else {"eight_bits": eight_bits.to_dict()}),
        "parity": parity.to_dict(),
        "on_data": None if on_data is None else on_data.to_dict(),
        "machine": machine_fingerprint(),
        "versions": {**versions(), "onnx": installed("onnx"), "onnxscript": installed("onnxscript")},
    }


def _notes(task: Task, found: tuple[Parity, Parity | None], eight_bits: EightBits | None) -> str:
    seal = task.bundle.manifest.seal if task.bundle.manifest is not None else ""
    kind = "An ONNX graph" if eight_bits is None else f"An ONNX graph of eight bits ({eight_bits.scheme})"
    said = [
        f"On {one.rows} {what} rows, in batches of which {one.padding:.0%} was padding, scores differed by up to "
        f"{one.difference:.1e} and {one.decisions} of {one.decided} decisions changed."
        for what, one in zip(("synthetic", "given"), found, strict=True)
        if one is not None
    ]
    if eight_bits is not None and eight_bits.losses:
        rows = eight_bits.losses[0].rows
        said.append(f"Eight bits {in_words(eight_bits.losses)} on {rows} rows that were not trained on.")
    return f"## Exported\n\n{kind} made from the bundle {seal[:12]}, whose figures are above. {' '.join(said)}\n"
