"""What a recipe says of the objective -> the objective."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from underlay.core import RecipeError, Registry, Target, UsageError, nearest
from underlay.core.schema import Task
from underlay.objectives.arguments import is_number
from underlay.objectives.binary_cross_entropy import binary_cross_entropy
from underlay.objectives.cross_entropy import cross_entropy
from underlay.objectives.distil_hidden import distil_hidden
from underlay.objectives.distil_logits import distil_logits
from underlay.objectives.distil_relations import distil_relations
from underlay.objectives.focal import focal
from underlay.objectives.r_drop import r_drop
from underlay.objectives.schedule import SCHEDULES
from underlay.objectives.squared_error import squared_error
from underlay.objectives.term import LossTerm, Objective, Schedule


class LossEntry(NamedTuple):
    """A loss a recipe may name.

    Args:
        build: Makes the term; its parameters are the recipe's keys. One that takes a `task` is told the target's.
        tasks: The tasks whose targets it reads; none of a term that reads vectors and no target.
        taught: Whether it reads what a teacher said, and not the labels.
    """

    build: Callable[..., LossTerm]
    tasks: tuple[Task, ...]
    taught: bool = False


LOSSES: Registry[LossEntry] = Registry("loss")
"""What a recipe may name as `objective: {task: {name: ...}}`."""

ONE_OF_SEVERAL: tuple[Task, ...] = ("binary", "multiclass", "tagging", "next-item")
"""Tasks whose answers are one label of several, a row or a position."""

LOSSES("cross_entropy.v1")(LossEntry(cross_entropy, ONE_OF_SEVERAL))
LOSSES("focal.v1")(LossEntry(focal, ONE_OF_SEVERAL))
LOSSES("r_drop.v1")(LossEntry(r_drop, ONE_OF_SEVERAL))
LOSSES("binary_cross_entropy.v1")(LossEntry(binary_cross_entropy, ("multilabel",)))
LOSSES("squared_error.v1")(LossEntry(squared_error, ("regression",)))
LOSSES("distil_logits.v1")(LossEntry(distil_logits, ("binary", "multiclass", "multilabel", "regression"), taught=True))
LOSSES("distil_hidden.v1")(LossEntry(distil_hidden, (), taught=True))
LOSSES("distil_relations.v1")(LossEntry(distil_relations, (), taught=True))

_DEFAULT: Mapping[Task, str] = {
    "binary": "cross_entropy",
    "multiclass": "cross_entropy",
    "multilabel": "binary_cross_entropy",
    "regression": "squared_error",
    "tagging": "cross_entropy",
    "next-item": "cross_entropy",
}
_PER_LABEL = ("class_weights", "positive_weights")


def default_recipe(target: Target) -> dict[str, Any]:
    """The recipe of one term: the usual loss for the target's task.

    >>> default_recipe(Target("stars", "regression"))
    {'name': 'squared_error', 'target': 'stars'}
    """
    return {"name": _DEFAULT[target.task], "target": target.name}


def default_objective(targets: Sequence[Target]) -> dict[str, dict[str, Any]]:
    """The recipe of a whole objective: `task`, or `task/NAME` for each of several targets.

    >>> default_objective([Target("a", "regression"), Target("b", "regression")]).keys()
    dict_keys(['task/a', 'task/b'])
    """
    if len(targets) == 1:
        return {"task": default_recipe(targets[0])}
    return {f"task/{target.name}": default_recipe(target) for target in targets}


def build_objective(
    recipe: Mapping[str, Mapping[str, Any]] | None,
    *,
    schema_targets: Sequence[Target],
    class_weights: Mapping[str, Sequence[float]] | None = None,
) -> Objective:
    """The objective a recipe describes; `None` or `{}` is the usual loss for each target.

    Args:
        recipe: By term: `name` (absent or `auto`: the usual loss for the target's task), `target` (absent: the
            only one), `weight` (a number, or `{name: linear, end: 1.0, steps: 200}`), and the loss's own arguments.
        schema_targets: The targets there are.
        class_weights: By target, the numbers that `class_weights: balanced` stands for (`balanced_weights`).

    Raises:
        RecipeError: Anything in it is impossible; every problem is named.

    >>> build_objective(
    ...     {"task": {"label_smoothing": 0.1}}, schema_targets=[Target("label", "binary", ("n", "y"))]
    ... ).weights
    {'task': 1.0}
    """
    terms: dict[str, LossTerm] = {}
    weights: dict[str, float | Schedule] = {}
    problems: list[str] = []
    for name, entry in (recipe or default_objective(schema_targets)).items():
        try:
            if not isinstance(entry, Mapping):
                raise UsageError(f"the term is {entry!r}", "write {name: cross_entropy}")
            rest = dict(entry)
            weights[name] = _weight(rest.pop("weight", 1.0))
            terms[name] = _term(rest, schema_targets, class_weights or {})
        except RecipeError as error:
            problems += [f"objective.{name}: {problem}" for problem in error.problems]
        except UsageError as error:
            problems.append(f"objective.{name}: {error}")
    if problems:
        raise RecipeError(problems)
    return Objective(terms, weights)


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Class weights under which every class weighs the same in the training set: `N / (K * count)`.

    A class without a row gets 0; as scikit-learn's `class_weight="balanced"` elsewhere.

    >>> balanced_weights([10, 30])
    (2.0, 0.6666666666666666)
    """
    present = sum(1 for count in counts if count)
    total = sum(counts)
    return tuple(total / (present * count) if count else 0.0 for count in counts)


