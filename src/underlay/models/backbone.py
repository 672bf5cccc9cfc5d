"""A trunk to start from: its shape, its tokenizer, and how its weights enter a model."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.efficientnet_weights import EFFICIENTNET
from underlay.models.families import FAMILIES
from underlay.models.family import SECOND, Naming
from underlay.models.model import SignalModel
from underlay.models.registries import STEMS

NAMINGS: Mapping[str, Naming] = {**FAMILIES, "efficientnet": EFFICIENTNET}
"""By the family of a checkpoint."""

PREPARATION = "preprocessor_config.json"
"""How a checkpoint's own library prepares pictures and recordings."""

_CONFIG_BYTES = 1 << 20
"""A config.json larger than this is none."""


@dataclass(frozen=True)
class Backbone:
    """A trunk to start from, trained or not.

    Args:
        name: As the user wrote it.
        trunk: Registry name and arguments of the trunk.
        stem: Registry name and arguments of the stem it was trained with; None from scratch.
        assets: Files the modality needs (`tokenizer.json`), by name.
        limit: Longest segment it can read; None: any.
        digest: SHA-256 of the weights file.
        credit: Whose work it is, under which licence.
        weights: The safetensors file; None from scratch.
        family: How the names in the file map to ours.
        pooling: The pooling that suits it, where the recipe names none.
        learning_rate: The peak rate that suits it, where the recipe names none; None: by its width.
        suggests: Modality -> options that suit it (`{"image": {"size": 160}}`); the recipe's own come first.
        steps: Optimiser steps it needs from nothing, however few the rows; None: those that the passes over them give.
    """

    name: str
    trunk: Mapping[str, Any]
    stem: Mapping[str, Any] | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    limit: int | None = None
    digest: str | None = None
    credit: str = ""
    weights: Path | None = None
    family: str | None = None
    pooling: str = "mean"
    learning_rate: float | None = None
    suggests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: int | None = None

    def load(self, model: SignalModel) -> None:
        """Copy the trained weights into the trunk and into every stem of the same kind; from scratch: nothing.

        Raises:
            CheckpointRefused: The file is damaged, has other names or shapes, or holds NaN or infinite values.
        """
        if self.weights is None or self.family is None:
            return
        tensors = NAMINGS[self.family].rename(_read_tensors(self.weights), trunk=self.trunk, stem=self.stem)
        kinds = () if self.stem is None else (STEMS[self.stem["name"]],)
        stems = [name for name, stem in model.stems.items() if isinstance(stem, kinds)]
        model.trained = frozenset(column for column in model.columns if isinstance(model.stem(column), kinds))
        trunk_names = {name for name, _ in model.trunk.named_parameters()}
        parameters = dict(model.named_parameters())
        _require_all(
            [*trunk_names, *(name for one in stems for name, _ in model.stems[one].named_parameters())], tensors
        )
        second = {stem for stem in stems if getattr(model.stems[stem], "second", False)}
        with torch.no_grad():
            for name, tensor in tensors.items():
                if name.startswith(SECOND):
                    continue
                if name in trunk_names:
                    _copy(parameters[f"trunk.{name}"], tensor, f"trunk.{name}")
                    continue
                for stem in stems:
                    own = tensors.get(SECOND + name, tensor) if stem in second else tensor
                    _copy(parameters[f"stems.{stem}.{name}"], own, f"stems.{stem}.{name}")


def open_checkpoint(
    files: Mapping[str, Path], *, name: str, digest: str, credit: str, changes: Mapping[str, Any]
) -> Backbone:
    """Read a trained trunk out of its files.

    Args:
        files: `config.json`, `model.safetensors`, and what the family needs or reads besides, wherever they lie.
        name: As the user wrote it.
        digest: SHA-256 of the weights.
        credit: Whose work it is.
        changes: Arguments of the trunk to change.

    Raises:
        CheckpointRefused: The settings are not JSON, or ask for what our trunk does not compute.
    """
    settings = _settings(files["config.json"])
    kind = str(settings.get("model_type"))
    if kind not in FAMILIES:
        raise CheckpointRefused(
            f"{name} is a checkpoint of {kind!r}", f"our trunk computes {', '.join(FAMILIES)}", code="model_type"
        )
    family = FAMILIES[kind]
    if missing := [file for file in family.assets if file not in files]:
        raise CheckpointRefused(
            f"{name} has no {' and no '.join(missing)}, which a checkpoint of {kind!r} comes with",
            "save it with `tokenizer.save_pretrained(folder)` of transformers 5",
            code="checkpoint_files",
        )
    stem, trunk, limit = family.describe(settings)
    for file, refine in family.refined.items():
        stem = {**(stem or {}), **refine(_settings(files[file]))} if file in files else stem
    prepared = _settings(files[PREPARATION]) if PREPARATION in files and family.reads is not None else {}
    return Backbone(
        name=name,
        trunk={**trunk, **changes},
        stem=stem,
        assets={file: files[file].read_bytes() for file in family.assets},
        limit=limit,
        digest=digest,
        credit=credit,
        weights=files["model.safetensors"],
        family=kind,
        pooling=family.pooling or ("last" if trunk.get("causal") else "mean"),
        suggests=family.suggests(stem or {}) if family.reads is None else family.reads(stem, prepared),
    )


def _settings(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _CONFIG_BYTES:
        raise CheckpointRefused(
            f"{path} has {path.stat().st_size:,} bytes", "a config.json is small; is it another file?"
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointRefused(f"{path} is not JSON: {error}", "fetch the checkpoint again") from error
    if not isinstance(settings, dict):
        raise CheckpointRefused(
            f"{path} holds a {type(settings).__name__}, not an object", "fetch the checkpoint again"
        )
    return settings


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, each finite."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointRefused(f"{path} cannot be read: {error}", "fetch it again", code="weights_damaged") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointRefused(
                f"{path}: {name} holds NaN or infinite values", "fetch it again", code="weights_nan"
            )
    return tensors


def _require_all(names: Iterable[str], tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that leave a parameter of the trunk, or of a stem that was trained with it, as it was.

    Raises:
        CheckpointRefused: One is left.
    """
    if missing := sorted(set(names) - set(tensors)):
        raise CheckpointRefused(
            f"the weights do not fit config.json: nothing gives {missing[:5]}",
            "take config.json and model.safetensors from one checkpoint",
            code="weights_names",
        )


def _copy(parameter: Tensor, tensor: Tensor, place: str) -> None:
    if parameter.shape != tensor.shape:
        raise CheckpointRefused(
            f"{place} is {list(tensor.shape)} in the checkpoint, {list(parameter.shape)} by its config.json",
            "take config.json and model.safetensors from one checkpoint",
            code="weights_shape",
        )
    parameter.copy_(tensor)
