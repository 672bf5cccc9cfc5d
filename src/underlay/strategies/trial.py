"""Steps that change a model, each kept only where it loses little enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underlay.compress.loss import Judge, Loss
from underlay.core import GateNotMet
from underlay.strategies.candidate import Candidate
from underlay.strategies.listening import Say


@dataclass(frozen=True)
class Tried:
    """One step and what it cost.

    Args:
        name: `distillation`, `vocabulary`, `pruning` or `int8`.
        kept: Whether it is in the result.
        losses: By target, on validation rows, against the original; empty where it never came to answer.
        facts: What it did.
    """

    name: str
    kept: bool
    losses: tuple[Loss, ...]
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        losses = [loss.to_dict() for loss in self.losses]
        return {"name": self.name, "kept": self.kept, "losses": losses, "facts": dict(self.facts)}


class Trial:
    """Keeps the steps whose loss is small enough.

    Args:
        judge: The original and the validation rows.
        max_drop: Points that may be lost.
        say: Told what each step lost.
    """

    def __init__(self, judge: Judge, max_drop: float, say: Say) -> None:
        self.judge, self.max_drop, self.say = judge, max_drop, say
        self.steps: list[Tried] = []

    @property
    def lost(self) -> float:
        """Points that the steps kept so far lost, of the worst target; at least 0."""
        kept = [step for step in self.steps if step.kept]
        return max([0.0, *(loss.points for loss in kept[-1].losses)]) if kept else 0.0

    def tried(self, name: str, before: Candidate, after: Candidate) -> Candidate:
        """The candidate to go on with."""
        losses = self.judge.losses_of(after.as_bundle(self.judge.bundle))
        return after if self.note(name, losses, after.facts.get(name, {})) else before

    def note(self, name: str, losses: Sequence[Loss], facts: Mapping[str, Any]) -> bool:
        """Write down what a step lost; whether it is kept."""
        kept = bool(losses) and all(loss.points <= self.max_drop for loss in losses)
        self.steps.append(Tried(name, kept, tuple(losses), facts))
        shown = "; ".join(f"{one.points:+.2f} points of {one.metric} of {one.target!r} lost" for one in losses)
        self.say.note(f"{name}: {shown or facts.get('why', '')}; {'kept' if kept else 'not kept'}")
        return kept

    def require(self) -> None:
        """Pass where a step was kept.

        Raises:
            GateNotMet: None was.
        """
        if any(step.kept for step in self.steps):
            return
        worst = "; ".join(
            f"{step.name}: {', '.join(f'{one.points:.2f} of {one.metric}' for one in step.losses) or step.facts['why']}"
            for step in self.steps
        )
        raise GateNotMet(
            f"no step loses at most {self.max_drop:g} points on {len(self.judge.labelled)} validation rows ({worst})",
            "nothing was written; ask for less, or allow more with --max-drop",
            code="max_drop",
        )