def _term(entry: dict[str, Any], targets: Sequence[Target], class_weights: Mapping[str, Sequence[float]]) -> LossTerm:
    name = entry.pop("name", "auto")
    if name != "auto" and not LOSSES[str(name)].tasks:
        _check_keys(str(name), LOSSES[str(name)].build, entry)
        return LOSSES[str(name)].build(**entry)
    target = _target(entry.pop("target", None), targets)
    name = _DEFAULT[target.task] if name == "auto" else name
    loss = LOSSES[str(name)]
    if target.task not in loss.tasks:
        what = f"{name} reads {' or '.join(loss.tasks)} targets; {target.name!r} is {target.task}"
        raise UsageError(what, f"use {_DEFAULT[target.task]}")
    _check_keys(str(name), loss.build, entry)
    for key in _PER_LABEL:
        if key in entry:
            entry[key] = _per_label(key, entry[key], target, class_weights)
    told = {"task": target.task} if "task" in inspect.signature(loss.build).parameters else {}
    return loss.build(**entry, **told, target=target.name)


def _target(name: str | None, targets: Sequence[Target]) -> Target:
    names = [target.name for target in targets]
    if name is None and len(targets) == 1:
        return targets[0]
    if name is None:
        raise UsageError(f"there are the targets {names}", "say which one: `target: NAME`")
    if name not in names:
        raise UsageError(f"there is no target {name!r}", nearest(name, names))
    return targets[names.index(name)]


def _check_keys(name: str, build: Callable[..., Any], entry: Mapping[str, Any]) -> None:
    """Name every key the builder does not know, and every one it misses."""
    parameters = inspect.signature(build).parameters
    known = [key for key in parameters if key not in ("target", "task")]
    problems = [
        f"{name} has no argument {key!r} — {nearest(key, [*known, 'weight'])}" for key in entry if key not in known
    ]
    problems += [
        f"{name} needs {parameter.name!r}"
        for parameter in parameters.values()
        if parameter.default is inspect.Parameter.empty and parameter.name not in entry
    ]
    if problems:
        raise RecipeError(problems)


def _per_label(
    key: str, value: Any, target: Target, class_weights: Mapping[str, Sequence[float]]
) -> Sequence[float] | None:
    if value is None:
        return None
    if value == "balanced":
        if target.name not in class_weights:
            raise UsageError(f"{key} is 'balanced' and nothing was counted for {target.name!r}", "give numbers instead")
        value = class_weights[target.name]
    if isinstance(value, Mapping):  # by label name, as a person would write it
        stray = [label for label in value if str(label) not in target.labels]
        if stray:
            raise UsageError(f"{key} names the label {stray[0]!r}", nearest(str(stray[0]), target.labels))
        by_name = {str(label): number for label, number in value.items()}
        value = [by_name.get(label, 1.0) for label in target.labels]
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) != target.outputs:
        raise UsageError(
            f"{key} has {len(value)} numbers; {target.name!r} has {target.outputs} labels",
            f"give one each, in this order: {', '.join(target.labels[:20])}",
        )
    return value  # type: ignore[no-any-return]  # what is not a list of numbers is refused by the loss itself


def _weight(value: Any) -> float | Schedule:
    if isinstance(value, Mapping):
        options = dict(value)
        name = str(options.pop("name", "linear"))
        build = SCHEDULES[name]
        _check_keys(name, build, options)
        return build(**options)
    if not is_number(value) or value < 0:
        raise UsageError(f"weight is {value!r}", "give a number >= 0 or {name: linear, end: 1.0, steps: 200}")
    return float(value)
