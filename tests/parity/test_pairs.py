"""A pair of texts is read as transformers reads it: one sequence, positions that go on, token types."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from underlay.modalities import Text
from underlay.models import build, configure, resolve

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "quiet", "film", "the", "loud", "sea", "is", "not"]
PAIRS = [("a quiet film", "the sea"), ("a", "the sea is not loud"), ("the loud sea is not a quiet film", "film")]


def tokenizer(*, double: bool) -> Tokenizer:
    """As BERT frames a pair, or as RoBERTa does, with two separators between."""
    own = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    pair = "[CLS]:0 $A:0 [SEP]:0 [SEP]:0 $B:0 [SEP]:0" if double else "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    own.add_special_tokens(WORDS[:4])
    return own


def modality(file: bytes, *, second: bool) -> Text:
    options = {"max_length": 16, "long": "head-tail", **(Text.second if second else {})}
    return Text.create(assets={"tokenizer.json": file}, limit=32, options=options).fit(
        [text for pair in PAIRS for text in pair], torch_rng()
    )


def torch_rng():
    import numpy as np

    return np.random.default_rng(0)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_pair_gives_the_vectors_that_transformers_gives(family, checkpoint, hub_model):
    folder, theirs = checkpoint(family), hub_model(family)
    file = tokenizer(double=family == "roberta").to_str().encode()
    (folder / "tokenizer.json").write_bytes(file)
    columns = {"a": modality(file, second=False), "b": modality(file, second=True)}
    backbone = resolve(str(folder))
    described = {name: {**one.describe(), "vocabulary": 120} for name, one in columns.items()}
    if family == "roberta":  # its padding id is 1; ours is what the checkpoint says
        described = {name: {**one, "padding": 1} for name, one in described.items()}
    model = build(configure(backbone, columns=described, outputs={"label": 2}), seed=0).eval()
    backbone.load(model)

    inputs = {
        name: {
            key: torch.from_numpy(array) for key, array in one.collate([one.encode(pair[at]) for pair in PAIRS]).items()
        }
        for at, (name, one) in enumerate(columns.items())
    }
    with torch.no_grad():
        hidden = model(inputs).hidden
    real = model.mask(inputs) > 0

    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer(double=family == "roberta"), pad_token="[PAD]")
    encoder = theirs.bert if family == "bert" else theirs.roberta
    for row, pair in enumerate(PAIRS):
        asked = fast(*pair, return_tensors="pt", return_token_type_ids=family == "bert")
        with torch.no_grad():
            expected = encoder(**asked).last_hidden_state[0]
        torch.testing.assert_close(hidden[row][real[row]], expected, rtol=0, atol=1e-5)


def test_the_order_of_a_pair_matters(checkpoint):
    folder = checkpoint("bert")
    file = tokenizer(double=False).to_str().encode()
    (folder / "tokenizer.json").write_bytes(file)
    columns = {"a": modality(file, second=False), "b": modality(file, second=True)}
    backbone = resolve(str(folder))
    described = {name: {**one.describe(), "vocabulary": 120} for name, one in columns.items()}
    model = build(configure(backbone, columns=described, outputs={"label": 2}), seed=0).eval()
    backbone.load(model)

    def said(one: str, other: str) -> torch.Tensor:
        texts = {"a": one, "b": other}
        inputs = {name: kind.collate([kind.encode(texts[name])]) for name, kind in columns.items()}
        with torch.no_grad():
            return model(
                {n: {k: torch.from_numpy(v) for k, v in arrays.items()} for n, arrays in inputs.items()}
            ).features

    one, other = said("a quiet film", "the sea is"), said("the sea is", "a quiet film")
    assert (one - other).abs().max() > 1e-3
