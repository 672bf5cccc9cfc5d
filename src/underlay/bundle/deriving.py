"""A bundle whose answers are computed otherwise: everything but that is the bytes of the one it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from underlay.bundle.bundle import Bundle
from underlay.bundle.golden import make_golden
from underlay.bundle.layout import CARD, CONFIG, EXPORT, GOLDEN, GRAPH, WEIGHTS
from underlay.bundle.manifest import read_sealed
from underlay.bundle.opening import assemble, open_bundle
from underlay.bundle.sealing import refuse_existing, write_files
from underlay.bundle.strict_json import dump, parse
from underlay.bundle.weights import write_weights
from underlay.core import UsageError
from underlay.core.durable import publish_folder, staging


@dataclass(frozen=True)
class Derived:
    """What replaces the weights of a bundle.

    Args:
        backend: Name in `GRAPH_BACKENDS`.
        graph: The ONNX file.
        weights: Its large tensors by name.
        record: What was measured when it was made; `runtime` says how it is run.
        notes: Markdown added to the card.
        exact: Whether it has to answer the golden rows of its parent as that did. Else it is given new ones, from
            `seed`, with its own answers.
        seed: Decides new golden rows.
    """

    backend: str
    graph: bytes
    weights: Mapping[str, np.ndarray]
    record: Mapping[str, Any]
    notes: str = ""
    exact: bool = True
    seed: int = 0


def derive(folder: str | Path, source: Bundle, derived: Derived, *, force: bool = False) -> Bundle:
    """Write and open a bundle that names `source` as its parent: staged beside, replayed, published by one rename.

    Args:
        folder: Where it will stand.
        source: A bundle that stands on disk.
        derived: What replaces its weights.
        force: Whether what stands there goes.

    Raises:
        OutputExists: Something stands at `folder`; nothing changed.
        BundleRefused: It does not answer its golden rows, or `source` is not what it was; nothing is left of it.
        ResourceError: The disk failed; nothing is left of it.
    """
    final = Path(folder)
    refuse_existing(final, force=force)
    if source.path is None:
        raise UsageError("this bundle stands on no disk yet", "seal it first")
    manifest, files = read_sealed(source.path)
    config = {**parse(files[CONFIG], CONFIG), "backend": derived.backend}
    files |= {
        CONFIG: dump(config),
        WEIGHTS: write_weights(derived.weights),
        GRAPH: derived.graph,
        EXPORT: dump(derived.record),
        CARD: files[CARD].rstrip() + b"\n\n" + derived.notes.encode("utf-8") if derived.notes else files[CARD],
    }
    if not derived.exact:
        files[GOLDEN] = make_golden(assemble(None, None, files), seed=derived.seed)
    with staging(final) as place:
        write_files(place, files, files, manifest.seal)
        open_bundle(place)
        publish_folder(place, final, replace=force)
    return open_bundle(final, replay=False)
