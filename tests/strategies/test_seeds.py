"""Several seeds: the best is kept, or the average of the weights that help; the answers follow the weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.strategies.conftest import tiny

from underlay.bundle import open_bundle
from underlay.core import RecipeError
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.seeds import average

MINILM = ("model.trunk=minilm", "model.options={}", "model.max_length=16", "train.freeze=5", "train.learning_rate=2e-4")
SOUP = (*MINILM, "train.seeds=2", "train.average=true", "train.epochs=1")


@pytest.fixture(scope="module")
def averaged(snippets, tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("soup") / "bundle"
    return fine_tune(str(snippets), recipe=tiny(*SOUP), out=out, listener=said.append), [event.text for event in said]


def test_the_mean_of_tensors_is_exact_and_whole_numbers_are_the_first_ones():
    ones = {"w": torch.tensor([1.0, 2.0]), "steps": torch.tensor(3)}
    twos = {"w": torch.tensor([2.0, 4.0]), "steps": torch.tensor(9)}
    found = average([ones, twos, twos])
    assert found["w"].tolist() == pytest.approx([5 / 3, 10 / 3])
    assert found["w"].dtype == torch.float32
    assert int(found["steps"]) == 3


def test_runs_from_the_same_weights_are_averaged_and_it_is_said(averaged):
    fitted, said = averaged
    assert any("the average of the weights of seeds 0, 1 is kept" in text for text in said)
    assert fitted.bundle.provenance["averaged"] == [0, 1]
    kept = load_file(fitted.bundle.path / "model.safetensors")
    runs = [
        load_file(
            max((fitted.bundle.path.parent / f"bundle.run/seed-{seed}/checkpoints").glob("step-*")) / "best.safetensors"
        )
        for seed in (0, 1)
    ]
    top = "trunk.layers.5.feed_forward.up.weight"
    first, second = (next(tensor for name, tensor in run.items() if name.endswith(top)) for run in runs)
    assert not torch.equal(first, second)
    assert torch.allclose(kept[top], (first + second) / 2, atol=1e-7)


def test_the_figures_of_validation_are_those_of_the_averaged_weights(averaged):
    fitted, _ = averaged
    again = open_bundle(fitted.bundle.path)  # golden rows are answered anew
    assert np.allclose(again.predict_proba(["a fine film"]), fitted.bundle.predict_proba(["a fine film"]), atol=1e-6)
    assert 0.5 < fitted.bundle.metrics["label"]["accuracy"]["value"] <= 1.0


def test_an_average_that_is_worse_is_not_kept(snippets, tmp_path):
    """Two trunks from scratch: half of each is nothing."""
    said = []
    recipe = tiny("train.seeds=2", "train.average=true", "train.epochs=6", "train.learning_rate=0.02")
    fitted = fine_tune(str(snippets), recipe=recipe, out=tmp_path / "bundle", listener=said.append)
    assert any("alone is kept" in event.text for event in said)
    assert fitted.bundle.provenance.get("averaged") is None


def test_averaging_one_seed_is_refused():
    with pytest.raises(RecipeError, match=r"train\.seeds"):
        Recipe.load(overrides=["train.average=true"])


def test_the_last_weights_are_kept_on_request_and_early_stopping_is_then_refused(snippets, tmp_path):
    recipe = tiny("train.keep=last", "train.epochs=6", "train.learning_rate=0.02")
    fitted = fine_tune(str(snippets), recipe=recipe, out=tmp_path / "bundle")
    assert fitted.recipe.train.early_stopping == 0
    assert fitted.bundle.provenance["best_step"] == fitted.bundle.provenance["steps"]
    scores = [record["accuracy"] for record in fitted.bundle.provenance["history"] if "epoch" in record]
    assert len(scores) == 6
    assert scores[-1] < max(scores)  # the best was not the last
    with pytest.raises(RecipeError, match="early stopping would end it"):
        Recipe.load(overrides=["train.keep=last", "train.early_stopping=2"])
