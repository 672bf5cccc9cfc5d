"""The stem of table columns: shares of bins, rows of categories, a vector for what is missing."""

import pytest
import torch

from underlay.core import BundleRefused
from underlay.models import build, configure, resolve
from underlay.models.stems import TableStem

NUMBER = {"name": "table.v1", "edges": [-2.0, -1.0, 0.0, 2.0], "categories": 0, "limit": 1}
CATEGORY = {"name": "table.v1", "edges": [], "categories": 4, "limit": 1}


def cell(numbers=(), categories=(), observed=None):
    count = len(numbers) or len(categories)
    return {
        "number": torch.tensor(numbers or [0.0] * count).reshape(-1, 1),
        "category": torch.tensor(categories or [0] * count).reshape(-1, 1),
        "observed": torch.tensor(observed or [1] * count).reshape(-1, 1),
    }


def test_shares_of_bins_follow_the_definition_piece_by_piece():
    stem = TableStem(width=4, edges=NUMBER["edges"])
    shares = stem._shares(cell([-5.0, -2.0, -1.5, 0.0, 1.0, 9.0])["number"])[:, 0]
    expected = [[0, 0, 0], [0, 0, 0], [0.5, 0, 0], [1, 1, 0], [1, 1, 0.5], [1, 1, 1]]
    torch.testing.assert_close(shares, torch.tensor(expected))


def test_a_missing_number_has_a_vector_of_its_own_whatever_number_stands_there():
    stem = TableStem(width=4, edges=NUMBER["edges"], dropout=0.0).eval()
    with torch.no_grad():
        there, gone, other = stem(cell([0.0, 0.0, 1.5], observed=[1, 0, 0]))
    assert not torch.equal(there, gone)
    assert torch.equal(gone, other)


def test_every_category_has_a_row_and_nothing_is_padding():
    stem = TableStem(width=4, edges=[], categories=4, dropout=0.0).eval()
    arrays = cell(categories=[0, 1, 2, 3, 4], observed=[0, 1, 1, 1, 1])
    with torch.no_grad():
        found = stem(arrays)
    assert len({tuple(row.flatten().tolist()) for row in found}) == 5
    assert stem.mask(arrays) is None
    assert stem.size(arrays) == (5, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"edges": [], "categories": 0},
        {"edges": [1.0], "categories": 0},
        {"edges": [1.0, 0.0]},
        {"edges": [0.0, 0.0, 1.0]},
        {"edges": [0.0, 1.0], "categories": 2},
        {"edges": [], "categories": -1},
    ],
)
def test_bins_that_do_not_rise_and_columns_of_both_kinds_are_refused(arguments):
    with pytest.raises(ValueError, match="two rising edges"):
        TableStem(width=4, **arguments)
    config = configure(resolve("tabular"), columns={"a": {**NUMBER, **arguments}}, outputs={"label": 2})
    with pytest.raises(BundleRefused, match="cannot be built"):
        build(config, seed=0)


def test_columns_of_a_table_read_each_other_and_the_order_of_rows_does_not_matter():
    columns = {"price": NUMBER, "shop": CATEGORY, "age": NUMBER}
    model = build(configure(resolve("tabular"), columns=columns, outputs={"label": 3}), seed=0).eval()
    inputs = {"price": cell([0.5, -1.0]), "shop": cell(categories=[2, 3]), "age": cell([1.0, 1.0], observed=[1, 0])}
    turned = {name: {key: array.flip(0) for key, array in arrays.items()} for name, arrays in inputs.items()}
    with torch.no_grad():
        output = model(inputs)
        changed = model({**inputs, "shop": cell(categories=[1, 3])})
        torch.testing.assert_close(model(turned).logits["label"].flip(0), output.logits["label"], rtol=0, atol=1e-6)
    assert output.hidden.shape == (2, 3, 96)
    assert not torch.equal(output.hidden[0, 0], changed.hidden[0, 0])  # the price reads the shop
    torch.testing.assert_close(output.hidden[1], changed.hidden[1], rtol=0, atol=1e-6)


def test_every_parameter_learns():
    model = build(configure(resolve("tabular"), columns={"a": NUMBER, "b": CATEGORY}, outputs={"y": 2}), seed=0)
    model.eval()  # training would empty some cells, by chance the only number
    arrays = {"a": cell([0.5, -1.0], observed=[1, 0]), "b": cell(categories=[2, 3])}
    model(arrays).logits["y"].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_some_cells_are_emptied_while_training_and_none_in_evaluation():
    stem = TableStem(width=4, edges=[], categories=4, emptied=0.25, dropout=0.0)
    arrays = cell(categories=[3] * 4_000)
    torch.manual_seed(0)
    with torch.no_grad():
        rows = stem.norm(stem.kinds.weight)
        found = stem.train()(arrays)[:, 0]
        near = torch.cdist(found, rows).argmin(1)
        calm = torch.cdist(stem.eval()(arrays)[:, 0], rows).argmin(1)
    shares = torch.bincount(near, minlength=5) / len(near)
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.25, 0, 0.5, 0]), rtol=0, atol=0.03)
    assert set(calm.tolist()) == {3}
    number = TableStem(width=4, edges=NUMBER["edges"], emptied=0.25, dropout=0.0).train()
    with torch.no_grad():
        found = number(cell([1.0] * 4_000))[:, 0]
        gone = (found == number.norm(number.kinds.weight)).all(1)
    assert 0.22 < gone.float().mean() < 0.28
