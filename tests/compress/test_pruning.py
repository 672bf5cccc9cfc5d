"""Pruned transformers: what is taken out is what did nothing, and the tensors that are left are smaller."""

import numpy as np
import pytest
import torch
from tests.compress import bundles

from underlay.bundle import Contents, open_bundle, seal, verify
from underlay.compress import export
from underlay.compress.importance import importance
from underlay.compress.pruning import Kept, choose, prune, require_prunable
from underlay.core import Batch, BundleRefused, Column, Schema, UsageError
from underlay.models import build, configure, configure_fused
from underlay.models.trunks.transformer import TransformerTrunk

SHAPE = {"width": 24, "depth": 3, "heads": 4, "inner": 32}
ALL = Kept((0, 1, 2), ((0, 1, 2, 3),) * 3, (tuple(range(32)),) * 3)
VARIANTS = {
    "post-norm": {},
    "pre-norm": {"norm": "pre", "final_norm": True},
    "gated": {"gated": True},
    "rotary": {"rotary": True},
    "causal": {"causal": True, "norm": "pre"},
}


@pytest.fixture(scope="module", params=VARIANTS)
def made(request):
    """A modality, a config and a model whose answers depend on everything."""
    return model_of(**VARIANTS[request.param])


def model_of(**options):
    text = bundles.fitted("text.v1")
    backbone = bundles.backbone("transformer.v1", **SHAPE, **options)
    config = configure(backbone, columns={"text": text.describe()}, outputs={"label": 3})
    return text, config, bundles.perturbed(config)


TEXTS = ["a quiet film", "the film was very good and loud, and the story is not", "film " * 20, "x"]


def inputs(text, texts=TEXTS):
    arrays = text.collate([text.encode(value) for value in texts])
    return {"text": {name: torch.from_numpy(array) for name, array in arrays.items()}}


def logits(text, config, weights):
    model = build(config, seed=0)
    model.load_state_dict(weights)
    with torch.inference_mode():
        return model.eval()(inputs(text)).logits["label"]


def batches(text, texts=TEXTS):
    for place, value in enumerate(texts):
        yield Batch(inputs(text, [value]), {"label": torch.tensor([place % 3])})


def found(text, model):
    def loss(batch):
        return torch.nn.functional.cross_entropy(model(batch.inputs).logits["label"], batch.targets["label"])

    return importance(model, batches(text), loss)["trunk"]


def closed(weights, *, head=None, unit=None, layer=1):
    """The state with one head or unit of a layer without effect."""
    changed = {name: tensor.clone() for name, tensor in weights.items()}
    place = f"trunk.layers.{layer}."
    if head is not None:
        changed[f"{place}attention.out.weight"][:, 6 * head : 6 * head + 6] = 0
    if unit is not None:
        changed[f"{place}feed_forward.down.weight"][:, unit] = 0
    return changed


def without(head=None, unit=None, layer=1):
    heads = [tuple(h for h in range(4) if (at, h) != (layer, head)) for at in range(3)]
    inner = [tuple(u for u in range(32) if (at, u) != (layer, unit)) for at in range(3)]
    return Kept((0, 1, 2), tuple(heads), tuple(inner))


def test_pruning_nothing_changes_nothing(made):
    text, config, model = made
    chosen = choose(found(text, model), 0.0, units=("heads", "inner", "layers"))
    assert chosen == ALL
    changed, weights = prune(config, model.state_dict(), {"trunk": chosen})
    assert changed == config
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("unit", [{"head": 2}, {"unit": 17}, {"head": 0, "unit": 31}])
def test_taking_out_what_does_nothing_changes_no_answer(made, unit):
    text, config, model = made
    weights = closed(model.state_dict(), **unit)
    changed, smaller = prune(config, weights, {"trunk": without(**unit)})
    assert sum(one.numel() for one in smaller.values()) < sum(one.numel() for one in weights.values())
    torch.testing.assert_close(logits(text, changed, smaller), logits(text, config, weights), rtol=0, atol=1e-6)


