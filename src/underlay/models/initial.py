"""First values of every parameter, from the seed and the parameter's name alone."""

import math

import torch
from torch import Tensor, nn

from underlay.core import derive_seed

SPREAD = 0.02
"""Standard deviation of word vectors and transformer weights (BERT, GPT-2)."""


class OwnParameters(nn.Module):
    """A module that holds parameters of its own (a class token, learned positions), which start as word vectors do."""


def initialise(model: nn.Module, *, seed: int) -> None:
    """Fill every parameter of `model`.

    Each parameter draws from a stream of its own, so that another head or a deeper trunk changes no other value.
    """
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            where = f"{path}.{name}" if path else name
            generator = torch.Generator().manual_seed(derive_seed(seed, f"initial/{where}"))
            with torch.no_grad():
                _fill(module, name, parameter, generator)


def _fill(module: nn.Module, name: str, parameter: Tensor, generator: torch.Generator) -> None:
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        parameter.fill_(1.0 if name == "weight" else 0.0)
    elif isinstance(module, nn.Embedding | nn.Linear):
        parameter.zero_() if name == "bias" else parameter.normal_(0.0, SPREAD, generator=generator)
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        # He et al. 2015: the variance of a signal survives a rectified convolution
        spread = math.sqrt(2 / (module.in_channels // module.groups * math.prod(module.kernel_size)))
        parameter.zero_() if name == "bias" else parameter.normal_(0.0, spread, generator=generator)
    elif isinstance(module, nn.RNNBase):
        bound = 1 / math.sqrt(module.hidden_size)
        parameter.zero_() if name.startswith("bias") else parameter.uniform_(-bound, bound, generator=generator)
    elif isinstance(module, OwnParameters) or getattr(module, "own_parameters", False):
        parameter.normal_(0.0, SPREAD, generator=generator)
    else:
        raise TypeError(f"no rule for the first value of {name!r} in a {type(module).__name__}")
