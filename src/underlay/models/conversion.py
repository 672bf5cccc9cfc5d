"""Weights that come as a pickle, read once without running code, and kept as safetensors."""

import os
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.core.durable import resource_errors
from underlay.core.wheels import sha256_of


def as_safetensors(path: Path) -> Path:
    """The tensors of a PyTorch file beside it as safetensors; made anew where that file is missing or damaged.

    Args:
        path: A dictionary of tensors, whose digest was checked.

    Raises:
        CheckpointRefused: It holds anything but tensors.
        ResourceError: The folder cannot be written.
    """
    kept = path.with_suffix(".safetensors")
    mark = path.with_suffix(".safetensors.sha256")
    if kept.exists() and mark.exists() and sha256_of(kept) == mark.read_text(encoding="ascii").strip():
        return kept
    tensors = _read(path)
    with resource_errors(path.parent), tempfile.TemporaryDirectory(dir=path.parent, prefix=".convert-") as stage:
        part, part_mark = Path(stage) / kept.name, Path(stage) / mark.name
        save_file(tensors, part)
        part_mark.write_text(sha256_of(part), encoding="ascii")
        os.replace(part, kept)  # of two processes at once, both write the same bytes
        os.replace(part_mark, mark)
    return kept


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises what its bytes happen to mean; each means: not ours
        raise CheckpointRefused(
            f"{path} is no file of weights alone: {(str(error).splitlines() or ['it ends too early'])[0]:.120}",
            f"delete {path} and run the command again",
            code="weights_damaged",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise CheckpointRefused(
            f"{path} holds a {type(found).__name__} of more than tensors",
            f"delete {path} and run the command again",
            code="weights_damaged",
        )
    return {str(name): tensor.detach().clone().contiguous() for name, tensor in found.items()}
