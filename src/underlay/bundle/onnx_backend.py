"""The ONNX Runtime side of a bundle: answers without PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from underlay.bundle.graph import Graph, outside_weights
from underlay.bundle.machine import cores
from underlay.core import BundleRefused, Inputs

_ERRORS_ONLY = 3
"""ONNX Runtime's level of what it logs; warnings about its own choices are for its developers."""


class OnnxBackend:
    """Answers with an exported graph under ONNX Runtime on the CPU.

    An input of the graph is called `column.array`, an output `target.logits`.

    Where one thread runs a batch, as many batches run at once as there are cores (`at_once`): eight bits gain little
    from a second thread within a batch.

    Args:
        config: What `models.configure` gave.
        weights: The large tensors of the graph, by name.
        graph: The file, and how it is run.

    Raises:
        BundleRefused: `graph`: it cannot be run, or does not answer for the model's targets.
    """

    padded = True
    """Padding costs as much as what is real: rows of like length belong into one batch."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray], graph: Graph) -> None:
        names = outside_weights(graph.data, weights)
        options = _options(graph.settings)
        self._kept = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weights[name])) for name in names]
        options.add_external_initializers(names, self._kept)
        try:
            self._session = onnxruntime.InferenceSession(graph.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _refused(f"ONNX Runtime refuses it: {_first_line(error)}") from error
        self.at_once = max(1, cores() // options.intra_op_num_threads)
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = {each.name.removesuffix(".logits"): each.name for each in self._session.get_outputs()}
        if list(self._outputs) != [head["target"] for head in config["heads"]]:
            raise _refused(f"it answers {list(self._outputs)}; the model's targets are others")

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        """Logits by target, float32."""
        given = {f"{column}.{name}": array for column, arrays in inputs.items() for name, array in arrays.items()}
        if missing := [name for name in self._inputs if name not in given]:
            raise _refused(f"it reads {missing}, which the columns do not give")
        try:
            found = self._session.run(list(self._outputs.values()), {name: given[name] for name in self._inputs})
        except Exception as error:
            raise _refused(f"ONNX Runtime cannot run it: {_first_line(error)}") from error
        return dict(zip(self._outputs, found, strict=True))


def _options(settings: Mapping[str, Any]) -> onnxruntime.SessionOptions:
    """A session that wakes no thread while it has nothing to do."""
    threads, arena = settings.get("threads"), settings.get("arena")
    if not isinstance(threads, int) or isinstance(threads, bool) or not isinstance(arena, bool) or threads < 0:
        raise BundleRefused(
            f"the graph is to run with {dict(settings)!r:.120}",
            "threads is 0 or more, arena true or false",
            code="graph",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads, cores()) or cores()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.enable_mem_pattern = False  # it is for inputs of one shape
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _refused(what: str) -> BundleRefused:
    return BundleRefused(f"the graph cannot be used: {what}", "restore the bundle or export it again", code="graph")
