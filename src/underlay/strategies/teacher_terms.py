"""What a student's objective asks of a teacher, and whether the teacher answers the same question."""

from collections.abc import Sequence
from typing import Any

from underlay.bundle import Bundle
from underlay.core import RecipeError, Schema, UsageError
from underlay.objectives import LOSSES, default_objective
from underlay.strategies.recipe import Recipe

LABELS, SAID = 0.5, 0.5
"""What labels and the teacher's answers weigh where the recipe does not say: the gradients of both are of one size."""


def with_teacher_terms(recipe: Recipe, schema: Schema) -> Recipe:
    """The recipe with an objective in which the teacher has a say.

    Raises:
        RecipeError: It has an objective of its own, and no term of it reads a teacher.
    """
    if not recipe.objective:
        found: dict[str, dict[str, Any]] = {}
        for key, term in default_objective(schema.targets).items():
            soft = {"name": "distil_logits", "target": term["target"], "weight": SAID}
            found |= {key: {**term, "weight": LABELS}, key.replace("task", "distil", 1): soft}
        return recipe.change({"objective": found})
    if not taught_terms(recipe):
        known = ", ".join(name.rpartition(".v")[0] for name in LOSSES if LOSSES[name].taught)
        raise RecipeError([f"no term of the objective {list(recipe.objective)} reads a teacher; add one of {known}"])
    return recipe


def taught_terms(recipe: Recipe) -> list[dict[str, Any]]:
    """The terms of a recipe's objective that read a teacher, with their full names."""
    terms = [term for term in recipe.objective.values() if str(term.get("name", "auto")) in LOSSES]
    named = [{**term, "name": LOSSES.full_name(str(term["name"]))} for term in terms]
    return [term for term in named if LOSSES[term["name"]].taught]


def require_same_labels(teachers: Sequence[Bundle], schema: Schema) -> None:
    """Refuse data whose labels mean other things, or stand in another order, than a teacher's.

    Raises:
        UsageError: They do (`other_labels`), or a target has a label a unit.
    """
    for target in schema.targets:
        if target.dense:
            raise UsageError(
                f"the target {target.name!r} has one label a unit ({target.task}); a teacher of these is not built",
                "binary, multiclass, multilabel and regression have one",
                code="dense_target",
            )
        for number, teacher in enumerate(teachers, start=1):
            known = {one.name: one for one in teacher.schema.targets}
            which = f"teacher {number}" if len(teachers) > 1 else "the teacher"
            if target.name not in known:
                raise UsageError(
                    f"the target is {target.name!r}; {which} answers {list(known)}",
                    "name the data's column so, or name one of the teacher's targets in data.target",
                    code="other_labels",
                )
            own = known[target.name]
            if (own.task, own.labels) != (target.task, target.labels):
                raise UsageError(
                    f"{target.name!r} is {target.task} {list(target.labels)!r:.200} in the data and {own.task} "
                    f"{list(own.labels)!r:.200} for {which}",
                    "give data in which the same labels occur; data.merge renames them",
                    code="other_labels",
                )
