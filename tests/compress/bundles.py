"""Sealed bundles of untrained models, one of each modality: what is exported needs no training to be compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.modalities.examples import EXAMPLES

from underlay.bundle import Contents, seal
from underlay.core import Column, Schema, Target
from underlay.models import Backbone, build, configure, configure_fused

SIZES = {
    "transformer.v1": {"width": 12, "depth": 2, "heads": 2, "inner": 20},
    "convolution.v1": {"width": 12, "depth": 2, "kernels": [3, 5]},
    "recurrent.v1": {"width": 12, "depth": 1},
    "inception.v1": {"width": 12, "depth": 1, "kernels": [3, 5, 9], "modules": 2},
    "identity.v1": {},
    "residual.v1": {"stages": [[1, 8], [2, 16]], "width": 16, "groups": 4},
}
LABEL = Target("label", "multiclass", ("red", "green", "blue"))


def backbone(trunk: str, **options: Any) -> Backbone:
    return Backbone("small", {"name": trunk, **SIZES[trunk], **options})


def perturbed(config: Mapping[str, Any], *, seed: int = 0) -> Any:
    """A model whose answers depend on everything: the small first values would hide what went wrong."""
    model = build(config, seed=seed)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def sealed(
    folder: Path,
    columns: Mapping[str, Any],
    *,
    trunk: str = "transformer.v1",
    targets: Sequence[Target] = (LABEL,),
    fusion: str | None = None,
    **options: Any,
) -> Path:
    """Seal a bundle over fitted modalities.

    Args:
        folder: Where it will stand.
        columns: Fitted modalities by name.
        trunk: Of all columns, or of each under a fusion.
        targets: What it answers.
        fusion: Name in `FUSIONS`; None: one trunk.
        options: Of the trunk.
    """
    described = {name: dict(modality.describe()) for name, modality in columns.items()}
    outputs = {target.name: target.outputs for target in targets}
    if fusion is None:
        dense = [target.name for target in targets if target.dense]
        config = configure(backbone(trunk, **options), columns=described, outputs=outputs, dense=dense)
    else:
        branches = [(backbone(trunk, **options), {name: one}) for name, one in described.items()]
        config = configure_fused(branches, outputs=outputs, fusion=fusion, width=16)
    schema = Schema(
        tuple(Column(name, modality.name.partition(".")[0]) for name, modality in columns.items()), tuple(targets)
    )
    weights = {name: tensor.numpy() for name, tensor in perturbed(config).state_dict().items()}
    seal(folder, Contents(schema, columns, config, weights))
    return folder


def fitted(key: str, **options: Any) -> Any:
    """The modality of an example, fitted on its values."""
    example = EXAMPLES[key]()
    modality = example.unfitted() if not options else type(example.unfitted()).create(
        assets={}, limit=128, options={"max_length": 32, "long": "head-tail", **example.options, **options}
    )  # fmt: skip
    return modality.fit(example.train, np.random.default_rng(0))


def values(key: str) -> list[Any]:
    """Values of an example, as people have them."""
    return list(EXAMPLES[key]().values)
