"""A transformer with fewer heads, feed-forward units or layers: smaller dense tensors, so that time shrinks with them.

Single weights set to zero make a tensor no smaller and a dense product no faster; that is `sparse`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from underlay.compress.branches import branches, with_part
from underlay.compress.importance import Importance
from underlay.core import UsageError

TRUNK = "transformer.v1"
UNITS = ("heads", "inner", "layers")
"""What can be pruned: attention heads, feed-forward units, whole layers."""

STEP = 16
"""Feed-forward widths that are multiples of it stay so: the matrix kernels work in tiles of as many numbers."""


@dataclass(frozen=True)
class Kept:
    """What stays of a trunk.

    Args:
        layers: Numbers, ascending.
        heads: By layer of the original, numbers, ascending.
        inner: Likewise, feed-forward units.
    """

    layers: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...]
    inner: tuple[tuple[int, ...], ...]


def choose(importance: Importance, ratio: float, *, units: Collection[str] = ("heads", "inner")) -> Kept:
    """Keep what matters: of each kind of unit the share `ratio` goes, the least important first.

    Heads and feed-forward units compete across layers, each layer keeps at least one head and `STEP` units. The
    importance of heads is divided by its norm in the layer, as Michel et al. do.

    Args:
        importance: Of the trunk's units.
        ratio: Share that goes, 0 to below 1.
        units: Which kinds, of `UNITS`.

    Raises:
        UsageError: The ratio or a unit is none.

    >>> found = Importance((torch.tensor([1.0, 3.0]),), (torch.tensor([1.0, 0.0, 2.0]),), torch.ones(1))
    >>> choose(found, 0.5)
    Kept(layers=(0,), heads=((1,),), inner=((0, 2),))
    """
    if not 0 <= ratio < 1 or not units or set(units) - set(UNITS):
        raise UsageError(
            f"cannot prune the share {ratio:g} of {', '.join(units) or 'nothing'}",
            f"the share is from 0 to below 1, of {', '.join(UNITS)}",
        )
    depth = len(importance.layers)
    layers = _top(importance.layers, max(1, depth - int(ratio * depth))) if "layers" in units else tuple(range(depth))
    heads, inner = (tuple(tuple(range(len(one))) for one in kind) for kind in (importance.heads, importance.inner))
    if "heads" in units:
        normed = [one / one.norm().clamp(min=torch.finfo(one.dtype).tiny) for one in importance.heads]
        heads = _across(normed, layers, ratio, step=1)
    if "inner" in units:
        even = all(len(one) % STEP == 0 for one in importance.inner)
        inner = _across(importance.inner, layers, ratio, step=STEP if even else 1)
    return Kept(layers, heads, inner)


def _across(scores: Sequence[Tensor], layers: Sequence[int], ratio: float, *, step: int) -> tuple[tuple[int, ...], ...]:
    """Units that stay, by layer, when those of `layers` compete; the other layers keep theirs."""
    if not layers:
        return tuple(tuple(range(len(one))) for one in scores)
    pool = torch.cat([scores[layer] for layer in layers])
    owner = torch.cat([torch.full((len(scores[layer]),), layer) for layer in layers])
    left = {layer: len(scores[layer]) for layer in layers}
    going = int(ratio * len(pool))
    for unit in pool.argsort(stable=True).tolist():
        layer = int(owner[unit])
        if going == 0:
            break
        if left[layer] > step:
            left[layer] -= 1
            going -= 1
    rounded = {layer: max(step, round(count / step) * step) for layer, count in left.items()}
    return tuple(_top(one, rounded.get(layer, len(one))) for layer, one in enumerate(scores))


def _top(scores: Tensor, count: int) -> tuple[int, ...]:
    """Numbers of the `count` largest, ascending; of equals the first."""
    return tuple(sorted(scores.argsort(descending=True, stable=True)[:count].tolist()))


def prune(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], kept: Mapping[str, Kept]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model without what does not stay; where all stays, the same config and the same tensors.

    Args:
        config: Of the model.
        weights: Its state by name.
        kept: By the trunk's name in the model: `trunk`, or `branches.0.trunk`.
    """
    changed, tensors = dict(config), dict(weights)
    for prefix, branch in branches(config):
        if f"{prefix}trunk" not in kept:
            continue
        own, trunk = kept[f"{prefix}trunk"], branch["trunk"]
        sizes = Sizes.of(trunk)
        changed = with_part(changed, prefix, "trunk", _smaller(trunk, sizes, own))
        place = f"{prefix}trunk.layers."
        tensors = {name: one for name, one in tensors.items() if not name.startswith(place)}
        for new, old in enumerate(own.layers):
            for name, one in weights.items():
                if name.startswith(f"{place}{old}."):
                    part = name.removeprefix(f"{place}{old}.")
                    tensors[f"{place}{new}.{part}"] = _cut(part, one, sizes, own.heads[old], own.inner[old])
    return changed, tensors


def require_prunable(config: Mapping[str, Any]) -> None:
    """Pass a model that has a transformer trunk of ours.

    Raises:
        UsageError: `not_prunable`: it has none.
    """
    names = [str(branch["trunk"]["name"]) for _, branch in branches(config)]
    if TRUNK not in names:
        raise UsageError(
            f"pruning takes heads, units and layers out of {TRUNK}; this model stands on {', '.join(names)}",
            "leave out --prune",
            code="not_prunable",
        )


@dataclass(frozen=True)
class Sizes:
    """The sizes of a trunk that its config says or implies.

    Args:
        head: Width of a head.
        gated: Whether the feed-forward part has a gate beside each unit.
    """

    head: int
    gated: bool

    @classmethod
    def of(cls, trunk: Mapping[str, Any]) -> "Sizes":
        """Read them from its config."""
        return cls(int(trunk.get("head_width") or trunk["width"] // trunk["heads"]), bool(trunk.get("gated", False)))


def _smaller(trunk: Mapping[str, Any], sizes: Sizes, kept: Kept) -> dict[str, Any]:
    """The config; what is the same in every layer is one number."""
    heads, inner = ([len(kind[layer]) for layer in kept.layers] for kind in (kept.heads, kept.inner))
    found = {**trunk, "depth": len(kept.layers), "heads": _number(heads), "inner": _number(inner)}
    implied = isinstance(found["heads"], int) and found["heads"] * sizes.head == trunk["width"]
    return found if implied else {**found, "head_width": sizes.head}


def _number(counts: Sequence[int]) -> int | list[int]:
    return counts[0] if len(set(counts)) == 1 else list(counts)


def _cut(part: str, tensor: Tensor, sizes: Sizes, heads: Sequence[int], inner: Sequence[int]) -> Tensor:
    """One tensor of a layer with the rows or columns of what stays."""
    within = torch.arange(sizes.head)
    columns = (torch.tensor(heads).unsqueeze(1) * sizes.head + within).flatten()
    if part.startswith("attention.qkv."):
        rows = len(tensor) // 3
        return tensor.index_select(0, torch.cat([columns + start for start in (0, rows, 2 * rows)]))
    if part == "attention.out.weight":
        return tensor.index_select(1, columns)
    units = torch.tensor(inner)
    if part.startswith("feed_forward.up."):
        return tensor.index_select(0, torch.cat([units, units + len(tensor) // 2]) if sizes.gated else units)
    if part == "feed_forward.down.weight":
        return tensor.index_select(1, units)
    return tensor
