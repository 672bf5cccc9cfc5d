"""A model of ours as a graph of arrays: `torch.export`, and from that ONNX."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from underlay.compress.padded import padded
from underlay.core import Inputs, MissingExtra, UsageError
from underlay.models import FusedModel, SignalModel

OPSET = 20
"""Of ONNX; the first that has Gelu, and read by every ONNX Runtime since 1.17 (2024)."""


class ByPosition(nn.Module):
    """A model whose inputs and outputs stand in a row, as a graph has them.

    Args:
        model: What computes.
        names: `(column, array)` of each input.
    """

    def __init__(self, model: SignalModel | FusedModel, names: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *arrays: Tensor) -> tuple[Tensor, ...]:
        """Logits in the order of the targets."""
        inputs: dict[str, dict[str, Tensor]] = {}
        for (column, name), array in zip(self.names, arrays, strict=True):
            inputs.setdefault(column, {})[name] = array
        logits = self.model(inputs).logits
        return tuple(logits[target] for target in self.model.targets)


def names_of(inputs: Inputs) -> list[tuple[str, str]]:
    """`(column, array)` of each array, in order."""
    return [(column, name) for column, arrays in inputs.items() for name in arrays]


def trace(
    model: SignalModel | FusedModel, inputs: Inputs, free: Mapping[tuple[str, str], Sequence[int]]
) -> torch.export.ExportedProgram:
    """The model as a program of tensor operations, for any number of rows and positions.

    Args:
        model: Of ours; it is not changed.
        inputs: NumPy arrays of some rows of unequal length.
        free: What `free_axes` gave.

    Raises:
        UsageError: `not_exportable`: a part of it decides by the data what it computes.
    """
    names = names_of(inputs)
    arrays = tuple(torch.from_numpy(np.ascontiguousarray(inputs[column][name])) for column, name in names)
    open_axes = tuple(dict.fromkeys(free[name], torch.export.Dim.DYNAMIC) for name in names)
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(ByPosition(padded(model), names), arrays, dynamic_shapes=(open_axes,))
    except Exception as error:
        # What PyTorch raises here is of a dozen classes, none of them public.
        raise _refused(error) from error


def free_axes(examples: Sequence[Inputs]) -> dict[tuple[str, str], list[int]]:
    """By `(column, array)`: the axes that may have any length.

    Those are the rows; what differs between the examples; and what a column's `mask`, if it has one, counts.

    Args:
        examples: Batches of unequal length.

    >>> short, long = ({"text": {"ids": np.zeros((1, n)), "mask": np.zeros((1, n))}} for n in (3, 5))
    >>> free_axes([short, long])
    {('text', 'ids'): [0, 1], ('text', 'mask'): [0, 1]}
    """
    free = {}
    for column, name in names_of(examples[0]):
        shapes = [example[column][name].shape for example in examples]
        masks = [example[column]["mask"].shape if "mask" in example[column] else () for example in examples]
        counted = all(mask[1:2] == shape[1:2] != () for mask, shape in zip(masks, shapes, strict=True))
        other = [axis for axis in range(1, len(shapes[0])) if len({shape[axis] for shape in shapes}) > 1]
        free[column, name] = sorted({0, *other, *([1] if counted else [])})
    return free


def require_onnx() -> None:
    """Say early that what writes and runs ONNX is not there.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra("writing ONNX", "onnx") from error


def to_onnx(program: torch.export.ExportedProgram, names: Sequence[tuple[str, str]], targets: Sequence[str]) -> Any:
    """The program as an `onnx.ModelProto` with all its weights.

    Args:
        program: What `trace` gave.
        names: `(column, array)` of each input.
        targets: In the order of the outputs.

    Raises:
        UsageError: `not_exportable`: ONNX has no operation for a part of it.
    """
    try:
        with _quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[f"{column}.{name}" for column, name in names],
                output_names=[f"{target}.logits" for target in targets],
            )
    except Exception as error:
        raise _refused(error) from error
    if made is None:
        raise UsageError("the ONNX exporter of PyTorch gave nothing", "report this", code="not_exportable")
    model = made.model_proto
    _name_axes(model.graph)
    _forget_the_trace(model)
    return model


def _name_axes(graph: Any) -> None:
    """Call the free axes what they are, where PyTorch numbers them."""
    for value in [*graph.input, *graph.output]:
        column = value.name.rpartition(".")[0]
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param:
                dimension.dim_param = "rows" if axis == 0 else f"{column} positions"


def _forget_the_trace(model: Any) -> None:
    """Leave out what PyTorch notes of each operation's origin: paths and lines of code, most of the file's bytes."""
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    del model.graph.value_info[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither the exporter's story nor its warnings, which are for the developers of PyTorch."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _refused(error: Exception) -> UsageError:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return UsageError(
        f"this model cannot be exported: {type(error).__name__}: {first[:200]}",
        "docs/how-to/export.md lists what can be",
        code="not_exportable",
    )
