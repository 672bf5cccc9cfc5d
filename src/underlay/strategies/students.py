"""What a student starts from: a recipe of its own, or some layers of its teacher; and what it takes over besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from underlay.bundle import Bundle
from underlay.bundle.layout import WEIGHTS
from underlay.bundle.torch_backend import TorchBackend
from underlay.core import Modality, RecipeError, Schema, UsageError, derive_seed
from underlay.modalities import MODALITIES
from underlay.models import Backbone, FusedModel, SignalModel, is_fixed
from underlay.models.linear import Linear
from underlay.objectives import PROJECTION
from underlay.strategies.assembly import Assembly, Branch, assemble
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.suited import suited

TEACHER = "teacher"
"""`model.trunk` of a student that starts from layers of its teacher; `model.options: {layers: N}` says how many."""

LAYERS = "layers"

ALIKE = ("transformer.v1", "conformer.v1", "recurrent.v1")
"""Trunks whose layers are all built alike, so that one can stand in the place of another."""


def student_recipe(student: str, *, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of a student named in a word.

    Args:
        student: `layers:N`, a trunk (`bag`, `convolution`, `recurrent`, `transformer`, `minilm`), or a recipe's file.
        settings: Single keys, `["train.epochs=1"]`.

    Raises:
        UsageError: The number of layers is none.
        RecipeError: A setting, or the file, is no recipe.

    >>> student_recipe("layers:2").model.options
    {'layers': 2}
    """
    if student.endswith((".yaml", ".yml")):
        return Recipe.load(student, overrides=settings)
    recipe, (word, _, count) = Recipe.load(overrides=settings), student.partition(":")
    if word != LAYERS:
        return recipe.change({"model": {"trunk": student}})
    if not (count.isdecimal() and int(count) > 0):
        raise UsageError(f"the student is {student!r}", "write layers:3")
    return recipe.change({"model": {"trunk": TEACHER, "options": {LAYERS: int(count)}}})


@dataclass(frozen=True)
class Student:
    """A student before it learns.

    Args:
        recipe: With what it takes over from the teacher filled in.
        teacher: The first, if there are several.
    """

    recipe: Recipe
    teacher: Bundle

    @classmethod
    def of(cls, recipe: Recipe, teachers: Sequence[Bundle]) -> "Student":
        """The student of a recipe: targets, task, columns and how they are gathered are the teacher's where it is open.

        Raises:
            UsageError: There is no teacher, or it cannot give the layers that are asked for.
        """
        if not teachers:
            raise UsageError("there is no teacher", "give a bundle")
        schema, taught = teachers[0].schema, teachers[0].provenance.get("recipe", {}).get("data", {})
        data: dict[str, Any] = {}
        if recipe.data.target is None:
            names = [target.name for target in schema.targets]
            data |= {"target": names[0] if len(names) == 1 else names}
            # Whether one of two or one of many is seen in the labels; that a third is there should be said as such.
            data |= {"task": schema.targets[0].task} if len(names) == 1 and schema.targets[0].task != "binary" else {}
        if recipe.data.columns is None:
            data |= {"columns": {column.name: column.modality for column in schema.columns}}
            data |= {
                key: taught[key] for key in ("series", "events") if taught.get(key) and not getattr(recipe.data, key)
            }
        student = cls(recipe.change({"data": data}), teachers[0])
        student._check()
        return student

    @property
    def layers(self) -> int | None:
        """How many of the teacher's layers it starts from; None: it has a trunk of its own."""
        model = self.recipe.model
        return int(model.options[LAYERS]) if model.trunk == TEACHER and LAYERS in model.options else None

    def assemble(self, recipe: Recipe, data: Prepared, *, say: Say) -> Assembly:
        """The trunks: those that the recipe names or that suit, or the teacher's own with fewer layers."""
        if self.layers is None:
            return assemble(recipe, data.schema, suited(data, recipe, say=say))
        config, teacher = self.teacher.config, self.teacher
        assert teacher.path is not None and teacher.manifest is not None  # as `_check` found
        backbone = Backbone(
            TEACHER,
            {**config["trunk"], "depth": self.layers},
            digest=teacher.manifest.files[WEIGHTS]["sha256"],
            credit=str(teacher.provenance.get("backbone", {}).get("credit", "")),
            weights=teacher.path / WEIGHTS,  # they enter by `build`, under their own names
            pooling=config["pooling"]["name"],
        )
        columns = tuple(column.name for column in data.schema.columns)
        return Assembly((Branch(data.schema.columns[0].modality, columns, backbone),))

    def reading(self, schema: Schema, assembly: Assembly, *, say: Say) -> dict[str, Modality] | None:
        """The teacher's modalities, where the student reads as it does; None where it has to learn to read by itself.

        That is where it has a tokenizer or options of its own, or the recipe says how to read.

        Raises:
            UsageError: It starts from layers that read otherwise.
        """
        model, known = self.recipe.model, self.teacher.modalities
        kinds = {column.name: MODALITIES.full_name(column.modality) for column in schema.columns}
        same = all(name in known and known[name].name == kind for name, kind in kinds.items())
        if self.layers is not None:
            if list(kinds) != list(known) or not same or model.read:
                raise UsageError(
                    f"the teacher's layers read {list(known)}; the student is to read {list(kinds)}"
                    + (f" with model.read {dict(model.read)}" if model.read else ""),
                    "leave data.columns and model.read out, or take a student with a trunk of its own",
                )
            return dict(known)
        short = {kind.rpartition(".v")[0] for kind in kinds.values()}
        own = any(
            one.assets or one.stem is not None or is_fixed(one.trunk["name"]) or short & set(one.suggests)
            for one in assembly.backbones
        )
        if not same or own or model.read or model.max_length != "auto":
            return None
        say.note(f"{', '.join(map(repr, kinds))}: read as the teacher reads")
        return {name: known[name] for name in kinds}

    def configure(
        self, assembly: Assembly, modalities: Mapping[str, Modality], schema: Schema, recipe: Recipe
    ) -> dict[str, Any]:
        """The model as JSON data: as the recipe says, or as the teacher's is but for the number of layers."""
        if self.layers is None:
            return assembly.configure(modalities, schema, recipe)
        config, targets = self.teacher.config, [target.name for target in schema.targets]
        heads = {head["target"]: head for head in config["heads"]}
        return {
            **config,
            "trunk": {**config["trunk"], "depth": self.layers},
            "heads": [heads[target] for target in targets],
        }

    def build(
        self, assembly: Assembly, config: Mapping[str, Any], *, seed: int, taught_width: int | None = None
    ) -> SignalModel | FusedModel:
        """The model with its first weights in it.

        Args:
            assembly: Its trunks.
            config: What `configure` gave.
            seed: Of what starts from nothing.
            taught_width: Of the teacher's vectors, where a term compares them: a linear layer to it is added where the
                student's are narrower or wider. `dismiss` takes it away again.
        """
        model = assembly.build(config, seed=seed)
        if self.layers is not None:
            _start(model, model_of(self.teacher).state_dict(), evenly_spaced(_depth(self.teacher), self.layers))
        width = feature_width(model)
        if taught_width is not None and taught_width != width:
            bridge = Linear(width, taught_width, bias=False)
            drawn = torch.Generator().manual_seed(derive_seed(seed, PROJECTION))
            with torch.no_grad():
                bridge.weight.normal_(0.0, width**-0.5, generator=drawn)  # keeps the size of a vector
            setattr(model, PROJECTION, bridge)
        return model

    @staticmethod
    def dismiss(model: SignalModel | FusedModel) -> None:
        """Take away what only learning needed."""
        if hasattr(model, PROJECTION):
            delattr(model, PROJECTION)

    def _check(self) -> None:
        options = dict(self.recipe.model.options)
        if self.recipe.model.trunk != TEACHER:
            return
        if set(options) != {LAYERS} or type(options[LAYERS]) is not int:
            raise RecipeError([f"model.trunk is {TEACHER!r} and model.options {options}; write {{layers: 3}}"])
        depth = _depth(self.teacher)
        if not 1 <= options[LAYERS] <= depth:
            raise UsageError(f"the teacher has {depth} layers, {options[LAYERS]} are asked for", f"take 1 to {depth}")