def test_taking_out_the_wrong_head_is_noticed(made):
    text, config, model = made
    weights = closed(model.state_dict(), head=2)
    changed, smaller = prune(config, weights, {"trunk": without(head=1)})
    assert (logits(text, changed, smaller) - logits(text, config, weights)).abs().max() > 1e-3


def test_a_pre_norm_layer_that_adds_nothing_is_taken_out_without_a_trace():
    text, config, model = model_of(norm="pre")
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, tensor in weights.items():
        if name.startswith(("trunk.layers.1.attention.out.", "trunk.layers.1.feed_forward.down.")):
            tensor.zero_()
    model.load_state_dict(weights)
    chosen = choose(found(text, model), 0.4, units=("layers",))
    assert chosen.layers == (0, 2)
    changed, smaller = prune(config, weights, {"trunk": chosen})
    assert changed["trunk"]["depth"] == 2
    torch.testing.assert_close(logits(text, changed, smaller), logits(text, config, weights), rtol=0, atol=1e-6)


def test_what_was_made_unimportant_is_found(made):
    text, _, model = made
    original = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        model.load_state_dict(closed(closed(original, head=3, layer=0), unit=5, layer=2))
        scores = found(text, model)
        assert scores.heads[0][3] == 0 and int(torch.cat(scores.heads).argmin()) == 3
        assert scores.inner[2][5] == 0
        assert (torch.cat(scores.heads) > 0).sum() == 11
        chosen = choose(scores, 1 / 12, units=("heads",))
        assert chosen.heads == ((0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3))
    finally:
        model.load_state_dict(original)


def test_what_was_made_important_is_kept():
    text, _, model = model_of(norm="pre")
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for layer in range(3):
        weights[f"trunk.layers.{layer}.feed_forward.down.weight"][:, :16] *= 1e-6
    model.load_state_dict(weights)
    chosen = choose(found(text, model), 0.5, units=("inner",))
    assert chosen.inner == (tuple(range(16, 32)),) * 3


def test_importance_is_the_slope_of_the_loss_at_a_gate():
    """Against finite differences of the loss, for one row."""
    text, _, model = model_of()
    model = model.double()
    row = Batch(inputs(text, ["a quiet film"]), {"label": torch.tensor([1])})

    def loss(batch):
        return torch.nn.functional.cross_entropy(model(batch.inputs).logits["label"], batch.targets["label"])

    scores = importance(model, [row], loss)["trunk"]
    weight = model.trunk.layers[1].attention.out.weight
    original, step = weight.detach().clone(), 1e-4
    for head in range(4):
        values = []
        for factor in (1 + step, 1 - step):
            with torch.no_grad():
                weight.copy_(original)
                weight[:, 6 * head : 6 * head + 6] *= factor
                values.append(float(loss(row)))
        slope = abs(values[0] - values[1]) / (2 * step)
        assert float(scores.heads[1][head]) == pytest.approx(slope, rel=1e-3, abs=1e-8)


