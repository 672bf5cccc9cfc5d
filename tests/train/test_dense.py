"""Labels of units at their positions: in batches, in a sweep, over cached activations, and learned."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from underlay.core import UsageError, ragged
from underlay.modalities import Words
from underlay.models import Backbone, build, configure, configure_fused, resolve
from underlay.objectives import Objective, cross_entropy
from underlay.objectives.term import Step
from underlay.train import AugmentedRows, EncodedRows, aligned, cache_activations, encode_store, sweep

WORDS = ["send", "two", "chairs", "to", "Cork", "and", "Norwick", "please", "thanks"]


def sentences(count: int = 40) -> list[list[str]]:
    rng = np.random.default_rng(0)
    return [[WORDS[at] for at in rng.integers(len(WORDS), size=rng.integers(1, 12))] for _ in range(count)]


def labels(rows: list[list[str]]) -> np.ndarray:
    """Places are 1; one word in seven has no label."""
    places = ("Cork", "Norwick")
    return ragged(
        np.array([-100 if (at + len(row)) % 7 == 0 else int(word in places) for at, word in enumerate(row)])
        for row in rows
    )


def words(rows: list[list[str]]) -> Words:
    options = {"max_length": 16, "long": "head-tail", "vocabulary": 300}
    return Words.create(assets={}, limit=None, options=options).fit(rows, np.random.default_rng(0))


@pytest.fixture
def rows(tmp_path) -> EncodedRows:
    values = sentences()
    own = words(values)
    store = encode_store(tmp_path / "store", own, values)
    return EncodedRows({"tokens": store}, {"tokens": own}, {"tags": labels(values)}, {}, np.arange(len(values)))


def model_for(rows: EncodedRows, trunk="transformer"):
    described = {name: one.describe() for name, one in rows.modalities.items()}
    options = {"width": 24, "depth": 2} | ({"heads": 2, "inner": 32} if trunk == "transformer" else {})
    config = configure(resolve(trunk, options=options), columns=described, outputs={"tags": 2}, dense=["tags"])
    return build(config, seed=0).eval()


@given(st.lists(st.lists(st.integers(-1, 5), max_size=8), min_size=1, max_size=5))
def test_a_label_stands_at_its_unit_and_nowhere_else(positions):
    units = [np.array(row, np.int64) for row in positions]
    known = [np.arange(6) + 10 for _ in units]
    found = aligned(known, units)
    assert found.shape == (len(units), max(map(len, units)))
    for row, numbers in enumerate(units):
        expected = [10 + number if number >= 0 else -100 for number in numbers]
        assert found[row].tolist() == expected + [-100] * (found.shape[1] - len(numbers))


def test_a_batch_has_the_label_of_each_word_at_its_first_piece(rows):
    batch = rows.batch([3, 0, 7])
    assert batch.target("tags").shape == batch.inputs["tokens"]["ids"].shape
    for at, row in enumerate([3, 0, 7]):
        units = rows.modalities["tokens"].units(rows.columns["tokens"][row])
        kept = units[units >= 0]
        placed = batch.target("tags")[at]
        assert placed[: len(units)][units >= 0].tolist() == rows.targets["tags"][row][kept].tolist()
        assert (placed[np.flatnonzero(units < 0)] == -100).all()
        assert (placed[len(units) :] == -100).all()


@pytest.mark.parametrize("trunk", ["transformer", "convolution", "recurrent"])
def test_a_sweep_gives_what_is_asked_of_each_row_in_the_order_of_the_rows(rows, trunk):
    model = model_for(rows, trunk)
    found = sweep(model, rows, batch_tokens=64, hidden=True).asked["tags"]
    assert len(found.labels) == len(rows)
    for row in range(len(rows)):
        batch = rows.batch([row]).map(torch.from_numpy)
        with torch.no_grad():
            output = model(batch.inputs)
        asked = batch.targets["tags"][0] != -100
        assert found.labels[row].long().tolist() == batch.targets["tags"][0][asked].tolist()
        torch.testing.assert_close(found.logits[row], output.logits["tags"][0][asked], rtol=0, atol=1e-5)
        torch.testing.assert_close(found.hidden[row], output.hidden[0][asked], rtol=0, atol=1e-5)


def test_cached_activations_keep_the_positions_of_the_labels(rows, tmp_path):
    model = model_for(rows)
    cached = cache_activations(model, rows, stop=1, folder=tmp_path / "cache", batch_tokens=64)
    batch = cached.batch([5, 2]).map(torch.from_numpy)
    plain = rows.batch([5, 2]).map(torch.from_numpy)
    assert torch.equal(batch.targets["tags"], plain.targets["tags"])
    arrays = batch.inputs["activations"]
    with torch.no_grad():
        above = model.encode(arrays["hidden"].float(), arrays["mask"], start=1).logits["tags"]
        whole = model(plain.inputs).logits["tags"]
    asked = plain.targets["tags"] != -100
    torch.testing.assert_close(above[asked], whole[asked], rtol=0, atol=5e-3)  # kept in half precision


def test_augmented_rows_keep_their_labels(rows):
    values = sentences()
    drawn = AugmentedRows(rows, lambda column, picked: [values[row] for row in picked], share=1.0)
    torch.manual_seed(0)
    batch, plain = drawn.batch([1, 4, 9]), rows.batch([1, 4, 9])
    for one, other in zip(batch.target("tags"), plain.target("tags"), strict=True):
        assert [at for at in one.tolist() if at >= 0] == [at for at in other.tolist() if at >= 0]


def test_a_model_learns_a_label_of_each_word(rows):
    model = model_for(rows).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    objective = Objective({"task": cross_entropy()})
    batch = rows.batch(range(len(rows))).map(torch.from_numpy)
    for _ in range(30):
        optimizer.zero_grad()
        embedded = model.embed(batch.inputs)
        output = model.encode(embedded, model.mask(batch.inputs))
        value = objective(objective.init(model), Step(batch, embedded, output, model, 0))
        value.total.backward()
        optimizer.step()
    found = sweep(model.eval(), rows, batch_tokens=256).asked["tags"]
    right = torch.cat([row.argmax(-1) for row in found.logits]) == torch.cat(found.labels)
    assert right.float().mean() > 0.95


def test_a_dense_target_is_refused_where_positions_are_not_those_of_one_column(rows):
    described = rows.modalities["tokens"].describe()
    two, one = {"a": described, "b": described}, {"a": described}
    plain = resolve("transformer", options={"depth": 1})
    with pytest.raises(UsageError, match="one input column"):
        configure(plain, columns=two, outputs={"tags": 2}, dense=["tags"])
    with pytest.raises(UsageError, match="keeps"):
        configure_fused([(plain, one), (plain, {"b": described})], outputs={"tags": 2}, dense=["tags"])
    fixed = Backbone("fixed", {"name": "identity.v1"})
    with pytest.raises(UsageError, match="keep their positions"):
        configure(fixed, columns=one, outputs={"tags": 2}, dense=["tags"])
