"""Two columns of texts are one question: what neither tells alone, and in which order they stand."""

import csv

import numpy as np
import pytest
import torch
from tests.strategies.conftest import tiny
from torch.nn import functional

from underlay.bundle import open_bundle
from underlay.modalities import Text
from underlay.models import build, configure, resolve
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.pairs import shared_lengths

WORDS = ("red", "blue", "green", "black")
STEPS, RATE = 160, 3e-3
"""Enough for what can be learned here; the loss has been flat for the first fifty."""


def questions(count: int = 600) -> list[tuple[str, str, int]]:
    """Whether both texts name the same colour: each by itself says nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        same = rng.random() < 0.5
        one = int(rng.integers(4))
        other = one if same else (one + int(rng.integers(1, 4))) % 4
        rows.append((f"the {WORDS[one]} car", f"a {WORDS[other]} house", int(same)))
    return rows


def learned(rows, columns) -> float:
    """Share of the rows answered rightly after `STEPS` steps on them, by columns of the pair."""
    read = {name: reader([row[at] for row in rows], second=second) for name, (at, second) in columns.items()}
    inputs = {
        name: {
            key: torch.from_numpy(array)
            for key, array in one.collate([one.encode(row[columns[name][0]]) for row in rows]).items()
        }
        for name, one in read.items()
    }
    truth = torch.tensor([row[2] for row in rows])
    backbone = resolve("transformer", options={"width": 32, "depth": 2, "heads": 4, "inner": 64})
    described = {name: one.describe() for name, one in read.items()}
    model = build(configure(backbone, columns=described, outputs={"label": 2}, dropout=0.0), seed=0).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    torch.manual_seed(0)
    for _ in range(STEPS):
        picked = torch.randperm(len(rows))[:64]
        batch = {name: {key: array[picked] for key, array in arrays.items()} for name, arrays in inputs.items()}
        optimizer.zero_grad()
        functional.cross_entropy(model(batch).logits["label"], truth[picked]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((model.eval()(inputs).logits["label"].argmax(-1) == truth).float().mean())


def reader(texts, *, second: bool) -> Text:
    options = {"max_length": "auto", "long": "head-tail", **(Text.second if second else {})}
    return Text.create(assets={}, limit=None, options=options).fit(texts, np.random.default_rng(0))


def test_a_pair_learns_what_neither_text_tells_alone():
    rows = questions()
    assert learned(rows, {"first": (0, False), "second": (1, True)}) > 0.95
    for at in (0, 1):
        assert learned(rows, {"alone": (at, False)}) < 0.65


@pytest.fixture(scope="module")
def equal(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "equal.csv"
    rows = [(one, other, "same" if same else "other") for one, other, same in questions(200)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("first", "second", "label"), *rows])
    return str(path)


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
