"""Checkpoints: whole or absent, newest valid first, plain tensors and JSON."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from underlay.core import CheckpointRefused
from underlay.core.durable import publish_folder, resource_errors, staging
from underlay.objectives import State

KEEP = 2
"""Checkpoints kept: the newest, and one to fall back on."""


@dataclass
class Progress:
    """Where a run stands; with the tensors beside it, all that a resumed run needs.

    Every random number of a step is drawn from the seed and the step's number, so no generator is stored.

    Args:
        step: Optimiser steps done.
        epoch: Epochs done.
        index: Batches of this epoch done.
        history: One record a logging interval and a validation, in order.
        pending: Losses of steps that await their mean in the history.
        best: Score of the best validation so far, larger is better.
        best_step: Where it was.
        waited: Validations since the best.
        retries: Restarts after a loss that was not finite.
        seconds: Time spent training, over all resumptions.
        stopped: Why the run ended before its last epoch: `early` or `time`; empty otherwise.
    """

    step: int = 0
    epoch: int = 0
    index: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    pending: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    best_step: int = 0
    waited: int = 0
    retries: int = 0
    seconds: float = 0.0
    stopped: str = ""


@dataclass
class RunState:
    """Everything that changes while training.

    Args:
        progress: Counters and history.
        terms: State of every loss term.
        best: The learning parameters at the best validation.
    """

    progress: Progress
    terms: dict[str, State]
    best: dict[str, Tensor]


class Checkpoints:
    """The checkpoints of one run, in one folder.

    Args:
        folder: Made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused: list[str] = []

    def save(self, module: nn.Module, optimizer: torch.optim.Optimizer, state: RunState) -> Path:
        """Write one, sync it, make it visible by one rename; then drop all but the newest `KEEP`."""
        final = self.folder / f"step-{state.progress.step:09d}"
        tensors, groups = _flatten_optimizer(optimizer)
        files = {
            "parameters.safetensors": save(learning_tensors(module)),
            "best.safetensors": save(state.best),
            "optimizer.safetensors": save(tensors),
            "terms.safetensors": save(_flatten_terms(state.terms)),
            "progress.json": _json(
                {"progress": asdict(state.progress), "groups": groups, "terms": sorted(state.terms)}
            ),
        }
        digests = {name: sha256(data).hexdigest() for name, data in files.items()}
        with staging(final) as folder:
            with resource_errors(folder):
                for name, data in files.items():
                    (folder / name).write_bytes(data)
                (folder / "manifest.json").write_bytes(_json({"format": 1, "files": digests}))
            publish_folder(folder, final, replace=True)
        for old in self._newest_first()[KEEP:]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def restore(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> RunState | None:
        """Load the newest valid checkpoint into `module` and `optimizer`; None if there has never been one.

        `refused` names the damaged ones that were passed over.

        Raises:
            CheckpointRefused: There are checkpoints and none is valid.
        """
        folders = self._newest_first()
        for folder in folders:
            try:
                files = _read(folder)
                return _apply(files, module, optimizer)
            except (OSError, ValueError, KeyError, CheckpointRefused) as problem:
                self.refused.append(f"{folder.name}: {problem}")
        if folders:
            raise CheckpointRefused(
                f"none of the {len(folders)} checkpoints in {self.folder} is valid ({'; '.join(self.refused)})",
                "start the run again with --force",
            )
        return None

    @property
    def begun(self) -> bool:
        """Whether a checkpoint was ever written, valid or not."""
        return bool(self._newest_first())

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)


def learning_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters that learn and all buffers, by name; what is frozen comes back from the recipe."""
    tensors = {name: tensor for name, tensor in module.named_parameters() if tensor.requires_grad}
    return {name: tensor.detach().contiguous() for name, tensor in {**tensors, **dict(module.named_buffers())}.items()}


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `learning_tensors` gave.

    Raises:
        CheckpointRefused: A name or a shape is not the module's.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        if name not in own or own[name].shape != tensor.shape:
            raise CheckpointRefused(f"{name!r} {list(tensor.shape)} is not a tensor of this model")
        own[name].data.copy_(tensor)


def _read(folder: Path) -> dict[str, bytes]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = {}
    for name, digest in manifest["files"].items():
        files[name] = (folder / name).read_bytes()
        if sha256(files[name]).hexdigest() != digest:
            raise CheckpointRefused(f"{name} is not the file that was written")
    return files


def _apply(files: Mapping[str, bytes], module: nn.Module, optimizer: torch.optim.Optimizer) -> RunState:
    record = json.loads(files["progress.json"])
    load_tensors(module, load(files["parameters.safetensors"]))
    _restore_optimizer(optimizer, load(files["optimizer.safetensors"]), record["groups"])
    terms: dict[str, State] = {name: {} for name in record["terms"]}  # a term without memory has no tensor
    for name, tensor in load(files["terms.safetensors"]).items():
        term, _, key = name.partition("/")
        terms.setdefault(term, {})[key] = tensor
    return RunState(Progress(**record["progress"]), terms, load(files["best.safetensors"]))


def _flatten_terms(terms: Mapping[str, State]) -> dict[str, Tensor]:
    return {f"{term}/{key}": tensor.contiguous() for term, state in terms.items() for key, tensor in state.items()}


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    packed = optimizer.state_dict()
    tensors = {
        f"{index}/{name}": value.contiguous()
        for index, values in packed["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    return tensors, packed["param_groups"]


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _json(data: object) -> bytes:
    return json.dumps(data, indent=1).encode()
