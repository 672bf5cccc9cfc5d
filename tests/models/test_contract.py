"""Every stem on every trunk under every pooling and head: what each combination promises."""

import json
from importlib.util import find_spec
from itertools import product

import pytest
import torch

from underlay.models import (
    HEADS,
    POOLINGS,
    STEMS,
    TRUNKS,
    Backbone,
    SignalModel,
    build,
    configure,
    is_fixed,
    is_spatial,
    resolve,
)

SMALL = {
    "transformer.v1": {"width": 12, "depth": 2, "heads": 2, "inner": 20},
    "convolution.v1": {"width": 12, "depth": 2, "kernels": [3, 5]},
    "recurrent.v1": {"width": 12, "depth": 2},
    "inception.v1": {"width": 12, "depth": 2, "kernels": [3, 5, 9], "modules": 2},
    "residual1d.v1": {"width": 12, "depth": 2, "kernels": [5, 3]},
    "conformer.v1": {"width": 12, "depth": 2, "heads": 2, "inner": 20, "kernel": 5},
    "bag.v1": {"width": 12},
}
BAGS: list[tuple[str, dict]] = [("bag.v1", {})]
"""Trunks without layers, which no order matters to."""
VARIANTS = [
    ("transformer.v1", {}),
    ("transformer.v1", {"norm": "pre", "rotary": True, "gated": True, "final_norm": True}),
    ("transformer.v1", {"norm": "pre", "causal": True, "activation": "gelu_tanh", "final_norm": True}),
    ("convolution.v1", {}),
    ("recurrent.v1", {}),
    ("recurrent.v1", {"cell": "lstm"}),
    ("conformer.v1", {}),
    ("inception.v1", {}),
    ("residual1d.v1", {}),
]
FOREIGN: list[tuple[str, dict]] = []
if find_spec("transformers") is not None:  # the extra hf; see tests/parity/test_foreign.py
    SMALL |= {
        "deberta.v1": {**SMALL["transformer.v1"], "attends": ["c2p", "p2c"], "buckets": 4, "farthest": 16},
        "albert.v1": SMALL["transformer.v1"],
        "modernbert.v1": {**SMALL["transformer.v1"], "windows": [0, 1]},
    }
    FOREIGN += [
        ("deberta.v1", {}),
        ("deberta.v1", {"kernel": 3, "buckets": 0, "shared_key": False, "normed": False}),
        ("albert.v1", {}),
        ("modernbert.v1", {}),
    ]
DESCRIBED = {
    "text.v1": {"name": "text.v1", "vocabulary": 40, "padding": 0, "limit": 16},
    "audio.v1": {"name": "audio.v1", "mels": 8, "stride": 4, "channels": 6, "limit": 16},
    "table.v1": {"name": "table.v1", "edges": [-1.0, 0.0, 0.5, 2.0], "categories": 0, "limit": 1},
    "series.v1": {"name": "series.v1", "channels": 3, "patch": 2, "limit": 16},
    "events.v1": {"name": "events.v1", "vocabulary": 40, "gaps": 5, "attributes": [4, 7], "limit": 16},
}
PICTURES = {"picture.v1", "image.v1"}  # see test_spatial.py
SOUNDS = {"spectrogram.v1", "logmel.v1", "waveform.v1"}  # see test_sound_stems.py
FIXED = {"features.v1"}  # see test_fixed.py
SHARING = {"tied.v1"}  # see test_tied.py
EVERY = [*VARIANTS, *FOREIGN]
COMBINATIONS = list(product(DESCRIBED, [*EVERY, *BAGS], POOLINGS, sorted(set(HEADS) - SHARING)))


def text(rows, length=None):
    """Inputs of one column; a row is a list of segments, a segment a list of ids."""
    length = length or max(sum(map(len, row)) for row in rows)
    ids, mask = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(2))
    for number, row in enumerate(rows):
        flat = [(token, part) for part, segment in enumerate(row, start=1) for token in segment]
        for place, (token, part) in enumerate(flat):
            ids[number, place], mask[number, place] = token, part
    return {"text": {"ids": ids, "mask": mask}}


def audio(rows, length=None):
    """The same rows as frames: four an id but three of the last of a segment, and a position between segments."""
    mask = torch.zeros(len(rows), 4 * (length or max(sum(map(len, row)) + len(row) - 1 for row in rows)))
    frames = torch.full((*mask.shape, 8), 9.0)  # what stands at padding must not matter
    for number, row in enumerate(rows):
        place = 0
        for part, segment in enumerate(row, start=1):
            for at, token in enumerate(segment):
                count = 4 if at < len(segment) - 1 else 3
                places = slice(place + 4 * at, place + 4 * at + count)
                generator = torch.Generator().manual_seed(token)
                frames[number, places] = torch.randn(4, 8, generator=generator)[:count]
                mask[number, places] = part
            place += 4 * len(segment) + 4
    return {"text": {"frames": frames, "mask": mask.long()}}


