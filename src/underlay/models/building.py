"""A model from plain data and a seed; data from a backbone and a schema."""

from collections.abc import Collection, Mapping, Sequence
from inspect import Parameter, signature
from types import UnionType
from typing import Any, get_args, get_origin

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from underlay.core import BundleRefused, Registry, UsageError
from underlay.models.backbone import Backbone
from underlay.models.fused import FusedModel
from underlay.models.fusions import FUSIONS
from underlay.models.initial import initialise
from underlay.models.model import SignalModel
from underlay.models.registries import HEADS, POOLINGS, STEMS, TRUNKS, is_fixed, is_spatial

BRANCH = {"stems": list, "trunk": dict, "pooling": dict}
"""Parts of a model without heads."""

PARTS = {**BRANCH, "heads": list}
FUSED = {"branches": list, "fusion": dict, "heads": list}
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
    dense: Collection[str] = (),
    tied: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Describe a model on one trunk as JSON data, with full registry names and every argument that is not a default.

    Args:
        backbone: What `resolve` gave.
        columns: By input column, in the schema's order: what its modality `describe`d.
        outputs: By target: logits of its head.
        pooling: Name in `POOLINGS`.
        head: Name in `HEADS`.
        dropout: Everywhere: stem, trunk and head.
        dense: Targets with a label for each position.
        tied: By target whose head shares the vectors of a stem: its `column` and the id of its `first` label.

    Raises:
        UsageError: The pretrained stem reads another vocabulary, or shorter segments, than a column has; the trunk
            reads pictures and the columns are none; or a dense target stands over several columns, or over a trunk
            whose positions are not those of its input.
    """
    if dense:
        _check_dense(backbone, columns, dense)
    branch = _branch(backbone, columns, pooling=pooling, dropout=dropout)
    return {**branch, "heads": _heads(outputs, head, dropout, dense, tied)}


def configure_fused(
    branches: Sequence[tuple[Backbone, Mapping[str, Mapping[str, Any]]]],
    *,
    outputs: Mapping[str, int],
    fusion: str = "late",
    width: int = 256,
    head: str = "linear",
    dropout: float = 0.1,
    branch_dropout: float = 0.0,
    dense: Collection[str] = (),
) -> dict[str, Any]:
    """Describe a model of several trunks under one fusion as JSON data.

    Args:
        branches: Of each: what `resolve` gave, and its columns as for `configure`.
        outputs: By target: logits of its head.
        fusion: Name in `FUSIONS`.
        width: To which every branch is projected.
        head: Name in `HEADS`.
        dropout: Everywhere.
        branch_dropout: Share of rows that lose a branch while training.
        dense: Targets with a label for each position; a fusion keeps none of them.

    Raises:
        UsageError: As `configure`; or there is a dense target.
    """
    if dense:
        raise UsageError(
            f"the target {min(dense)!r} has one label a unit of the input, and a fusion of several trunks keeps "
            "no positions",
            "give it one input column",
            code="dense_target",
        )
    return {
        "branches": [
            _branch(backbone, columns, pooling=backbone.pooling, dropout=dropout) for backbone, columns in branches
        ],
        "fusion": {
            "name": FUSIONS.full_name(fusion),
            "width": width,
            "dropout": dropout,
            "branch_dropout": branch_dropout,
        },
        "heads": _heads(outputs, head, dropout),
    }


def build(config: Mapping[str, Any], *, seed: int) -> SignalModel | FusedModel:
    """Build the model that `config` describes, from our registries alone.

    The same config and seed give the same parameters, whatever was built before.

    Raises:
        BundleRefused: An unknown key (`config_key`), name (`config_name`) or an impossible value (`config_value`).
    """
    fused = "branches" in config
    _check_shape(config, FUSED if fused else PARTS)
    with torch.device("meta"), _Unfilled():  # shapes without memory: an absurd size is refused before it is allocated
        model = _fused(config) if fused else _signal(config, config["heads"])
    if (count := sum(parameter.numel() for parameter in model.parameters())) > MOST_PARAMETERS:
        raise BundleRefused(f"this configuration has {count:,} parameters", code="config_value")
    model.to_empty(device="cpu")
    initialise(model, seed=seed)
    return model


def _signal(config: Mapping[str, Any], heads: Sequence[Mapping[str, Any]]) -> SignalModel:
    trunk = _part(TRUNKS, config["trunk"])
    model = SignalModel(
        {stem["column"]: _part(STEMS, _without(stem, "column")) for stem in config["stems"]},
        trunk,
        _part(POOLINGS, {**config["pooling"], "width": trunk.width}),
        _built_heads(heads, trunk.width),
        dense=_dense(heads),
    )
    for column in model.columns:
        if model.stem(column).width != trunk.channels:
            raise BundleRefused(
                f"the stem of {column!r} is {model.stem(column).width} wide, the trunk reads {trunk.channels}",
                code="config_value",
            )
    for head in heads:
        _check_tied(model, head)
    return model


def _check_tied(model: SignalModel, head: Mapping[str, Any]) -> None:
    """Refuse a head that shares vectors which are not there."""
    column = head.get("column")
    if column is None:
        return
    vectors = getattr(model.stem(column), "vectors", None) if column in model.columns else None
    last = head["first"] + head["outputs"]
    if vectors is None or not 0 <= head["first"] <= last <= len(vectors):
        raise BundleRefused(
            f"the head of {head['target']!r} shares vectors {head['first']} to {last} of {column!r}, which has "
            f"{'none' if vectors is None else len(vectors)}",
            code="config_value",
        )


def _fused(config: Mapping[str, Any]) -> FusedModel:
    for branch in config["branches"]:
        if not isinstance(branch, dict):
            raise BundleRefused(f"a branch is {branch!r:.120}, not an object", code="config_value")
        _check_shape(branch, BRANCH)
    names = [stem["column"] for branch in config["branches"] for stem in branch["stems"]]
    if len(set(names)) != len(names):
        raise BundleRefused(f"the branches read a column twice: {names}", code="config_value")
    own = {"width": int, "branch_dropout": float}
    settings = {key: config["fusion"].get(key) for key in own}
    if any(not _fits(value, own[key]) for key, value in settings.items()):
        raise BundleRefused(f"the fusion has {settings}; it needs a width and a branch_dropout", code="config_value")
    if any("column" in head for head in config["heads"]):
        raise BundleRefused("the fused model has a head that shares a stem's vectors", code="config_value")
    if dense := _dense(config["heads"]):
        raise BundleRefused(f"the fused model has the dense targets {sorted(dense)}", code="config_value")
    arguments = {**_without(config["fusion"], "branch_dropout"), "branches": len(config["branches"])}
    fusion = _part(FUSIONS, arguments)
    branches = [_signal(branch, ()) for branch in config["branches"]]
    return FusedModel(branches, **settings, fusion=fusion, heads=_built_heads(config["heads"], fusion.features))


def _built_heads(heads: Sequence[Mapping[str, Any]], width: int) -> dict[str, nn.Module]:
    return {head["target"]: _part(HEADS, {**_without(head, "target", "dense"), "width": width}) for head in heads}


def _dense(heads: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The targets whose heads read positions."""
    for head in heads:
        if head.get("dense", True) is not True:
            raise BundleRefused(f"the head of {head['target']!r} has dense = {head['dense']!r}", code="config_value")
    return frozenset(head["target"] for head in heads if "dense" in head)