def evenly_spaced(depth: int, count: int) -> tuple[int, ...]:
    """Which of `depth` layers `count` layers start from, the first and the last among them.

    Source: Sanh et al., DistilBERT, 2019, section 2 (half of them; these six of twelve).

    >>> evenly_spaced(12, 6)
    (0, 2, 4, 7, 9, 11)
    """
    return tuple(int(layer) for layer in np.linspace(0, depth - 1, count).round())


def _start(model: SignalModel | FusedModel, tensors: Mapping[str, Tensor], layers: Sequence[int]) -> None:
    """Copy everything but the trunk's layers as it is, and of these the chosen ones."""
    with torch.no_grad():
        for name, parameter in model.state_dict().items():
            room, *path = name.split(".")
            if room == "trunk" and path[0] == "layers":
                name = ".".join([room, path[0], str(layers[int(path[1])]), *path[2:]])
            parameter.copy_(tensors[name])


def model_of(teacher: Bundle) -> SignalModel | FusedModel:
    """The PyTorch model of a bundle.

    Raises:
        UsageError: It was exported: a graph has no layers, and gives logits only.
    """
    if not isinstance(teacher.backend, TorchBackend):
        raise UsageError(
            f"{teacher.path} is an exported bundle: it gives answers, and neither layers nor vectors",
            "take the bundle it was made from",
            code="exported",
        )
    return teacher.backend.model


def feature_width(model: SignalModel | FusedModel) -> int:
    """Of the pooled vectors that its heads read."""
    return model.width if isinstance(model, SignalModel) else int(cast("Any", model.fusion).features)


def _depth(teacher: Bundle) -> int:
    """Layers of the teacher's trunk, if a part of them is a trunk again."""
    model_of(teacher)
    name = teacher.config.get("trunk", {}).get("name", "several trunks")
    if teacher.path is None or teacher.manifest is None or name not in ALIKE:
        raise UsageError(
            f"the teacher stands on {name}, whose layers cannot stand in for one another",
            f"that can {', '.join(one.rpartition('.v')[0] for one in ALIKE)}; take a student with a trunk of its own",
        )
    return int(teacher.config["trunk"]["depth"])
