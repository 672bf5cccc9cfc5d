"""What computes logits, by name; the only place that knows PyTorch could be absent."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from underlay.core import Inputs, MissingExtra, Registry


class Backend(Protocol):
    """A model that is ready to answer."""

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        """Logits `[B, K]`, of a dense target `[B, L, K]`, by target for collated NumPy inputs.

        The same inputs give the same logits.
        """
        ...


BACKENDS: Registry[Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], Backend]] = Registry("backend")
"""Each entry builds a `Backend` from the model's config and its weights, which it copies, or refuses them."""


@BACKENDS("torch.v1")
def torch_backend(config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Backend:
    """A `SignalModel` under PyTorch, in evaluation mode on the CPU.

    Args:
        config: What `models.configure` gave.
        weights: The model's state by name.

    Raises:
        MissingExtra: PyTorch is not installed.
        BundleRefused: Config and weights do not fit each other.
    """
    try:
        from underlay.bundle.torch_backend import TorchBackend
    except ImportError as error:
        raise MissingExtra("answering with a PyTorch model", "train") from error
    return TorchBackend(config, weights)
