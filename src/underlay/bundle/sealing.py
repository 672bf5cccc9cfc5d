"""A model -> a folder that is whole or absent, and has answered its golden rows from the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from underlay.bundle.bundle import Bundle
from underlay.bundle.card import render_card
from underlay.bundle.golden import make_golden
from underlay.bundle.layout import (
    CARD,
    CONFIG,
    FORMAT,
    GOLDEN,
    LABELS,
    MANIFEST,
    METRICS,
    PROVENANCE,
    REFERENCE,
    WEIGHTS,
)
from underlay.bundle.machine import machine_fingerprint, versions
from underlay.bundle.manifest import read_sealed, render_manifest
from underlay.bundle.opening import assemble, open_bundle
from underlay.bundle.rules import Rule, render_labels
from underlay.bundle.strict_json import dump, parse
from underlay.bundle.weights import write_weights
from underlay.core import Modality, OutputExists, Schema
from underlay.core.durable import publish_folder, resource_errors, staging, write_file

Measure = Callable[[Bundle], Mapping[str, Any]]


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of.

    Args:
        schema: Columns and targets, labels in their order.
        modalities: Fitted, by column.
        model: What `models.configure` gave.
        weights: The model's state by name: NumPy arrays or CPU tensors.
        calibration: By target: `temperature`, `threshold(s)`, `mean`, `scale`; what is left out is neutral.
        metrics: What was measured; better measured by `seal` on what stands on disk.
        provenance: Recipe, seeds, versions, data digests; `history` is what training logged.
        reference: What `reference_sketch` gave.
        notes: Markdown for the card: purpose, limits.
        seed: Decides the golden probes.
        parent: Seal of the bundle this was made from.
        backend: Name in `BACKENDS`.
    """

    schema: Schema
    modalities: Mapping[str, Modality]
    model: Mapping[str, Any]
    weights: Mapping[str, Any]
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    seed: int = 0
    parent: str | None = None
    backend: str = "torch.v1"


def seal(folder: str | Path, contents: Contents, *, measure: Measure | None = None, force: bool = False) -> Bundle:
    """Write a bundle and open it: staged beside, replayed from the disk, published by one rename.

    Args:
        folder: Where it will stand.
        contents: What it is made of.
        measure: Gives `metrics` from the bundle as re-read from disk, so that the card's figures are its own.
        force: Whether what stands there goes.

    Raises:
        OutputExists: Something stands at `folder`; nothing changed.
        BundleRefused: It does not answer from disk as it did in memory; nothing is left of it.
        ResourceError: The disk failed; nothing is left of it.
    """
    final = Path(folder)
    refuse_existing(final, force=force)
    with staging(final) as place:
        files = _files(contents)
        write_files(place, files, files, contents.parent)
        bundle = open_bundle(place)
        if measure is not None:
            figures = figures_of(contents, {**contents.metrics, **measure(bundle)})
            write_files(place, figures, files | figures, contents.parent)
            # The other files still have the bytes that were replayed.
            manifest, read = read_sealed(place)
            metrics, card = parse(read[METRICS], METRICS), read[CARD].decode()
            bundle = replace(bundle, manifest=manifest, metrics=metrics, card=card)
        publish_folder(place, final, replace=force)
    return replace(bundle, path=final)


def save_copy(bundle: Bundle, folder: str | Path, *, force: bool = False) -> Bundle:
    """The same bundle, byte for byte, in another place.

    Args:
        bundle: One that stands on disk.
        folder: Where the copy will stand.
        force: Whether what stands there goes.

    Raises:
        OutputExists: Something stands at `folder`.
        BundleRefused: The original is no longer what it was.
    """
    final = Path(folder)
    if bundle.path is None:
        raise OutputExists("this bundle stands on no disk yet", "seal it first")
    refuse_existing(final, force=force)
    manifest, files = read_sealed(bundle.path)
    with staging(final) as place:
        for path, data in files.items():
            _put(place, path, data)
        write_file(place / MANIFEST, (bundle.path / MANIFEST).read_bytes())
        if read_sealed(place)[0].seal != manifest.seal:
            raise OutputExists(f"{bundle.path} changed while it was copied", "copy it again")
        publish_folder(place, final, replace=force)
    return open_bundle(final, replay=False)


def refuse_existing(final: Path, *, force: bool) -> None:
    """Say early that the output would not be written.

    Raises:
        OutputExists: Something stands there and `force` is false.
    """
    if not force and (final.exists() or final.is_symlink()):
        raise OutputExists(f"{final} exists already", "pass --force to replace it, or another --out")


def _files(contents: Contents) -> dict[str, bytes]:
    """Every file but the manifest, golden rows answered by what was just put together in memory."""
    schema = contents.schema
    folders = {column.name: f"modality/{place:02d}" for place, column in enumerate(schema.columns)}
    modalities = {
        column.name: {"name": contents.modalities[column.name].name, "folder": folders[column.name]}
        for column in schema.columns
    }
    config = {
        "format": FORMAT,
        "backend": contents.backend,
        "schema": schema.to_dict(),
        "modalities": modalities,
        "model": contents.model,
    }
    sealed = {"machine": machine_fingerprint(), "versions": versions()}
    files = {
        f"{folders[column]}/{name}": data
        for column in folders
        for name, data in contents.modalities[column].state().items()
    }
    files |= {
        CONFIG: dump(config),
        WEIGHTS: write_weights(contents.weights),
        LABELS: dump(render_labels(rules_of(contents))),
        REFERENCE: dump(contents.reference),
        PROVENANCE: dump({**contents.provenance, "sealed": sealed}),
        **figures_of(contents, contents.metrics),
    }
    files[GOLDEN] = make_golden(assemble(None, None, files), seed=contents.seed)
    return files


def rules_of(contents: Contents) -> dict[str, Rule]:
    """By target, how its answers are read from its scores."""
    known = contents.calibration
    return {
        target.name: Rule.from_calibration(target, known.get(target.name, {})) for target in contents.schema.targets
    }


def figures_of(contents: Contents, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """The files that hold what was measured: the metrics and the card."""
    card = render_card(contents.schema, metrics, contents.provenance, contents.notes)
    return {METRICS: dump(metrics), CARD: card.encode()}


def write_files(place: Path, changed: Mapping[str, bytes], files: Mapping[str, bytes], parent: str | None) -> None:
    """Write the files that changed, then the manifest of all: without it there is no bundle."""
    for path, data in changed.items():
        _put(place, path, data)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = render_manifest(files, underlay=versions()["underlay"], created=created, parent=parent)
    write_file(place / MANIFEST, manifest)


def _put(place: Path, path: str, data: bytes) -> None:
    target = place / path
    with resource_errors(target.parent):
        for parent in reversed(target.relative_to(place).parents[:-1]):
            (place / parent).mkdir(mode=0o700, exist_ok=True)
    write_file(target, data)
