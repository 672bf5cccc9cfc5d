"""Combinations of steps that make a model smaller, in the order in which they are tried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

RATIOS = (0.25, 0.5)
"""Of attention heads and feed-forward units: a little, and as much as a short training usually mends."""

LAYERS = (1 / 3, 1 / 2)
"""Of the layers that are taken out, or that a student lacks: the same two sizes by a short and by a whole training."""

BITS = ("", "dynamic", "static")
"""The form of a model: as PyTorch runs it, or a graph of eight bits that finds its ranges as rows come, or has them."""


@dataclass(frozen=True)
class Chain:
    """Steps, taken in the order of the fields.

    Args:
        student: As `student_recipe` reads it; empty: the model itself.
        vocabulary: Without entries that the training rows do not take.
        prune: Share of the units that goes.
        units: Which units.
        bits: One of `BITS`.

    >>> Chain(vocabulary=True, prune=0.25, bits="static").name
    'vocabulary + prune 0.25 + int8 static'
    """

    student: str = ""
    vocabulary: bool = False
    prune: float = 0.0
    units: tuple[str, ...] = ("heads", "inner")
    bits: str = ""

    @property
    def name(self) -> str:
        """What is shown, and what its record is found by."""
        what = "" if self.units == ("heads", "inner") else f" of {', '.join(self.units)}"
        parts = [
            f"student {self.student}" if self.student else "",
            "vocabulary" if self.vocabulary else "",
            f"prune {self.prune:.2g}{what}" if self.prune else "",
            {"": "", "dynamic": "int8", "static": "int8 static"}[self.bits],
        ]
        return " + ".join(filter(None, parts)) or "as it is"

    @property
    def steps(self) -> tuple[str, ...]:
        """Their names, as a single step has them."""
        asked = {
            "distillation": self.student,
            "vocabulary": self.vocabulary,
            "pruning": self.prune,
            "int8": self.bits,
        }
        return tuple(name for name, wanted in asked.items() if wanted)

    @property
    def body(self) -> "Chain":
        """The model that PyTorch runs."""
        return replace(self, bits="")

    @property
    def before(self) -> "Chain | None":
        """The body without its last step; None of the original."""
        if self.prune:
            return Chain(self.student, self.vocabulary)
        if self.vocabulary:
            return Chain(self.student)
        return Chain() if self.student else None

    @property
    def needs(self) -> tuple["Chain", ...]:
        """The bodies it is made from, itself among them, the nearest first."""
        body, found = self.body, [self.body]
        while (before := body.before) is not None:
            body = before
            found.append(body)
        return tuple(found)


@dataclass(frozen=True)
class Offer:
    """What can be done with a bundle, and is worth it.

    Args:
        vocabulary: A column has a vocabulary, and the bundle has to be smaller.
        heads: It stands on a transformer of ours, whose heads and units can go.
        layers: It stands on one with so many layers, of which some can go; 0: none.
        students: Smaller models that can learn from it, the largest first.
        bits: Forms; see `BITS`.
    """

    vocabulary: bool = False
    heads: bool = False
    layers: int = 0
    students: tuple[str, ...] = ()
    bits: tuple[str, ...] = ("",)


def chains(offer: Offer) -> tuple[Chain, ...]:
    """What is tried, what costs least to compute first.

    First what trains nothing, then what trains shortly, then students, which are whole trainings; of each what takes
    least away first; of each model its three forms. A model that is trained again is trained with its smaller
    vocabulary, since training mends what that loses; a student gets it afterwards, since that costs nothing more.

    >>> [chain.name for chain in chains(Offer(vocabulary=True, students=("bag",), bits=("", "dynamic")))]
    ['int8', 'vocabulary', 'vocabulary + int8', 'student bag', 'student bag + int8', 'student bag + vocabulary', \
'student bag + vocabulary + int8']
    """
    found = [replace(body, bits=bits) for body, bits in product(_bodies(offer), offer.bits)]
    return tuple(chain for chain in found if chain != Chain())


def shares_of_layers(depth: int) -> tuple[float, ...]:
    """Shares by which at least one layer goes and one stays, each another number of layers.

    >>> shares_of_layers(6), shares_of_layers(2), shares_of_layers(1)
    ((0.3334, 0.5), (0.5,), ())
    """
    # A little above, since the number of layers that go is rounded down.
    shares = {int(share * depth + 1e-9): round(share + 5e-5, 4) for share in reversed(LAYERS)}
    return tuple(sorted(share for count, share in shares.items() if count))


def fewer_layers(depth: int) -> tuple[str, ...]:
    """Students that start from some of the layers, the deepest first.

    >>> fewer_layers(6), fewer_layers(2)
    (('layers:4', 'layers:3'), ('layers:1',))
    """
    return tuple(f"layers:{depth - int(share * depth)}" for share in shares_of_layers(depth))


def _bodies(offer: Offer) -> Iterator[Chain]:
    yield Chain()
    if offer.vocabulary:
        yield Chain(vocabulary=True)
    cuts: Sequence[tuple[float, tuple[str, ...]]] = [
        *((ratio, ("heads", "inner")) for ratio in RATIOS if offer.heads),
        *((share, ("layers",)) for share in shares_of_layers(offer.layers)),
    ]
    for ratio, units in cuts:
        yield Chain(vocabulary=offer.vocabulary, prune=ratio, units=units)
    for student in offer.students:
        yield Chain(student)
        if offer.vocabulary:
            yield Chain(student, vocabulary=True)
