"""From what a person writes to the objective, with every mistake named."""

import inspect

import pytest
import torch

from underlay.core import Batch, Output, RecipeError, Target
from underlay.core.schema import TASKS
from underlay.objectives import (
    LOSSES,
    SCHEDULES,
    Step,
    balanced_weights,
    build_objective,
    default_objective,
    default_recipe,
)

MOOD = Target("mood", "multiclass", ("bad", "fair", "good"))
STARS = Target("stars", "regression")
TAGS = Target("tags", "multilabel", ("x", "y"))


def step(target: Target, logits, truth) -> Step:
    logits = torch.tensor(logits)
    batch = Batch({}, {target.name: torch.tensor(truth)})
    return Step(batch, logits, Output(logits, logits, {target.name: logits}), model=None, number=0)


def value(recipe, target: Target, logits, truth, **options) -> float:
    objective = build_objective(recipe, schema_targets=[target], **options)
    return float(objective(objective.init(None), step(target, logits, truth)).total)


def problems(recipe, *targets: Target, **options) -> str:
    with pytest.raises(RecipeError) as caught:
        build_objective(recipe, schema_targets=targets or [MOOD], **options)
    return str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_default_loss_that_reads_it(task):
    target = Target("t", task, ("a", "b") if task != "regression" else ())
    assert task in LOSSES[default_recipe(target)["name"]].tasks
    assert build_objective(None, schema_targets=[target]).weights == {"task": 1.0}


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_has_defaults_a_target_and_only_keyword_options_after_its_first(name):
    parameters = list(inspect.signature(LOSSES[name].build).parameters.values())
    assert ("target" in {parameter.name for parameter in parameters}) == bool(LOSSES[name].tasks)
    assert all(parameter.default is not inspect.Parameter.empty for parameter in parameters)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters[1:])
    assert LOSSES[name].build.__doc__


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_schedule_gives_a_number_at_every_step(name):
    options = {"steps": 10} if "steps" in inspect.signature(SCHEDULES[name]).parameters else {}
    schedule = SCHEDULES[name](**options)
    assert all(isinstance(schedule(number), float) for number in (0, 1, 1000))


def test_several_targets_get_a_term_each():
    recipe = default_objective([MOOD, STARS, TAGS])
    assert list(recipe) == ["task/mood", "task/stars", "task/tags"]
    assert set(build_objective(None, schema_targets=[MOOD, STARS, TAGS]).terms) == set(recipe)


def test_options_reach_the_loss():
    plain = value({"task": {}}, MOOD, [[2.0, 0.0, 0.0]], [0])
    smoothed = value({"task": {"label_smoothing": 0.3}}, MOOD, [[2.0, 0.0, 0.0]], [0])
    halved = value({"task": {"weight": 0.5}}, MOOD, [[2.0, 0.0, 0.0]], [0])
    assert smoothed > plain
    assert halved == pytest.approx(plain / 2)


def test_balanced_stands_for_the_numbers_that_were_counted():
    recipe = {"task": {"class_weights": "balanced"}}
    logits, truth = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [0, 2]
    counted = balanced_weights([6, 3, 1])
    given = {"task": {"class_weights": list(counted)}}
    assert value(recipe, MOOD, logits, truth, class_weights={"mood": counted}) == value(given, MOOD, logits, truth)


def test_balanced_weights_give_every_class_the_same_share_and_an_absent_one_none():
    counts = [6, 3, 0, 1]
    weights = balanced_weights(counts)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True) if count]
    assert shares == pytest.approx([sum(counts) / 3] * 3)
    assert weights[2] == 0.0


def test_class_weights_may_be_given_by_label_name():
    logits, truth = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [0, 2]
    by_name = value({"task": {"class_weights": {"good": 3}}}, MOOD, logits, truth)
    assert by_name == value({"task": {"class_weights": [1.0, 1.0, 3.0]}}, MOOD, logits, truth)


def test_a_weight_may_be_a_ramp():
    recipe = {"task": {}, "again": {"weight": {"end": 0.5, "steps": 10}}}
    assert build_objective(recipe, schema_targets=[MOOD]).weights_at(5) == {"task": 1.0, "again": 0.25}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"task": {"name": "cross_entrpy"}}, "no loss named 'cross_entrpy' — did you mean 'cross_entropy.v1'"),
        ({"task": {"label_smothing": 0.1}}, "no argument 'label_smothing' — did you mean 'label_smoothing'"),
        ({"task": {"name": "squared_error"}}, "reads regression targets; 'mood' is multiclass — use cross_entropy"),
        ({"task": {"target": "moods"}}, "there is no target 'moods' — did you mean 'mood'"),
        ({"task": {"weight": -1}}, "weight is -1 — give a number >= 0"),
        ({"task": {"weight": {"name": "linear"}}}, "linear needs 'steps'"),
        ({"task": {"weight": {"name": "cosine", "steps": 3}}}, "no weight schedule named 'cosine'"),
        ({"task": {"weight": {"steps": 0}}}, "steps is 0"),
        ({"task": {"class_weights": [1.0, 2.0]}}, "has 2 numbers; 'mood' has 3 labels — give one each, in this order"),
        ({"task": {"class_weights": "balanced"}}, "nothing was counted for 'mood'"),
        ({"task": {"class_weights": {"god": 2}}}, "names the label 'god' — did you mean 'good'"),
        ({"task": "cross_entropy"}, "the term is 'cross_entropy' — write {name: cross_entropy}"),
    ],
)
def test_a_mistake_in_the_recipe_is_named_with_the_way_out(recipe, message):
    said = problems(recipe)
    assert "objective.task: " in said
    assert message in said


def test_all_mistakes_are_named_at_once():
    said = problems({"task": {"label_smoothing": 2, "target": "mood"}, "more": {"name": "x"}, "third": {"gama": 1}})
    assert all(part in said for part in ("label_smoothing is 2", "no loss named 'x'", "no argument 'gama'"))


def test_with_several_targets_a_term_must_say_which():
    assert "there are the targets ['mood', 'stars']" in problems({"task": {}}, MOOD, STARS)