def _branch(
    backbone: Backbone, columns: Mapping[str, Mapping[str, Any]], *, pooling: str, dropout: float
) -> dict[str, Any]:
    trunk = {**backbone.trunk, "name": TRUNKS.full_name(backbone.trunk["name"]), "dropout": dropout}
    if is_spatial(trunk["name"]):
        column, described = _only(backbone, columns, "picture", wants="reads one column of pictures")
        picture = {**described["picture"], "name": STEMS.full_name(described["picture"]["name"])}
        stems = [{"column": column, **picture}]  # no dropout: dropping pixels would blind a trained trunk
        trunk["size"] = [picture["height"], picture["breadth"]]
    elif is_fixed(trunk["name"]):
        column, described = _only(backbone, columns, "count", wants="stands on computed features of one column")
        trunk["width"] = int(described["count"])
        stem = {"name": STEMS.full_name(described["name"]), "count": trunk["width"], "width": trunk["width"]}
        stems = [{"column": column, **stem, "dropout": dropout}]
    else:
        reach = _reaches(columns)
        stems = [
            {"column": column, **_stem(backbone, column, {**described, **reach[column]}), "dropout": dropout}
            for column, described in columns.items()
        ]
    return {"stems": stems, "trunk": trunk, "pooling": {"name": POOLINGS.full_name(pooling)}}


