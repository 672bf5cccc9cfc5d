"""The one shape every loss, penalty and regulariser has."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor, nn

from underlay.core import Batch, Model, Output, UsageError, nearest

State: TypeAlias = dict[str, Tensor]
"""What a term remembers between steps: tensors by name, so any checkpoint can hold it."""

Schedule: TypeAlias = Callable[[int], float]
"""Weight of a term at an optimiser step."""


class Learner(Model, Protocol):
    """A model being trained: `core.Model` whose parameters have names."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter once, by its name."""
        ...


@dataclass(frozen=True)
class Step:
    """All a term may look at in one training step; nothing here is to be changed.

    Args:
        batch: The examples, as tensors on the model's device.
        embedded: `model.embed(batch.inputs)`, the continuous input `[B, L, D]` every modality has; where lower layers
            are cached, what comes out of them; where rows are mixed, the mixtures.
        output: `model.encode(embedded, mask)`, with the mask that belongs to `embedded`.
        model: The model being trained: penalties read its parameters, `rerun` calls it.
        number: Optimiser steps done so far.
    """

    batch: Batch
    embedded: Tensor
    output: Output
    model: Learner
    number: int

    def rerun(self, embedded: Tensor) -> "Step":
        """The same step seen through other continuous inputs: one more forward pass."""
        output = self.model.encode(embedded, self.output.mask)
        return replace(self, embedded=embedded, output=output)


class LossTerm(NamedTuple):
    """A pair of pure functions: what to remember, and the loss.

    Args:
        init: `init(model)` gives the state before the first step.
        loss: `loss(state, step)` gives a scalar `[]` and the state for the next step.
        coupled: The loss of one example depends on its batch mates (contrastive, fairness), so that
            accumulating gradients over small batches is not the same as one large batch.
    """

    init: Callable[[Learner], State]
    loss: Callable[[State, Step], tuple[Tensor, State]]
    coupled: bool = False


def stateless(loss: Callable[[Step], Tensor], *, coupled: bool = False) -> LossTerm:
    """Lift a plain loss function into a term that remembers nothing.

    >>> zero = stateless(lambda step: step.output.features.sum() * 0.0)
    >>> zero.init(None)
    {}
    """
    return LossTerm(lambda _: {}, lambda state, step: (loss(step), state), coupled)


class Value(NamedTuple):
    """A step's objective: the scalar to differentiate, its parts for the log, the next state.

    Args:
        total: Weighted sum `[]`, with gradient.
        parts: Each computed term before its weight, detached.
        state: By term, to be given to the next step.
    """

    total: Tensor
    parts: dict[str, Tensor]
    state: dict[str, State]


@dataclass(frozen=True)
class Objective:
    """A named, weighted sum of terms; to harden a model is to add a line here.

    Args:
        terms: By the name the log shows.
        weights: By the same names, a number or a function of the optimiser step; 1 where absent.

    Raises:
        UsageError: No term, or a weight for a term that is not there.

    >>> from underlay.objectives import cross_entropy
    >>> Objective({"task": cross_entropy()}).weights
    {'task': 1.0}
    """

    terms: Mapping[str, LossTerm]
    weights: Mapping[str, float | Schedule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.terms:
            raise UsageError("this objective has no term", "give at least one: Objective({'task': cross_entropy()})")
        stray = [name for name in self.weights if name not in self.terms]
        if stray:
            what = f"the objective has weights for {stray}; its terms are {sorted(self.terms)}"
            raise UsageError(what, nearest(stray[0], sorted(self.terms)))
        object.__setattr__(self, "weights", {name: self.weights.get(name, 1.0) for name in self.terms})

    @property
    def coupled(self) -> tuple[str, ...]:
        """The terms that look across the rows of a batch: gradient accumulation changes them."""
        return tuple(name for name, term in self.terms.items() if term.coupled)

    def init(self, model: Learner) -> dict[str, State]:
        """State of every term before the first step, by the term's name."""
        return {name: term.init(model) for name, term in self.terms.items()}

    def weights_at(self, number: int) -> dict[str, float]:
        """The weight of every term after `number` optimiser steps."""
        return {name: weight(number) if callable(weight) else weight for name, weight in self.weights.items()}

    def __call__(self, state: Mapping[str, State], step: Step) -> Value:
        """Weighted sum of the terms at this step; a term of weight 0 is not computed."""
        # Keeps the sum differentiable where every weight is 0 (the first step of a ramp).
        total = step.output.features.sum() * 0.0
        parts: dict[str, Tensor] = {}
        after = dict(state)
        for name, weight in self.weights_at(step.number).items():
            if weight == 0.0:
                continue
            part, after[name] = self.terms[name].loss(state[name], step)
            parts[name] = part.detach()
            total = part * weight if len(parts) == 1 else total + part * weight
        return Value(total, parts, after)
