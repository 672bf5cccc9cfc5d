"""What can make a bundle smaller or faster, and whether a target asks for it."""

from importlib.util import find_spec
from typing import Any

from underlay.bundle import Bundle
from underlay.compress.branches import branches
from underlay.compress.pruning import TRUNK
from underlay.compress.vocabulary import TrimmableModality
from underlay.evaluate import Targets
from underlay.models import SignalModel
from underlay.strategies.candidate import torch_model
from underlay.strategies.chains import BITS, Offer, fewer_layers
from underlay.strategies.listening import Say
from underlay.strategies.students import ALIKE

GRAPHS = ("onnx", "onnxruntime", "onnxscript")
"""Packages without which no graph is made."""

BAG = "bag"
"""The smallest student: vectors of entries, and their mean."""


def offer_of(bundle: Bundle, targets: Targets, *, say: Say) -> Offer:
    """What is worth trying.

    A smaller vocabulary saves bytes and no time, so it is tried for a target of bytes; ranges that are fixed save time
    and no bytes, so they are tried for a target of time.

    Args:
        bundle: The original.
        targets: Asked for.
        say: Told what is left out, and why.
    """
    model, config = torch_model(bundle), bundle.config
    trunks = [dict(branch["trunk"]) for _, branch in branches(config)]
    depths = [int(trunk["depth"]) for trunk in trunks if trunk["name"] == TRUNK]
    trimmable = any(isinstance(one, TrimmableModality) for one in bundle.modalities.values())
    single = isinstance(model, SignalModel) and not any(target.dense for target in bundle.schema.targets)
    bits: tuple[str, ...] = BITS if targets.ms is not None else BITS[:2]
    if missing := [name for name in GRAPHS if find_spec(name) is None]:
        say.warning(f"eight bits are left out: {missing[0]} is not installed (pip install 'underlay[onnx]')")
        bits = BITS[:1]
    return Offer(
        vocabulary=trimmable and targets.megabytes is not None,
        heads=bool(depths),
        layers=min(depths, default=0),
        students=_students(bundle, trunks[0]) if single else (),
        bits=bits,
    )


def _students(bundle: Bundle, trunk: dict[str, Any]) -> tuple[str, ...]:
    """Models that can learn from it: some of its own layers, and of words the mean of their vectors."""
    name = str(trunk["name"])
    own = fewer_layers(int(trunk["depth"])) if name in ALIKE else ()
    words = len(bundle.modalities) == 1 and all(
        isinstance(one, TrimmableModality) for one in bundle.modalities.values()
    )
    return (*own, BAG) if words and not name.startswith(f"{BAG}.") else own