def _reaches(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """The limit of the second of a pair: it counts from where the first may end."""
    first = next(iter(columns.values())).get("limit") or 0
    return {
        column: {"limit": first + (described.get("limit") or 0)} if described.get("second") else {}
        for column, described in columns.items()
    }


def _only(
    backbone: Backbone, columns: Mapping[str, Mapping[str, Any]], key: str, *, wants: str
) -> tuple[str, Mapping[str, Any]]:
    """The only column of a trunk that reads just one, which has to be described under `key`."""
    column, described = next(iter(columns.items()))
    if len(columns) > 1 or key not in described:
        raise UsageError(
            f"the trunk {backbone.name} {wants}; it was given {list(columns)} ({column!r} is {described['name']})",
            "choose a trunk that reads any signal: transformer, convolution, recurrent",
        )
    return column, described


def _check_dense(backbone: Backbone, columns: Mapping[str, Mapping[str, Any]], dense: Collection[str]) -> None:
    """Refuse a dense target where positions are not those of one column.

    Raises:
        UsageError: There are several columns, or the trunk reads pictures or fixed features.
    """
    target, name = min(dense), backbone.trunk["name"]
    if len(columns) > 1:
        raise UsageError(
            f"the target {target!r} has one label a unit of the input, and there are the inputs {list(columns)}",
            "give it one input column",
            code="dense_target",
        )
    if is_spatial(name) or is_fixed(name):
        raise UsageError(
            f"the target {target!r} has one label a unit of the input, and the trunk {backbone.name} does not keep "
            "their positions",
            "choose a trunk that reads any signal: transformer, convolution, recurrent",
            code="dense_target",
        )


def _heads(
    outputs: Mapping[str, int],
    head: str,
    dropout: float,
    dense: Collection[str] = (),
    tied: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    shared = tied or {}
    return [
        {"target": target, "name": HEADS.full_name("tied" if target in shared else head), "outputs": count}
        | {"dropout": dropout, **shared.get(target, {})}
        | ({"dense": True} if target in dense else {})
        for target, count in outputs.items()
    ]


def _check_shape(config: Mapping[str, Any], parts: Mapping[str, type]) -> None:
    if set(config) != set(parts):
        raise BundleRefused(f"a model has the parts {sorted(parts)}; this one has {sorted(config)}", code="config_key")
    for part, kind in parts.items():
        if not isinstance(config[part], kind) or not config[part]:
            raise BundleRefused(f"{part} is {config[part]!r}, not a filled {kind.__name__}", code="config_value")
    for part, key in (("stems", "column"), ("heads", "target")):
        if part not in parts:
            continue
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
        fresh = {key: value for key, value in described.items() if key not in ("name", "limit", "picture")}
        ordered = getattr(TRUNKS[backbone.trunk["name"]], "ordered", False) or backbone.trunk.get("rotary", False)
        return {"name": name, **fresh, "width": backbone.trunk["width"], "positions": 0 if ordered else limit}
    for key in (set(described) & set(backbone.stem)) - {"name"}:
        if described[key] != backbone.stem[key]:
            raise UsageError(
                f"column {column!r} has {key} {described[key]}, the trunk {backbone.name} was trained with "
                f"{backbone.stem[key]}",
                "use the tokenizer, or the size, that came with the trunk",
            )
    if backbone.limit is not None and limit > backbone.limit:
        raise UsageError(
            f"column {column!r} has segments of {limit} positions, {backbone.name} reads {backbone.limit}",
            f"set model.max_length to {backbone.limit} or less",
        )
    return {**backbone.stem, "name": name, **({"second": True} if described.get("second") else {})}


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


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in keys}
