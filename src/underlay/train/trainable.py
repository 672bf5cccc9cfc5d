"""A batch in, the objective's value out: the one module that is compiled or wrapped for many devices."""

from collections.abc import Mapping
from typing import cast

from torch import nn

from underlay.core import Batch
from underlay.objectives import Learner, Objective, State, Step, Value


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

    @property
    def learner(self) -> Learner:
        """The model, as loss terms see it."""
        return cast("Learner", self.model)

    def forward(self, batch: Batch, state: Mapping[str, State], number: int) -> Value:
        """The objective at optimiser step `number`, with the terms' next state."""
        model = self.learner
        embedded = model.embed(batch.inputs)
        output = model.encode(embedded, model.mask(batch.inputs))
        return self.objective(state, Step(batch, embedded, output, model, number))
