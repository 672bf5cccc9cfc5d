"""How long a trunk that starts from nothing learns on few rows and on many."""

import numpy as np
import pytest
import torch

from underlay.core import Column, Schema, Target
from underlay.strategies.assembly import assemble
from underlay.strategies.recipe import Recipe
from underlay.strategies.resolve import resolve_recipe

SCHEMA = Schema((Column("series", "series"),), (Target("label", "binary", ("a", "b")),))


def resolved(trunk: str, rows: int, *more: str) -> Recipe:
    recipe = Recipe.load(overrides=[f"model.trunk={trunk}", *more])
    return resolve_recipe(
        recipe,
        schema=SCHEMA,
        assembly=assemble(recipe, SCHEMA),
        lengths=np.full(rows, 100),
        max_length=100,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("rows", [10, 45, 500, 5_000, 100_000])
def test_a_trunk_that_asks_for_steps_gets_them_however_few_the_rows(rows):
    train = resolved("inception", rows).train
    steps = train.epochs * train.repeat * -(-rows // train.batch_rows)
    assert steps >= 600
    assert train.repeat == 1 or steps < 2 * 600
    assert train.early_stopping == 0


def test_a_trunk_that_asks_for_none_draws_each_row_once_and_stops_early():
    train = resolved("convolution", 45).train
    assert (train.repeat, train.early_stopping) == (1, 2)


def test_a_fixed_trunk_is_fitted_by_the_probe_and_passes_over_the_rows_once():
    train = resolved("minirocket", 45).train
    assert (train.epochs, train.repeat, train.probe) == (1, 1, True)
    assert train.learning_rate == 1e-5
    assert train.early_stopping == 2


def test_what_the_recipe_says_comes_first():
    train = resolved("inception", 45, "train.repeat=3", "train.early_stopping=5", "train.epochs=4").train
    assert (train.epochs, train.repeat, train.early_stopping) == (4, 3, 5)
