"""Two columns of texts are one question: what neither tells alone, and in which order they stand."""

import csv

import numpy as np
import pytest
from tests.strategies.conftest import tiny

from underlay.bundle import open_bundle
from underlay.modalities import Text
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.pairs import shared_lengths

WORDS = ("red", "blue", "green", "black")
TRUNK = ("model.trunk=transformer", "model.options={width: 32, depth: 2, heads: 4, inner: 64}")
LEARN = ("train.epochs=12", "train.batch_rows=64", "train.learning_rate=0.003", "train.repeat=1", "model.dropout=0.0")


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("first", "second", "label"), *rows])
    return str(path)


@pytest.fixture(scope="module")
def equal(tmp_path_factory):
    """Whether both texts hold the same word: each column by itself says nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for at in range(1200):  # the numbers make every row another, and say nothing
        same = rng.random() < 0.5
        one = int(rng.integers(4))
        other = one if same else (one + int(rng.integers(1, 4))) % 4
        rows.append((f"the {WORDS[one]} {at}", f"a {WORDS[other]} {at}", "same" if same else "other"))
    return write(tmp_path_factory.mktemp("pairs") / "equal.csv", rows)


def accuracy(source, out, *more: str) -> float:
    tuned = fine_tune(source, recipe=tiny(*TRUNK, *LEARN, *more), out=out)
    return tuned.bundle.metrics["label"]["accuracy"]["value"]


def test_a_pair_learns_what_neither_text_tells_alone(equal, tmp_path):
    both = accuracy(equal, tmp_path / "both", "data.columns={first: text, second: text}")
    alone = accuracy(equal, tmp_path / "alone", "data.columns={first: text}", "train.epochs=2")
    assert both > 0.9
    assert alone < 0.7


def test_a_pair_is_framed_as_one_sequence_and_comes_back_from_disk(equal, tmp_path):
    events = []
    recipe = tiny("data.columns={first: text, second: text}", "train.epochs=1")
    tuned = fine_tune(equal, recipe=recipe, out=tmp_path / "b", listener=events.append)
    assert any("are read as a pair" in event.text for event in events)
    again = open_bundle(tmp_path / "b")
    first, second = (again.modalities[name] for name in ("first", "second"))
    assert isinstance(second, Text)
    assert (first.options.second, second.options.second) == (False, True)
    own = first.subwords
    assert first.encode("the red")["ids"][0] == own.prefix[0]
    assert second.encode("the red")["ids"][0] != own.prefix[0]
    asked = {"first": ["the red", "a blue one"], "second": ["a blue one", "the red"]}
    turned = {"first": asked["second"], "second": asked["first"]}
    assert not np.allclose(again.predict_proba(asked), again.predict_proba(turned), atol=1e-6)
    assert np.array_equal(again.predict_proba(asked), tuned.bundle.predict_proba(asked))


def test_windows_and_three_texts_are_read_one_by_one(equal, tmp_path):
    recipe = tiny("data.columns={first: text, second: text}", "model.long=windows", "train.epochs=1")
    events = []
    tuned = fine_tune(equal, recipe=recipe, out=tmp_path / "b", listener=events.append)
    assert not any("as a pair" in event.text for event in events)
    assert not tuned.bundle.modalities["second"].options.second


class Long:
    """A modality that asks for so many positions."""

    def __init__(self, length: int) -> None:
        self.length = length

    def facts(self):
        return {"max_length": self.length}


@pytest.mark.parametrize(
    ("asked", "limit", "given"),
    [
        ((20, 30), None, {}),
        ((20, 30), 50, {}),
        ((20, 60), 64, {"a": 20, "b": 44}),
        ((60, 20), 64, {"a": 44, "b": 20}),
        ((256, 256), 256, {"a": 128, "b": 128}),
    ],
)
def test_a_pair_shares_the_positions_of_its_trunk(asked, limit, given):
    found = shared_lengths({"a": Long(asked[0]), "b": Long(asked[1])}, limit=limit)
    assert found == given


def test_the_recipe_of_a_pair_is_a_recipe_like_any_other():
    assert Recipe.load(overrides=["data.columns={a: text, b: text}"]).data.columns == {"a": "text", "b": "text"}
