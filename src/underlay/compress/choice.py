"""Which operators stay in fp32: those that hurt most, measured one at a time, until what is lost is little enough."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from underlay.bundle import Backend
from underlay.compress.loss import Judge, Loss
from underlay.core import Event, GateNotMet, Listener

GROUPS = 48
"""Measurements at most: a graph with more operators has neighbours measured together."""

SOUNDED = 256
"""Rows on which one operator is measured: its order among the others shows on few."""


@dataclass(frozen=True)
class Chosen:
    """A graph whose loss is small enough.

    Args:
        model: The `onnx.ModelProto`.
        backend: It, ready to answer.
        kept: Operators left in fp32, the most harmful first.
        losses: By target.
        harm: By operator, where it had to be measured: how far it alone moves the logits.
    """

    model: Any
    backend: Backend
    kept: tuple[str, ...]
    losses: tuple[Loss, ...]
    harm: Mapping[str, float] = field(default_factory=dict)


def choose(
    make: Callable[[Collection[str]], Any],
    ready: Callable[[Any], Backend],
    names: Sequence[str],
    judge: Judge,
    *,
    max_drop: float,
    listener: Listener = lambda event: None,
) -> Chosen:
    """The graph with the fewest operators in fp32 that loses at most `max_drop` points of every target.

    Args:
        make: Gives the graph in which the named operators stay in fp32.
        ready: Makes a graph ready to answer.
        names: All operators that can be of eight bits.
        judge: Rows whose answer is known.
        max_drop: Points that may be lost.
        listener: Hears what is measured.

    Raises:
        GateNotMet: `max_drop`: it is exceeded as long as any operator is of eight bits.
    """
    model = make(())
    backend = ready(model)
    losses = judge.losses(backend)
    if _holds(losses, max_drop):
        return Chosen(model, backend, (), losses)
    listener(Event("note", f"all in eight bits {in_words(losses)}; measuring which of {len(names)} operators hurt", {}))
    small = Judge.of(judge.bundle, judge.labelled.first(SOUNDED))
    harm: dict[tuple[str, ...], float] = {}
    for place, group in enumerate(_groups(names)):
        others = [name for name in names if name not in group]
        harm[group] = small.moved(ready(make(others)))
        listener(Event("progress", "measuring operators", {"done": place + 1, "total": len(_groups(names))}))
    order = sorted(harm, key=lambda group: -harm[group])
    single = {name: share for group, share in harm.items() for name in group}
    for count in _steps(len(order)):
        kept = tuple(name for group in order[:count] for name in group)
        model = make(kept)
        backend = ready(model)
        losses = judge.losses(backend)
        listener(Event("note", f"with {len(kept)} of {len(names)} operators in fp32 {in_words(losses)}", {}))
        if _holds(losses, max_drop):
            return Chosen(model, backend, kept, losses, single)
    raise GateNotMet(
        f"eight bits lose more than {max_drop:g} points on {len(judge.labelled)} rows, whatever stays in fp32: "
        f"{in_words(losses)}",
        "keep fp32 (export without --int8), or allow more with --max-drop",
        code="max_drop",
    )


def in_words(losses: Sequence[Loss]) -> str:
    """What was lost, in words.

    >>> in_words([Loss("label", "accuracy", 400, 0.9, 0.885, 1.5, 0.2, 2.8)])
    'lose 1.50 points of accuracy of label (95 %: 0.20 to 2.80)'
    """
    each = [
        f"{one.points:.2f} points of {one.metric} of {one.target} (95 %: {one.low:.2f} to {one.high:.2f})"
        for one in losses
    ]
    return f"lose {', '.join(each)}"


def _holds(losses: Sequence[Loss], max_drop: float) -> bool:
    return all(loss.points <= max_drop for loss in losses)


def _groups(names: Sequence[str]) -> list[tuple[str, ...]]:
    size = -(-len(names) // GROUPS)
    return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


def _steps(count: int) -> Iterator[int]:
    """How many are left in fp32: one more each time, later half as many more again, and never all.

    >>> list(_steps(20))
    [1, 2, 3, 4, 6, 9, 13, 19]
    """
    step = 1
    while step < count:
        yield step
        step = max(step + 1, step * 3 // 2)
