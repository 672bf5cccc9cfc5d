"""A batch in, the objective's value out: the one module that is compiled or wrapped for many devices."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from torch import nn

from underlay.core import Batch
from underlay.objectives import Learner, Objective, State, Step, Value
from underlay.train.mixing import Mixing, blended, partners_of


class Trainable(nn.Module):
    """Model and objective as one module.

    Args:
        model: Anything with `embed`, `mask` and `encode`; its parameters are this module's.
        objective: What is minimised.
        mixing: Makes mixtures of the rows of a batch (mixup, CutMix); None: each row by itself.
    """

    def __init__(self, model: nn.Module, objective: Objective, mixing: Mixing | None = None) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.mixing = mixing

    @property
    def learner(self) -> Learner:
        """The model, as loss terms see it."""
        return cast("Learner", self.model)

    def forward(self, batch: Batch, state: Mapping[str, State], number: int) -> Value:
        """The objective at optimiser step `number`, with the terms' next state."""
        model = self.learner
        embedded, mask = model.embed(batch.inputs), model.mask(batch.inputs)
        if self.mixing is None:
            return self.objective(state, Step(batch, embedded, model.encode(embedded, mask), model, number))
        mixed = self.mixing(embedded, mask)
        output = model.encode(mixed.embedded, mixed.mask)
        step = Step(batch, mixed.embedded, output, model, number)
        own = self.objective(state, step)
        other = self.objective(state, replace(step, batch=partners_of(batch, mixed.partners)))
        return blended(own, other, share=mixed.share)