def series(rows, length=None):
    """The same rows as values of three channels: two positions an id, one for the last id of a row, some missing."""
    length = 2 * (length or max(sum(map(len, row)) for row in rows))
    values, observed = (torch.zeros(len(rows), length, 3) for _ in range(2))
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for number, row in enumerate(rows):
        flat = [(token, part) for part, segment in enumerate(row, start=1) for token in segment]
        for at, (token, part) in enumerate(flat):
            places = slice(2 * at, 2 * at + (1 if at == len(flat) - 1 else 2))
            generator = torch.Generator().manual_seed(token)
            seen = (torch.rand(2, 3, generator=generator) < 0.8).float()
            drawn = torch.randn(2, 3, generator=generator) * seen
            count = places.stop - places.start
            values[number, places], observed[number, places] = drawn[:count], seen[:count]
            mask[number, places] = part
    return {"text": {"values": values, "observed": observed, "mask": mask}}


def table(rows, length=None):
    """The same rows as cells, of which there is one a row whatever its length: the number of its first id."""
    firsts = torch.tensor([[float(row[0][0]) + len(row[0])] for row in rows])
    return {"text": {"number": firsts / 10 - 1, "category": torch.zeros_like(firsts).long(), "observed": firsts.long()}}


def events(rows, length=None):
    """The same rows as events of these items, with a gap and two attributes each; any code may stand at padding."""
    found = text(rows, length)["text"]
    items, gaps = found["ids"], torch.where(found["mask"] > 0, found["ids"] % 5, 3)
    attributes = torch.stack((items % 4, items % 7), dim=-1)
    return {"text": {"items": items, "mask": found["mask"], "gaps": gaps, "attributes": attributes}}


INPUTS = {"events.v1": events, "table.v1": table, "text.v1": text, "series.v1": series, "audio.v1": audio}
ROWS = [[[5, 6, 7, 8]], [[9, 10], [11, 12, 13]], [[14]], [[15, 16, 17, 18, 19, 20, 21]], [[9, 10]]]


def make(stem="text.v1", variant=VARIANTS[0], pooling="mean", head="linear", *, seed=0, outputs=None) -> SignalModel:
    backbone = Backbone("small", {"name": variant[0], **SMALL[variant[0]], **variant[1]})
    config = configure(
        backbone, columns={"text": DESCRIBED[stem]}, outputs=outputs or {"label": 3}, pooling=pooling, head=head
    )
    model = build(json.loads(json.dumps(config, sort_keys=True)), seed=seed)
    with torch.no_grad():  # the small first values would hide a leak between rows below the tolerance
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def test_every_entry_is_covered_here():
    assert set(SMALL) == {name for name in TRUNKS if not (is_spatial(name) or is_fixed(name))}
    ours = {name for name in STEMS if STEMS[name].__module__.startswith("underlay.")}  # a plug-in tests its own
    assert set(DESCRIBED) | PICTURES | SOUNDS | FIXED == ours


@pytest.mark.parametrize(("stem", "variant", "pooling", "head"), COMBINATIONS)
def test_a_row_gives_the_same_alone_and_among_others_and_under_more_padding(stem, variant, pooling, head):
    model = make(stem, variant, pooling, head)
    with torch.no_grad():
        together = model(INPUTS[stem](ROWS)).logits["label"]
        wider = model(INPUTS[stem](ROWS, length=16)).logits["label"]
        alone = torch.cat([model(INPUTS[stem]([row])).logits["label"] for row in ROWS])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)
    torch.testing.assert_close(together, wider, rtol=0, atol=2e-5)
    assert together.std(dim=0).min() > 1e-3  # it does look at its input


@pytest.mark.parametrize(("stem", "variant", "pooling", "head"), COMBINATIONS)
def test_every_parameter_learns_and_every_state_comes_back(stem, variant, pooling, head):
    model = make(stem, variant, pooling, head).train()
    model(INPUTS[stem](ROWS)).logits["label"].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    again = make(stem, variant, pooling, head, seed=7)
    again.load_state_dict(model.state_dict())
    model.eval()
    with torch.no_grad():
        assert torch.equal(again(INPUTS[stem](ROWS)).logits["label"], model(INPUTS[stem](ROWS)).logits["label"])


