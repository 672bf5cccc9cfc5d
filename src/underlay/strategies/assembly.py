"""Which trunk every input column stands on, and what joins several of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from underlay.core import DenseModality, FollowedModality, Modality, RecipeError, Schema, Suited, UsageError, nearest
from underlay.modalities import MODALITIES
from underlay.models import (
    FUSIONS,
    POOLINGS,
    Backbone,
    FusedModel,
    SignalModel,
    build,
    configure,
    configure_fused,
    is_fixed,
    is_spatial,
    resolve,
)
from underlay.strategies.recipe import Recipe

JOINT, LATE = "joint", "late"
LINEAR, TIED = "linear", "tied"
JOINT_TRUNK = "transformer"
"""Where columns of several kinds stand on one trunk and the recipe names none."""

Suits = Callable[[str, Sequence[str]], Suited | None]
"""(modality, its columns) -> the trunk that suits what they hold; None where any is as good as the default."""


@dataclass(frozen=True)
class Branch:
    """One trunk and the columns that stand on it.

    Args:
        kind: Their modality; of the first, where they have several.
        columns: Names.
        backbone: The trunk.
    """

    kind: str
    columns: tuple[str, ...]
    backbone: Backbone


@dataclass(frozen=True)
class Assembly:
    """The trunks of a model.

    Args:
        branches: At least one; together they read every column of the schema.
        fusion: What joins them; `joint` for a single trunk.
        reasons: By modality: why its trunk was chosen, where the data decided.
    """

    branches: tuple[Branch, ...]
    fusion: str = JOINT
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The trunks."""
        return tuple(branch.backbone for branch in self.branches)

    @property
    def name(self) -> str:
        """Their names."""
        return " + ".join(backbone.name for backbone in self.backbones)

    @property
    def digest(self) -> str | None:
        """SHA-256 of each trained trunk's weights; None where all start from nothing."""
        return " + ".join(backbone.digest for backbone in self.backbones if backbone.digest) or None

    @property
    def credit(self) -> str:
        """Whose work they are."""
        return "; ".join(dict.fromkeys(backbone.credit for backbone in self.backbones if backbone.credit))

    @property
    def pretrained(self) -> bool:
        """Whether any trunk was trained before."""
        return any(backbone.weights is not None for backbone in self.backbones)

    @property
    def fixed(self) -> bool:
        """Whether nothing learns but the heads."""
        return all(is_fixed(backbone.trunk["name"]) for backbone in self.backbones)

    @property
    def steps(self) -> int:
        """Optimiser steps that its trunks ask for; 0 where passes over the rows are enough."""
        return max(backbone.steps or 0 for backbone in self.backbones)

    @property
    def weights_bytes(self) -> int:
        """Size of the trained weights, and some for each trunk from scratch."""
        return sum(one.weights.stat().st_size if one.weights is not None else 32 << 20 for one in self.backbones)

    @property
    def cacheable(self) -> bool:
        """Whether the outputs of lower layers can stand in for them: one trunk that keeps its positions."""
        return len(self.branches) == 1 and not is_spatial(self.backbones[0].trunk["name"])

    def backbone_of(self, column: str) -> Backbone:
        """The trunk under a column."""
        return next(branch.backbone for branch in self.branches if column in branch.columns)

    def pooling(self, recipe: Recipe) -> str:
        """The pooling the recipe names, or the one the first trunk was trained with."""
        asked = recipe.model.pooling
        return POOLINGS.full_name(self.backbones[0].pooling if asked == "auto" else asked)

    def configure(self, modalities: Mapping[str, Modality], schema: Schema, recipe: Recipe) -> dict[str, Any]:
        """The model as JSON data; see `models.configure`."""
        outputs = {target.name: target.outputs for target in schema.targets}
        dense = [target.name for target in schema.targets if target.dense]
        if dense:
            require_units(modalities, dense[0])
        shared: dict[str, Any] = {
            "outputs": outputs,
            "head": head_of(recipe, schema),
            "dropout": recipe.model.dropout,
            "dense": dense,
        }
        described = {name: modality.describe() for name, modality in modalities.items()}
        if self.fusion == JOINT:
            tied = tied_heads(recipe, schema, self.backbones[0], modalities)
            return configure(self.backbones[0], columns=described, pooling=self.pooling(recipe), tied=tied, **shared)
        return configure_fused(
            [(branch.backbone, {name: described[name] for name in branch.columns}) for branch in self.branches],
            fusion=self.fusion,
            branch_dropout=recipe.model.branch_dropout,
            **shared,
        )

    def build(self, config: Mapping[str, Any], *, seed: int) -> SignalModel | FusedModel:
        """The model with the trained weights in it."""
        model = build(config, seed=seed)
        parts = model.parts if isinstance(model, FusedModel) else [model]
        for backbone, part in zip(self.backbones, parts, strict=True):
            backbone.load(part)
        return model


def require_units(modalities: Mapping[str, Modality], target: str) -> None:
    """Refuse a dense target over a value without units.

    Raises:
        UsageError: There are several columns, or the modality does not say which position answers for which unit.
    """
    if len(modalities) > 1:
        raise UsageError(
            f"the target {target!r} has one label a unit of the input, and there are the inputs {list(modalities)}",
            "give it one input column",
            code="dense_target",
        )
    for column, modality in modalities.items():
        if not isinstance(modality, DenseModality):
            able = [name for name in MODALITIES if hasattr(MODALITIES[name], "units")]
            raise UsageError(
                f"the target {target!r} has one label a unit of the input, and {column!r} is read as {modality.name}, "
                "which has no units",
                f"read it as one of {', '.join(name.rpartition('.v')[0] for name in able)}",
                code="dense_target",
            )


