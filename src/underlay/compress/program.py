"""A traced model as a file of `torch.export`, and what answers from such a file."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from underlay.core import Inputs, UsageError


class ProgramBackend:
    """Answers with a saved program, as read back from its bytes.

    Args:
        data: The file.
        names: `(column, array)` of each input.
        targets: In the order of the outputs.
    """

    def __init__(self, data: bytes, names: Sequence[tuple[str, str]], targets: Sequence[str]) -> None:
        self._module = torch.export.load(io.BytesIO(data)).module()
        self._names, self._targets = list(names), list(targets)

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        """Logits by target, float32."""
        arrays = [torch.from_numpy(np.ascontiguousarray(inputs[column][name])) for column, name in self._names]
        with torch.inference_mode():
            found = self._module(*arrays)
        return {target: logits.float().numpy() for target, logits in zip(self._targets, found, strict=True)}


def save_program(program: torch.export.ExportedProgram) -> bytes:
    """The file of a program.

    Raises:
        UsageError: `not_exportable`: it holds operations of ONNX, which PyTorch cannot run.
    """
    foreign = sorted({str(node.target) for node in program.graph.nodes if str(node.target).startswith("onnx")})
    if foreign:
        raise UsageError(
            f"a recurrent trunk is exported to ONNX only: PyTorch has no operation for {foreign[0]}",
            "use --to onnx",
            code="not_exportable",
        )
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()
