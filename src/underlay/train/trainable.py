"""A batch in, the objective's value out: the one module that is compiled or wrapped for many devices."""

from collections.abc import Mapping
from typing import cast

from torch import nn

from underlay.core import Batch, Model
from underlay.objectives import Objective, State, Step, Value


class Trainable(nn.Module):
    """Model and objective as one module.

    Args:
        model: Anything with `embed`, `mask` and `encode`; its parameters are this module's.
        objective: What is minimised.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch, state: Mapping[str, State], number: int) -> Value:
        """The objective at optimiser step `number`, with the terms' next state."""
        model = cast(Model, self.model)
        embedded = model.embed(batch.inputs)
        mask = model.mask(batch.inputs)
        return self.objective(state, Step(batch, embedded, model.encode(embedded, mask), self.model, number))
