"""The PyTorch side of a bundle: the one file of this room that imports torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from underlay.core import BundleRefused, Inputs
from underlay.models import build


class TorchBackend:
    """Answers with our own model under PyTorch.

    Args:
        config: What `models.configure` gave.
        weights: The model's state by name; copied.
    """

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        _check_numbers(config, weights)
        self.model = build(config, seed=0)
        state = self.model.state_dict()
        _check_schema({name: (tuple(tensor.shape), _name(tensor)) for name, tensor in state.items()}, weights)
        for name, tensor in state.items():
            np.copyto(tensor.numpy(), weights[name])  # a copy: nothing of the file stays in use
        self.model.eval().requires_grad_(requires_grad=False)

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        """Logits by target, float32."""
        with torch.inference_mode():
            tensors = {
                column: {name: torch.from_numpy(array) for name, array in arrays.items()}
                for column, arrays in inputs.items()
            }
            logits = self.model(tensors).logits
        return {target: tensor.float().numpy() for target, tensor in logits.items()}


def _check_numbers(config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
    """Refuse a config whose numbers ask for far more memory than its weights take, before anything is made."""
    most = max([1024, len(weights), *(side for array in weights.values() for side in array.shape)])
    for number in _numbers(config):
        if not 0 <= number <= most:
            raise BundleRefused(
                f"the model's config holds {number}; no side of its weights is longer than {most}", code="config_value"
            )


def _numbers(value: Any) -> list[int]:
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int) else []


def _check_schema(expected: Mapping[str, tuple[tuple[int, ...], str]], weights: Mapping[str, np.ndarray]) -> None:
    found = {name: (array.shape, str(array.dtype)) for name, array in weights.items()}
    if found == dict(expected):
        return
    wrong = [name for name in sorted(set(found) | set(expected)) if found.get(name) != expected.get(name)]
    first = wrong[0]
    raise BundleRefused(
        f"the weights do not fit the model: {first!r:.120} is {found.get(first, 'absent')}, "
        f"the model has {expected.get(first, 'none')} ({len(wrong)} differ)",
        "restore the bundle",
        code="schema_mismatch",
    )


def _name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
