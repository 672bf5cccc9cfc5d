"""Several trunks under one fusion: rows stay apart, branches can be missing, what starts from nothing learns."""

import json

import pytest
import torch

from underlay.core import BundleRefused
from underlay.models import FUSIONS, Backbone, FusedModel, build, configure_fused

TRUNKS = {
    "first": Backbone("small", {"name": "transformer.v1", "width": 12, "depth": 3, "heads": 2, "inner": 20}),
    "second": Backbone("other", {"name": "convolution.v1", "width": 8, "depth": 1, "kernels": [3]}, pooling="max"),
}
COLUMN = {"name": "text.v1", "vocabulary": 40, "padding": 0, "limit": 16}


def config(fusion="late", *, branch_dropout=0.0):
    branches = [(backbone, {column: COLUMN}) for column, backbone in TRUNKS.items()]
    made = configure_fused(
        branches, outputs={"label": 3}, fusion=fusion, width=16, dropout=0.0, branch_dropout=branch_dropout
    )
    return json.loads(json.dumps(made))


def make(fusion="late", **options) -> FusedModel:
    model = build(config(fusion, **options), seed=0)
    assert isinstance(model, FusedModel)
    with torch.no_grad():  # the small first values would hide a leak between rows below the tolerance
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def column(rows, length=None):
    length = length or max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    return {"ids": ids, "mask": (ids > 0).long()}


FIRST, SECOND = [[5, 6, 7], [8], [9, 10]], [[11], [12, 13, 14, 15], [16, 17]]


def inputs(rows=(0, 1, 2), *, longer=0):
    columns = {"first": [FIRST[row] for row in rows], "second": [SECOND[row] for row in rows]}
    return {name: column(values, max(map(len, values)) + longer) for name, values in columns.items()}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_row_gives_the_same_alone_among_others_and_under_more_padding(fusion):
    model = make(fusion)
    with torch.no_grad():
        together = model(inputs()).logit()
        wider = model(inputs(longer=3)).logit()
        alone = torch.cat([model(inputs([row])).logit() for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)
    torch.testing.assert_close(together, wider, rtol=0, atol=2e-5)
    assert together.std(dim=0).min() > 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_branch_is_read_and_every_parameter_learns(fusion):
    model = make(fusion).train()
    model(inputs()).logit().square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    with torch.no_grad():
        plain = model.eval()(inputs()).logit()
        for name in TRUNKS:
            changed = {**inputs(), name: column([[30], [31], [32]])}
            assert (model(changed).logit() - plain).abs().max() > 1e-4, name


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_absent_branch_counts_for_nothing(fusion):
    """With one branch masked, what stands there cannot be told from anything else that could."""
    model = make(fusion)
    with torch.no_grad():
        mask = model.mask(inputs())
        alone = mask.masked_fill(mask == 2, 0)
        embedded = model.embed(inputs())
        other = torch.where((mask == 2).unsqueeze(-1), embedded + 5.0, embedded)
        torch.testing.assert_close(model.encode(embedded, alone).logit(), model.encode(other, alone).logit())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_branch_dropout_takes_one_branch_at_most_and_rests_in_evaluation(fusion):
    model = make(fusion, branch_dropout=0.9)
    with torch.no_grad():
        torch.testing.assert_close(model(inputs()).logit(), model(inputs()).logit(), rtol=0, atol=0)
        model.train()
        for seed in range(20):
            torch.manual_seed(seed)
            mask = model(inputs()).mask
            for row in mask:
                assert (row > 0).any()
    torch.manual_seed(0)
    dropped = [len(set(model(inputs()).mask[0].tolist()) - {0}) for _ in range(50)]
    assert set(dropped) == {1, 2}


def test_layers_are_counted_from_the_top_and_a_fresh_branch_learns_beside_a_trained_one():
    model = make()
    layers = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert model.depth == 3
    assert {layers[name] for name in layers if name.startswith("branches.0.trunk.layers.0.")} == {1}
    assert {layers[name] for name in layers if name.startswith("branches.1.trunk.layers.0.")} == {3}
    assert layers["branches.0.stems.first.words.weight"] == layers["branches.1.stems.second.words.weight"] == 0
    assert layers["heads.label.out.weight"] == layers["projections.0.weight"] == 4
    model.parts[0].trained = frozenset({"first"})
    assert model.layer_of("branches.0.stems.first.words.weight") == 0
    assert model.layer_of("branches.1.stems.second.words.weight") == 4
    assert model.layer_of("branches.1.trunk.layers.0.norm.weight") == 4


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.pop("fusion"),
        lambda made: made["fusion"].update(name="late.v9"),
        lambda made: made["fusion"].update(width="wide"),
        lambda made: made["fusion"].pop("branch_dropout"),
        lambda made: made["fusion"].update(stranger=1),
        lambda made: made["branches"][0].update(heads=[]),
        lambda made: made["branches"].append(made["branches"][0]),
        lambda made: made["branches"].append("branch"),
        lambda made: made.update(branches=[]),
        lambda made: made.update(trunk=made["branches"][0]["trunk"]),
    ],
)
def test_a_config_that_is_not_ours_is_refused(spoil):
    made = config()
    spoil(made)
    with pytest.raises(BundleRefused):
        build(made, seed=0)


def test_the_state_of_a_fused_model_comes_back():
    model, again = make("cross"), build(config("cross"), seed=9)
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(inputs()).logit(), model(inputs()).logit())