@pytest.mark.parametrize("variant", [*EVERY, *BAGS])
def test_the_seed_decides_every_first_value(variant):
    first, same, other = (make(variant=variant, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["stems.text.words.weight"], other["stems.text.words.weight"])


def test_another_head_changes_no_first_value_of_the_trunk():
    one, other = make(head="linear").state_dict(), make(head="mlp").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one if not name.startswith("heads"))


@pytest.mark.parametrize("variant", [*EVERY, *BAGS])
@pytest.mark.parametrize("rows", [ROWS, [ROWS[0], [[1, 2, 3, 4]]]])
def test_cached_activations_enter_at_any_layer(variant, rows):
    model, inputs = make(variant=variant), text(rows)
    with torch.no_grad():
        whole = model(inputs)
        for start in range(model.depth + 1):
            lower = model.lower(inputs, start)
            rest = model.encode(lower, model.mask(inputs), start=start)
            torch.testing.assert_close(rest.logits["label"], whole.logits["label"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("variant", [*EVERY, *BAGS])
def test_segments_do_not_see_each_other(variant):
    model = make(variant=variant, pooling="mean")
    with torch.no_grad():
        hidden = model(text([[[5, 6, 7], [8, 9]]])).hidden[0]
        parts = [model(text([[segment]])).hidden[0] for segment in ([5, 6, 7], [8, 9])]
    torch.testing.assert_close(hidden, torch.cat(parts), rtol=0, atol=2e-5)


@pytest.mark.parametrize("variant", EVERY)
def test_order_matters_in_every_trunk(variant):
    model = make(variant=variant)
    with torch.no_grad():
        one, other = (model(text([[ids]])).logits["label"] for ids in ([5, 6, 7, 8], [8, 6, 7, 5]))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("variant", BAGS)
def test_order_does_not_matter_in_a_bag_and_its_words_do(variant):
    model = make(variant=variant)
    ids = ([5, 6, 7, 8], [8, 6, 7, 5], [8, 6, 7, 9])
    with torch.no_grad():
        one, turned, other = (model(text([[row]])).logits["label"] for row in ids)
    torch.testing.assert_close(one, turned, rtol=0, atol=1e-6)
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("variant", BAGS)
def test_a_bag_has_a_stem_and_a_head_and_nothing_between(variant):
    model = make(variant=variant, pooling="attention")
    assert model.depth == 0
    layers = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert layers["stems.text.words.weight"] == 0
    assert layers["heads.label.out.weight"] == layers["pooling.score.weight"] == 1


def test_hidden_is_zero_at_padding():
    for variant in [*EVERY, *BAGS]:
        inputs = text(ROWS)
        with torch.no_grad():
            hidden = make(variant=variant)(inputs).hidden
        assert hidden[inputs["text"]["mask"] == 0].abs().max() == 0


@pytest.mark.parametrize("variant", EVERY)
def test_layer_of_counts_from_the_stem_to_the_head(variant):
    model = make(variant=variant, pooling="attention")
    layers = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert layers["stems.text.words.weight"] == 0
    top = f"trunk.layers.{model.depth - 1}."
    assert {layer for name, layer in layers.items() if name.startswith(top)} == {model.depth}
    assert layers["heads.label.out.weight"] == layers["pooling.score.weight"] == model.depth + 1
    assert set(layers.values()) == set(range(model.depth + 2))


def test_several_columns_and_targets_with_any_names():
    columns = dict.fromkeys(("the title", "body.v2"), DESCRIBED["text.v1"])
    outputs = {"is it good?": 2, "keys": 4}
    config = configure(resolve("transformer", options={"depth": 1}), columns=columns, outputs=outputs)
    model = build(config, seed=0).eval()
    title, body = text([[[5, 6]], [[7]]])["text"], text([[[8, 9, 10]], [[11, 12, 13]]])["text"]
    with torch.no_grad():
        output = model({"the title": title, "body.v2": body})
        other = model({"the title": text([[[5, 6]], [[30]]])["text"], "body.v2": body})
    assert {name: logits.shape for name, logits in output.logits.items()} == {"is it good?": (2, 2), "keys": (2, 4)}
    assert output.mask.tolist() == [[1, 1, 1, 1, 1], [1, 0, 1, 1, 1]]
    assert torch.equal(output.hidden[0], other.hidden[0])
    assert not torch.equal(output.hidden[1, 2:], other.hidden[1, 2:])  # the body reads the title


def test_an_unpadded_batch_needs_no_mask():
    model = make()
    assert model.mask(text([[[1, 2]], [[3, 4]]])) is None
    assert model.mask(text([[[1, 2]], [[3]]])) is not None
    assert model.mask(text([[[1], [2]]])) is not None
