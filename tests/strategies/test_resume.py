"""A run that goes on reads its rows as it began to, whatever each column's length was and however it was found."""

import json

import numpy as np
import pytest
from tests.strategies.conftest import tiny

from underlay.core import CheckpointRefused
from underlay.strategies import Recipe, fine_tune

QUICK = ("train.epochs=3", "train.early_stopping=0", "data.suspects=false")


def stop_at(step):
    def stop(event):
        if event.kind == "progress" and event.data.get("step") == step:
            raise KeyboardInterrupt

    return stop


def twice(source, recipe, folder):
    """The same run whole, and stopped and resumed; the two bundles."""
    whole = fine_tune(source, recipe=recipe, out=folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        fine_tune(source, recipe=recipe, out=folder / "cut", listener=stop_at(5))
    assert not (folder / "cut").exists()
    return whole.bundle, fine_tune(source, recipe=recipe, out=folder / "cut", resume=True).bundle


def same_files(one, other, *names):
    return all((one.path / name).read_bytes() == (other.path / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def texts():
    """Titles of two words and bodies of forty, so that the lengths chosen for them differ."""
    rng = np.random.default_rng(0)
    words = [f"word{at}" for at in range(30)]
    labels = ["good" if at % 2 else "bad" for at in range(120)]
    titles = [f"{label} {words[at % 30]}" for at, label in enumerate(labels)]
    bodies = [" ".join([*rng.choice(words, int(rng.integers(20, 40))), label]) for label in labels]
    return {"title": titles, "body": bodies, "label": labels}


def test_columns_of_different_lengths_keep_them(texts, tmp_path):
    settings = ("data.target=label", "data.columns={title: text, body: text}", "model.long=windows", *QUICK)
    whole, cut = twice(texts, tiny(*settings), tmp_path)
    lengths = {name: modality.max_length for name, modality in whole.modalities.items()}
    assert lengths["title"] < lengths["body"]
    assert {name: modality.max_length for name, modality in cut.modalities.items()} == lengths
    assert same_files(whole, cut, "model.safetensors", "config.json")


def test_histories_are_taught_in_the_same_pieces(tmp_path):
    rng = np.random.default_rng(0)
    counts = [6] * 200 + [90]
    starts = rng.integers(0, 10, len(counts))
    rows = [[f"g{(start + at) % 10}" for at in range(count)] for count, start in zip(counts, starts, strict=True)]
    whole, cut = twice({"item": rows}, Recipe.load(overrides=["data.columns={item: events}", *QUICK]), tmp_path)
    assert whole.modalities["item"].max_length < 90, "else there is nothing to get wrong"
    assert whole.provenance["recipe"]["data"]["split"]["piece"] == 200
    assert same_files(whole, cut, "model.safetensors", "config.json")


def test_a_damaged_modality_is_refused_with_what_to_do(texts, tmp_path):
    recipe = tiny("data.target=label", "data.columns={title: text, body: text}", *QUICK)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(texts, recipe=recipe, out=tmp_path / "b", listener=stop_at(5))
    state = tmp_path / "b.run"
    entries = json.loads((state / "fitted.json").read_text())
    file = state / entries["body"]["folder"] / min(entries["body"]["files"])
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointRefused, match=r"fitted modalities .* not the file that was written") as refused:
        fine_tune(texts, recipe=recipe, out=tmp_path / "b", resume=True)
    assert "--force" in refused.value.do