def test_gates_leave_no_trace(made):
    text, _, model = made
    with torch.inference_mode():
        before = model(inputs(text)).logits["label"]
    found(text, model)
    with torch.inference_mode():
        assert torch.equal(model(inputs(text)).logits["label"], before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_widths_that_suit_the_kernels_stay_so():
    scores = torch.rand(64, generator=torch.Generator().manual_seed(0))
    one = type(
        "Scores", (), {"heads": (torch.ones(2),) * 2, "inner": (scores, scores.flip(0) * 2), "layers": torch.ones(2)}
    )
    kept = choose(one, 0.3, units=("inner",))
    assert all(len(part) % 16 == 0 and len(part) >= 16 for part in kept.inner)
    assert sum(map(len, kept.inner)) < 128


@pytest.mark.parametrize(("ratio", "units"), [(1.0, ("heads",)), (-0.1, ("heads",)), (0.3, ("columns",)), (0.3, ())])
def test_a_ratio_or_a_unit_that_is_none_is_refused(made, ratio, units):
    text, _, model = made
    with pytest.raises(UsageError, match="cannot prune"):
        choose(found(text, model), ratio, units=units)


def test_another_trunk_is_refused():
    with pytest.raises(UsageError, match=r"stands on convolution\.v1"):
        require_prunable({"trunk": {"name": "convolution.v1"}})


@pytest.mark.parametrize(
    "options",
    [{"heads": [4, 4]}, {"heads": [4, 0, 4]}, {"inner": 0}, {"heads": 5}, {"heads": [1, 2, 4]}, {"head_width": 0}],
)
def test_a_trunk_of_impossible_layers_is_refused(options):
    with pytest.raises(ValueError, match="must be"):
        TransformerTrunk(**{**SHAPE, **options})


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A sealed bundle with another number of heads and units in each layer."""
    text, config, model = model_of(rotary=True)
    kept = Kept((0, 2), ((1,), (), (0, 2, 3)), (tuple(range(16)), (), tuple(range(8, 32))))
    changed, weights = prune(config, model.state_dict(), {"trunk": kept})
    assert changed["trunk"] == {**config["trunk"], "depth": 2, "heads": [1, 3], "inner": [16, 24], "head_width": 6}
    schema = Schema((Column("text", "text"),), (bundles.LABEL,))
    folder = tmp_path_factory.mktemp("pruned") / "bundle"
    seal(folder, Contents(schema, {"text": text}, changed, {name: one.numpy() for name, one in weights.items()}))
    return folder


def test_a_pruned_bundle_is_sealed_and_replayed(pruned):
    assert verify(pruned).golden.difference <= 1e-5


def test_a_pruned_bundle_is_exported_and_answers_as_before(pruned, tmp_path):
    pytest.importorskip("onnxruntime")
    assert export(pruned, tmp_path / "out", seconds=0.02).parity.passed
    columns = {"text": TEXTS}
    was, now = (open_bundle(path).answer(columns) for path in (pruned, tmp_path / "out"))
    np.testing.assert_allclose(now.logits["label"], was.logits["label"], rtol=1e-4, atol=1e-5)


def test_a_config_whose_layers_do_not_fit_its_weights_is_refused(pruned):
    from underlay.bundle.torch_backend import TorchBackend

    bundle = open_bundle(pruned)
    weights = {name: tensor.numpy() for name, tensor in bundle.backend.model.state_dict().items()}
    wrong = {**bundle.config, "trunk": {**bundle.config["trunk"], "heads": [3, 1]}}
    with pytest.raises(BundleRefused, match="do not fit the model"):
        TorchBackend(wrong, weights)


def test_the_transformer_under_a_fusion_is_pruned_beside_another_trunk():
    columns = {"review": bundles.fitted("text.v1"), "other": bundles.fitted("text.v1")}
    described = {name: modality.describe() for name, modality in columns.items()}
    parts = [
        (bundles.backbone("convolution.v1"), {"other": described["other"]}),
        (bundles.backbone("transformer.v1", **SHAPE), {"review": described["review"]}),
    ]
    config = configure_fused(parts, outputs={"label": 3}, fusion="gated", width=16)
    model = bundles.perturbed(config)
    arrays = {name: inputs(modality)["text"] for name, modality in columns.items()}

    def loss(batch):
        return torch.nn.functional.cross_entropy(model(batch.inputs).logits["label"], batch.targets["label"])

    scores = importance(model, [Batch(arrays, {"label": torch.tensor([0, 1, 2, 0])})], loss)
    assert list(scores) == ["branches.1.trunk"]
    place = "branches.1.trunk.layers.0.feed_forward.down.weight"
    weights = {**model.state_dict(), place: model.state_dict()[place].clone()}
    weights[place][:, 5] = 0
    kept = Kept((0, 1, 2), ((0, 1, 2, 3),) * 3, (tuple(u for u in range(32) if u != 5), *[tuple(range(32))] * 2))
    changed, smaller = prune(config, weights, {"branches.1.trunk": kept})
    assert changed["branches"][0] == config["branches"][0]
    assert changed["branches"][1]["trunk"]["inner"] == [31, 32, 32]
    was, now = build(config, seed=0), build(changed, seed=0)
    was.load_state_dict(weights)
    now.load_state_dict(smaller)
    with torch.inference_mode():
        torch.testing.assert_close(
            now.eval()(arrays).logits["label"], was.eval()(arrays).logits["label"], rtol=0, atol=1e-6
        )
