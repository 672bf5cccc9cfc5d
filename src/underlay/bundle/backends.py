"""What computes logits, by name; the only place that knows PyTorch could be absent."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from underlay.bundle.graph import Graph
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

GRAPH_BACKENDS: Registry[Callable[[Mapping[str, Any], Mapping[str, np.ndarray], Graph], Backend]] = Registry(
    "backend of a graph"
)
"""The same for a bundle that holds a graph: what computes stands in it, the large weights beside it."""


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


@GRAPH_BACKENDS("onnx.v1")
def onnx_backend(config: Mapping[str, Any], weights: Mapping[str, np.ndarray], graph: Graph) -> Backend:
    """An exported graph under ONNX Runtime on the CPU.

    Args:
        config: What `models.configure` gave.
        weights: The large tensors of the graph by name.
        graph: The file, and how it is run.

    Raises:
        MissingExtra: ONNX Runtime is not installed.
        BundleRefused: The graph cannot be run, or does not fit the config.
    """
    try:
        from underlay.bundle.onnx_backend import OnnxBackend
    except ImportError as error:
        raise MissingExtra("answering with an exported model", "onnx") from error
    return OnnxBackend(config, weights, graph)
