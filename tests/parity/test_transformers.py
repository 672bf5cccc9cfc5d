"""Our one trunk computes what `transformers` computes, on the same weights, to 1e-5."""

import pytest
import torch

from underlay.models import build, configure, resolve

FAMILIES = ("bert", "minilm", "distilbert", "roberta", "gpt2")
LENGTHS = (9, 4, 9, 1, 7, 12)


def ours(folder):
    backbone = resolve(str(folder))
    described = {"name": "text.v1", "vocabulary": 120, "padding": backbone.stem["padding"], "limit": 32}
    config = configure(backbone, columns={"text": described}, outputs={"label": 2}, pooling=backbone.pooling)
    model = build(config, seed=0)
    backbone.load(model)
    return model.eval(), backbone


def padded(padding):
    generator = torch.Generator().manual_seed(2)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), padding)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(3, 120, (length,), generator=generator)
        mask[row, :length] = 1
    return ids, mask


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_are_those_of_transformers_padded_and_unpadded(family, checkpoint, hub_model):
    model, backbone = ours(checkpoint(family))
    theirs = hub_model(family).base_model
    ids, mask = padded(backbone.stem["padding"])
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        found = model({"text": {"ids": ids, "mask": mask}}).hidden
        torch.testing.assert_close(found[mask > 0], expected[mask > 0], rtol=0, atol=1e-5)
        for row, length in enumerate(LENGTHS):
            alone = model({"text": {"ids": ids[row : row + 1, :length], "mask": mask[row : row + 1, :length]}})
            torch.testing.assert_close(alone.hidden[0], expected[row, :length], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers_through_the_same_head(family, checkpoint, hub_model):
    model, backbone = ours(checkpoint(family))
    theirs = hub_model(family)
    ids, mask = padded(backbone.stem["padding"])
    with torch.no_grad():
        output = model({"text": {"ids": ids, "mask": mask}})
        if family == "gpt2":
            logits = theirs.score(output.features)
        elif family == "roberta":
            logits = theirs.classifier(output.hidden)
        elif family == "distilbert":
            logits = theirs.classifier(theirs.pre_classifier(output.hidden[:, 0]).relu())
        else:
            logits = theirs.classifier(theirs.bert.pooler(output.hidden))
        expected = theirs(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_transformers(family, checkpoint, hub_model):
    model, backbone = ours(checkpoint(family))
    theirs = hub_model(family).base_model
    ids, mask = padded(backbone.stem["padding"])
    weight = torch.randn(*ids.shape, 24, generator=torch.Generator().manual_seed(3)) * mask.unsqueeze(-1)
    (model({"text": {"ids": ids, "mask": mask}}).hidden * weight).sum().backward()
    (theirs(input_ids=ids, attention_mask=mask).last_hidden_state * weight).sum().backward()
    expected = theirs.get_input_embeddings().weight.grad
    found = model.stem("text").words.weight.grad
    expected[backbone.stem["padding"]] = 0  # transformers leaves the padding row out of training
    found[backbone.stem["padding"]] = 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
