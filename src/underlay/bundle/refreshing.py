"""A bundle whose answers are computed as in another one, and whose calibration, figures and golden rows are its own."""

from dataclasses import replace
from pathlib import Path

from underlay.bundle.bundle import Bundle
from underlay.bundle.golden import make_golden
from underlay.bundle.layout import GOLDEN, LABELS, PROVENANCE, REFERENCE
from underlay.bundle.machine import machine_fingerprint, versions
from underlay.bundle.manifest import read_sealed
from underlay.bundle.opening import assemble, open_bundle
from underlay.bundle.rules import render_labels
from underlay.bundle.sealing import Contents, Measure, figures_of, refuse_existing, rules_of, write_files
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
    told = "\n\n".join(part for part in (contents.notes.strip(), notes.strip()) if part)
    contents = replace(contents, notes=told)
    files = dict(read_sealed(source.path)[1]) | {
        LABELS: dump(render_labels(rules_of(contents))),
        REFERENCE: dump(contents.reference),
        PROVENANCE: dump({**contents.provenance, "sealed": sealed}),
        **figures_of(contents, contents.metrics),
    }
    files[GOLDEN] = make_golden(assemble(None, None, files), seed=contents.seed)
    with staging(final) as place:
        write_files(place, files, files, contents.parent)
        figures = figures_of(contents, {**contents.metrics, **measure(open_bundle(place))})
        write_files(place, figures, files | figures, contents.parent)
        publish_folder(place, final, replace=force)
    return open_bundle(final, replay=False)
