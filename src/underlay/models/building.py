"""A model from plain data and a seed; data from a backbone and a schema."""

from collections.abc import Mapping
from inspect import Parameter, signature
from types import UnionType
from typing import Any, get_args, get_origin

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from underlay.core import BundleRefused, Registry, UsageError
from underlay.models.backbone import Backbone
from underlay.models.initial import initialise
from underlay.models.model import SignalModel
from underlay.models.registries import HEADS, POOLINGS, STEMS, TRUNKS

PARTS = {"stems": list, "trunk": dict, "pooling": dict, "heads": list}
MOST_PARAMETERS = 1 << 34
"""Far above what this trunk is for, far below what makes a machine run out of addresses."""


def configure(
    backbone: Backbone,
    *,
    columns: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, int],
    pooling: str = "mean",
    head: str = "linear",
    dropout: float = 0.1,
) -> dict[str, Any]:
    """Describe a model as JSON data, with full registry names and every argument that is not a default.

    Args:
        backbone: What `resolve` gave.
        columns: By input column, in the schema's order: what its modality `describe`d.
        outputs: By target: logits of its head.
        pooling: Name in `POOLINGS`.
        head: Name in `HEADS`.
        dropout: Everywhere: stem, trunk and head.

    Raises:
        UsageError: The pretrained stem reads another vocabulary, or shorter segments, than a column has.
    """
    trunk = {**backbone.trunk, "name": TRUNKS.full_name(backbone.trunk["name"]), "dropout": dropout}
    return {
        "stems": [
            {"column": column, **_stem(backbone, column, described), "dropout": dropout}
            for column, described in columns.items()
        ],
        "trunk": trunk,
        "pooling": {"name": POOLINGS.full_name(pooling)},
        "heads": [
            {"target": target, "name": HEADS.full_name(head), "outputs": count, "dropout": dropout}
            for target, count in outputs.items()
        ],
    }


def build(config: Mapping[str, Any], *, seed: int) -> SignalModel:
    """Build the model that `config` describes, from our registries alone.

    The same config and seed give the same parameters, whatever was built before.

    Raises:
        BundleRefused: An unknown key (`config_key`), name (`config_name`) or an impossible value (`config_value`).
    """
    _check_shape(config)
    with torch.device("meta"), _Unfilled():  # shapes without memory: an absurd size is refused before it is allocated
        trunk = _part(TRUNKS, config["trunk"])
        width = trunk.width
        model = SignalModel(
            {stem["column"]: _part(STEMS, _without(stem, "column")) for stem in config["stems"]},
            trunk,
            _part(POOLINGS, {**config["pooling"], "width": width}),
            {head["target"]: _part(HEADS, {**_without(head, "target"), "width": width}) for head in config["heads"]},
        )
    if (count := sum(parameter.numel() for parameter in model.parameters())) > MOST_PARAMETERS:
        raise BundleRefused(f"this configuration has {count:,} parameters", code="config_value")
    for column in model.columns:
        if model.stem(column).width != width:
            raise BundleRefused(
                f"the stem of {column!r} is {model.stem(column).width} wide, the trunk {width}", code="config_value"
            )
    model.to_empty(device="cpu")
    initialise(model, seed=seed)
    return model


def _check_shape(config: Mapping[str, Any]) -> None:
    if set(config) != set(PARTS):
        raise BundleRefused(f"a model has the parts {sorted(PARTS)}; this one has {sorted(config)}", code="config_key")
    for part, kind in PARTS.items():
        if not isinstance(config[part], kind) or not config[part]:
            raise BundleRefused(f"{part} is {config[part]!r}, not a filled {kind.__name__}", code="config_value")
    for part, key in (("stems", "column"), ("heads", "target")):
        names = [one.get(key) if isinstance(one, dict) else None for one in config[part]]
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise BundleRefused(f"each of the {part} needs a {key} of its own; they have {names}", code="config_value")


class _Unfilled(TorchFunctionMode):
    """Leaves out PyTorch's own first values: ours follow, and on the meta device theirs import a compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _stem(backbone: Backbone, column: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone's own stem where it has one for this modality, else a fresh one."""
    name = STEMS.full_name(described["name"])
    limit = described.get("limit") or 0
    if backbone.stem is None or STEMS.full_name(backbone.stem["name"]) != name:
        fresh = {key: value for key, value in described.items() if key not in ("name", "limit")}
        ordered = getattr(TRUNKS[backbone.trunk["name"]], "ordered", False) or backbone.trunk.get("rotary", False)
        return {"name": name, **fresh, "width": backbone.trunk["width"], "positions": 0 if ordered else limit}
    for key in ("vocabulary", "padding"):
        if key in described and described[key] != backbone.stem[key]:
            raise UsageError(
                f"column {column!r} has {key} {described[key]}, the trunk {backbone.name} was trained with "
                f"{backbone.stem[key]}",
                "use the tokenizer that came with the trunk",
            )
    if backbone.limit is not None and limit > backbone.limit:
        raise UsageError(
            f"column {column!r} has segments of {limit} positions, {backbone.name} reads {backbone.limit}",
            f"set model.max_length to {backbone.limit} or less",
        )
    return {**backbone.stem, "name": name}


def _part(registry: Registry[type[nn.Module]], config: Mapping[str, Any]) -> Any:
    """Build one registered module after checking its arguments by name and type."""
    name = config.get("name")
    if name not in registry:
        raise BundleRefused(f"no {registry.kind} named {name!r}; known: {list(registry)}", code="config_name")
    arguments = _without(config, "name")
    known = signature(registry[str(name)]).parameters
    if unknown := sorted(set(arguments) - set(known)):
        raise BundleRefused(f"{name} takes {sorted(known)}, not {unknown}", code="config_key")
    missing = [key for key, at in known.items() if at.default is Parameter.empty and key not in arguments]
    if missing:
        raise BundleRefused(f"{name} needs {missing}", code="config_key")
    for key, value in arguments.items():
        if not _fits(value, known[key].annotation):
            raise BundleRefused(f"{name} has {key} = {value!r}, not of {known[key].annotation}", code="config_value")
    try:
        return registry[str(name)](**arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError, ZeroDivisionError) as error:
        raise BundleRefused(f"{name} cannot be built with {arguments}: {error}", code="config_value") from error


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(one, get_args(kind)[0]) for one in value)
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in kind.__args__)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _without(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != key}