def follows(schema: Schema) -> list[str]:
    """Targets that ask what happens next."""
    return [target.name for target in schema.targets if target.dense and not target.by_unit]


def head_of(recipe: Recipe, schema: Schema) -> str:
    """The head of targets that share no vectors.

    Raises:
        RecipeError: A tied head is asked for and no target asks what happens next.
    """
    asked = recipe.model.head
    if asked == TIED and not follows(schema):
        raise RecipeError(["model.head is 'tied', which compares items; the target is no next item: take linear"])
    return LINEAR if asked in ("auto", TIED) else asked


def resolved_head(recipe: Recipe, schema: Schema) -> str:
    """The head by name, for a recipe that says what was done."""
    return TIED if recipe.model.head in ("auto", TIED) and follows(schema) else head_of(recipe, schema)


def tied_heads(
    recipe: Recipe, schema: Schema, backbone: Backbone, modalities: Mapping[str, Modality]
) -> dict[str, dict[str, Any]]:
    """By target that asks what happens next: the column whose vectors its head shares, unless it has another head.

    Raises:
        UsageError: The values do not happen, or the trunk reads the future, which holds the answer.
    """
    found: dict[str, dict[str, Any]] = {}
    for target in follows(schema):
        column, modality = next(iter(modalities.items()))
        if not isinstance(modality, FollowedModality):
            raise UsageError(
                f"{target!r} asks what happens next, and {column!r} is read as {modality.name}, whose values do not "
                "happen",
                "read it as events",
                code="next_item",
            )
        if modality.hidden is None and not backbone.trunk.get("causal", False):
            raise UsageError(
                f"{target!r} asks what happens next, and the trunk {backbone.name} reads the future, which holds the "
                "answer",
                f"--trunk {modality.causal}, or bert4rec, which hides what it asks for",
                code="not_causal",
            )
        if recipe.model.head in ("auto", TIED):
            found[target] = {"column": column, "first": modality.first}
    return found


def assemble(recipe: Recipe, schema: Schema, suits: Suits = lambda kind, columns: None) -> Assembly:
    """Find the trunks that the recipe names, or those that suit the columns.

    Columns of one modality share a trunk. Columns of several share one where the recipe names it (`model.trunk`) or
    asks for it (`model.fusion: joint`); else each modality has its own and a fusion joins them.

    Args:
        recipe: `model` is read.
        schema: The columns.
        suits: Asked for every trunk that is not named.

    Raises:
        RecipeError: `model.branches` names a modality that no column has, or the fusion is unknown.
        UnknownName: Nothing has the name of a trunk.
    """
    kinds = {column.name: MODALITIES.full_name(column.modality) for column in schema.columns}
    groups: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        groups.setdefault(kind.rpartition(".v")[0], []).append(name)
    asked, chosen = recipe.model.fusion, dict(recipe.model.branches)
    known = [JOINT, *(name.rpartition(".v")[0] for name in FUSIONS)]
    if asked != "auto" and asked not in known:
        raise RecipeError([f"model.fusion is {asked!r}; {nearest(asked, known)}"])
    if stray := sorted(set(chosen) - set(groups)):
        raise RecipeError([f"model.branches names {stray[0]!r}; the columns are read as {', '.join(groups)}"])
    named, several = recipe.model.trunk != "auto", len(groups) > 1
    fusion = asked if asked != "auto" else LATE if several and not named else JOINT
    joint, causal = fusion == JOINT or not several, bool(follows(schema))
    found = {} if named or (joint and several) else _suited(groups, chosen, suits)
    reasons = {kind: one.why for kind, one in found.items()}
    trunks = {kind: one.trunk for kind, one in found.items()} | chosen
    if joint:
        first = next(iter(groups))
        default = JOINT_TRUNK if several else _default(first, columns=len(kinds), causal=causal)
        backbone = resolve(recipe.model.trunk if named else trunks.get(first, default), options=recipe.model.options)
        return Assembly((Branch(first, tuple(kinds), backbone),), reasons=reasons)
    return Assembly(
        tuple(
            Branch(kind, tuple(names), resolve(trunks.get(kind, _default(kind, columns=len(names), causal=causal))))
            for kind, names in groups.items()
        ),
        fusion,
        reasons,
    )


def _suited(groups: Mapping[str, Sequence[str]], named: Mapping[str, str], suits: Suits) -> dict[str, Suited]:
    """What suits each modality whose trunk is not named."""
    asked = {kind: suits(kind, columns) for kind, columns in groups.items() if kind not in named}
    return {kind: one for kind, one in asked.items() if one is not None}


def _default(kind: str, *, columns: int, causal: bool) -> str:
    """The trunk that suits a modality; `shared`, where that one reads a single column and there are several."""
    modality = MODALITIES[kind]
    if causal and hasattr(modality, "causal"):
        return str(modality.causal)
    return str(getattr(modality, "shared", modality.trunk) if columns > 1 else modality.trunk)
