"""A bundle whose answers are computed as in another one, and whose calibration, figures and golden rows are its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from underlay.bundle.bundle import Bundle
from underlay.bundle.card import render_card
from underlay.bundle.golden import make_golden
from underlay.bundle.layout import CARD, GOLDEN, LABELS, METRICS, PROVENANCE, REFERENCE
from underlay.bundle.machine import machine_fingerprint, versions
from underlay.bundle.manifest import read_sealed
from underlay.bundle.opening import assemble, open_bundle
from underlay.bundle.rules import Rule, render_labels
from underlay.bundle.sealing import Contents, Measure, refuse_existing, write_files
from underlay.bundle.strict_json import dump
from underlay.core import UsageError
from underlay.core.durable import publish_folder, staging


def refresh(
    folder: str | Path,
    contents: Contents,
    *,
    source: Bundle,
    measure: Measure,
    notes: str = "",
    force: bool = False,
) -> Bundle:
    """Write and open a bundle with the model of `source` and all else of `contents`.

    Args:
        folder: Where it will stand.
        contents: Calibration, reference, provenance, notes, seed and parent are used.
        source: A bundle that stands on disk; its config, weights, graph and modalities are kept byte for byte.
        measure: Gives the metrics from the bundle as re-read from disk.
        notes: Markdown added to the card.
        force: Whether what stands there goes.

    Raises:
        OutputExists: Something stands at `folder`; nothing changed.
        BundleRefused: It does not answer from disk as it did in memory; nothing is left of it.
        ResourceError: The disk failed; nothing is left of it.
    """
    final = Path(folder)
    refuse_existing(final, force=force)
    if source.path is None:
        raise UsageError("this bundle stands on no disk yet", "seal it first")
    sealed = {"machine": machine_fingerprint(), "versions": versions()}
    rules = {
        target.name: Rule.from_calibration(target, contents.calibration.get(target.name, {}))
        for target in contents.schema.targets
    }
    files = dict(read_sealed(source.path)[1]) | {
        LABELS: dump(render_labels(rules)),
        REFERENCE: dump(contents.reference),
        PROVENANCE: dump({**contents.provenance, "sealed": sealed}),
        **_figures(contents, contents.metrics, notes),
    }
    files[GOLDEN] = make_golden(assemble(None, None, files), seed=contents.seed)
    with staging(final) as place:
        write_files(place, files, files, contents.parent)
        figures = _figures(contents, {**contents.metrics, **measure(open_bundle(place))}, notes)
        write_files(place, figures, files | figures, contents.parent)
        publish_folder(place, final, replace=force)
    return open_bundle(final, replay=False)


def _figures(contents: Contents, metrics: Mapping[str, Any], notes: str) -> dict[str, bytes]:
    told = "\n\n".join(part for part in (contents.notes.strip(), notes.strip()) if part)
    return {METRICS: dump(metrics), CARD: render_card(contents.schema, metrics, contents.provenance, told).encode()}
