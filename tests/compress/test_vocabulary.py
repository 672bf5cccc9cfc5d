"""A trimmed vocabulary: what it still holds is read as before, and nothing becomes unknown that was not."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compress import bundles
from tests.modalities.conftest import ENGLISH
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from underlay.compress.vocabulary import shredded, trim_vocabulary
from underlay.core import UsageError
from underlay.modalities import MODALITIES
from underlay.modalities.text_tokenizer import Subwords, train_tokenizer
from underlay.modalities.text_vocabulary import trim
from underlay.models import build, configure, configure_fused, resolve

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghiklmnopqrstuvwy"


def word_piece() -> bytes:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Every letter stands first and within a word, so that both of its forms are learned.
    every = [f"{first}{second}" for first in LETTERS for second in LETTERS]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator([*ENGLISH, *every], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer.to_str().encode()


def byte_pairs() -> bytes:
    return train_tokenizer(ENGLISH, characters=False, vocabulary=400, lower=True)


def unigram() -> bytes:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(ENGLISH, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer.to_str().encode()


def packaged() -> bytes:
    return resolve("minilm").assets["tokenizer.json"]


KINDS = {"WordPiece": word_piece, "BPE": byte_pairs, "Unigram": unigram, "MiniLM": packaged}
KEPT = ["a quiet film", "the story was loud", "very good and not dull"]
"""Few texts, so that most of every vocabulary goes."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request) -> tuple[Subwords, Subwords, np.ndarray]:
    """A tokenizer, the same with what `KEPT` takes, and the old ids."""
    original = Subwords(KINDS[request.param]())
    file, kept = trim(original.file, original.used(KEPT))
    return original, Subwords(file), kept


def test_ids_are_contiguous_and_keep_their_order(pair):
    original, smaller, kept = pair
    assert smaller.size == len(kept) < original.size
    assert (np.diff(kept) > 0).all()
    names = {number: name for name, number in smaller._full.get_vocab(with_added_tokens=True).items()}
    before = original._full.get_vocab(with_added_tokens=True)
    assert sorted(names) == list(range(len(kept)))
    assert [before[names[number]] for number in range(len(kept))] == kept.tolist()


def test_special_ids_are_the_same_entries(pair):
    original, smaller, kept = pair
    assert kept[smaller.padding] == original.padding
    assert kept[smaller.unknown] == original.unknown
    for end in ("prefix", "suffix", "between"):
        np.testing.assert_array_equal(kept[getattr(smaller, end)], getattr(original, end))


WORDS = sorted({word for text in ENGLISH for word in text.split()})


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_a_text_whose_entries_stay_is_read_as_before(pair, words):
    original, smaller, kept = pair
    ids = original.ids([" ".join(words)])[0]
    if set(ids.tolist()) <= set(kept.tolist()):
        np.testing.assert_array_equal(kept[smaller.ids([" ".join(words)])[0]], ids)


@pytest.mark.parametrize("text", [*KEPT, "film quiet a", "loud loud story was good"])
def test_texts_of_kept_words_are_read_as_before(pair, text):
    original, smaller, kept = pair
    np.testing.assert_array_equal(kept[smaller.ids([text])[0]], original.ids([text])[0])


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(st.text(alphabet=LETTERS + " ", min_size=1, max_size=40), st.text(min_size=1, max_size=20)))
def test_nothing_becomes_unknown_that_was_not(pair, text):
    original, smaller, _ = pair
    if not (original.ids([text])[0] == original.unknown).any():
        assert not (smaller.ids([text])[0] == smaller.unknown).any()


def test_a_word_piece_of_characters_without_an_entry_of_their_own_is_refused():
    parsed = json.loads(word_piece())
    gone = {"##q": parsed["model"]["vocab"].pop("##q")}
    last = max(parsed["model"]["vocab"], key=parsed["model"]["vocab"].get)
    parsed["model"]["vocab"][last] = gone["##q"]
    parsed["model"]["vocab"]["xq"] = max(parsed["model"]["vocab"].values()) + 1
    with pytest.raises(UsageError, match=r"only within longer entries \('##q'"):
        trim(json.dumps(parsed).encode(), [])


def test_whole_words_alone_are_refused():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "film": 1}, unk_token="[UNK]"))
    with pytest.raises(UsageError, match="kind WordLevel"):
        trim(tokenizer.to_str().encode(), [1])


def test_a_merge_keeps_what_it_is_made_of():
    original = Subwords(byte_pairs())
    (whole,) = (row for row in original.ids([" terrible"]) if len(row) == 1)
    file, _ = trim(original.file, whole.tolist())
    assert len(Subwords(file).ids([" terrible"])[0]) == 1


# --- models --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    """A text modality with a tokenizer trained on more than is kept, and a model over it."""
    text = MODALITIES["text.v1"].create(
        assets={"tokenizer.json": word_piece()}, limit=64, options={"max_length": 32, "long": "head-tail"}
    )
    text = text.fit(ENGLISH, np.random.default_rng(0))
    config = configure(
        bundles.backbone("transformer.v1"), columns={"text": text.describe()}, outputs={"label": 3}, pooling="mean"
    )
    return text, config, bundles.perturbed(config)


def logits(modality, config, weights, texts):
    model = build(config, seed=0)
    model.load_state_dict(weights)
    arrays = modality.collate([modality.encode(text) for text in texts])
    inputs = {"text": {name: torch.from_numpy(array) for name, array in arrays.items()}}
    with torch.inference_mode():
        return model.eval()(inputs).logits["label"]


def test_answers_to_kept_texts_are_the_same_and_others_are_finite(fitted):
    text, config, model = fitted
    found = trim_vocabulary({"text": text}, config, model.state_dict(), {"text": KEPT})
    assert found.entries["text"] == (config["stems"][0]["vocabulary"], found.config["stems"][0]["vocabulary"])
    was = logits(text, config, model.state_dict(), KEPT)
    now = logits(found.modalities["text"], found.config, found.weights, KEPT)
    torch.testing.assert_close(now, was, rtol=0, atol=1e-6)
    others = ["unwatchable", "terrible and not bad", "xyz"]
    assert logits(found.modalities["text"], found.config, found.weights, others).isfinite().all()


def test_a_wrong_row_of_the_table_is_noticed(fitted):
    """The comparison above would see vectors that stand one place off."""
    text, config, model = fitted
    found = trim_vocabulary({"text": text}, config, model.state_dict(), {"text": KEPT})
    shifted = {**found.weights, "stems.text.words.weight": found.weights["stems.text.words.weight"].roll(1, 0)}
    was = logits(text, config, model.state_dict(), KEPT)
    now = logits(found.modalities["text"], found.config, shifted, KEPT)
    assert (now - was).abs().max() > 1e-3


def test_the_trimmed_modality_comes_back_from_its_files(fitted):
    text, config, model = fitted
    smaller = trim_vocabulary({"text": text}, config, model.state_dict(), {"text": KEPT}).modalities["text"]
    again = type(smaller).from_state(smaller.state())
    for value in [*KEPT, "terrible"]:
        np.testing.assert_array_equal(again.encode(value)["ids"], smaller.encode(value)["ids"])


def test_words_of_a_list_stay_whole(fitted):
    text, config, model = fitted
    plain, listed = (
        trim_vocabulary({"text": text}, config, model.state_dict(), {"text": KEPT}, words=words).modalities["text"]
        for words in ((), ("terrible",))
    )
    assert plain.pieces(["terrible"])[0] > text.pieces(["terrible"])[0]
    assert listed.pieces(["terrible"])[0] == text.pieces(["terrible"])[0]


def test_the_share_of_shredded_words_is_counted_by_occurrence(fitted):
    text, config, model = fitted
    smaller = trim_vocabulary({"text": text}, config, model.state_dict(), {"text": KEPT}).modalities["text"]
    found = shredded(text, smaller, ["terrible film", "terrible story", None, "film"])
    assert (found.words, found.more, found.share) == (5, 2, 0.4)
    assert found.entries[1] > found.entries[0]
    assert shredded(text, text, ["terrible film"]).share == 0.0


def test_words_with_tags_are_trimmed_as_texts_are():
    words = bundles.fitted("words.v1")
    config = configure(bundles.backbone("transformer.v1"), columns={"words": words.describe()}, outputs={"label": 3})
    weights = build(config, seed=0).state_dict()
    found = trim_vocabulary({"words": words}, config, weights, {"words": [["a", "quiet", "film"]]})
    assert found.config["stems"][0]["vocabulary"] < config["stems"][0]["vocabulary"]
    assert len(found.modalities["words"].encode(["a", "quiet", "film"])["ids"]) == len(
        words.encode(["a", "quiet", "film"])["ids"]
    )


def test_a_model_without_a_vocabulary_is_refused():
    series = bundles.fitted("series.v1")
    config = configure(bundles.backbone("transformer.v1"), columns={"s": series.describe()}, outputs={"label": 3})
    with pytest.raises(UsageError, match=r"no column has a vocabulary: s \(series.v1\)"):
        trim_vocabulary({"s": series}, config, build(config, seed=0).state_dict(), {"s": []})


def test_every_text_of_a_fused_model_is_trimmed_by_its_own_column():
    columns = {"title": bundles.fitted("text.v1"), "price": bundles.fitted("table.v1 numbers"),
               "review": bundles.fitted("text.v1")}  # fmt: skip
    described = {name: modality.describe() for name, modality in columns.items()}
    parts = [
        (bundles.backbone("convolution.v1"), {"title": described["title"], "review": described["review"]}),
        (bundles.backbone("transformer.v1"), {"price": described["price"]}),
    ]
    config = configure_fused(parts, outputs={"label": 3}, width=16)
    weights = build(config, seed=0).state_dict()
    values = {"title": ["a quiet film"], "price": [1.5], "review": ["the film was very good and loud"]}
    found = trim_vocabulary(columns, config, weights, values)
    assert list(found.entries) == ["title", "review"]
    assert found.entries["title"][1] < found.entries["review"][1]
    assert found.config["branches"][1] == config["branches"][1]
    was, now = build(config, seed=0).eval(), build(found.config, seed=0)
    now.load_state_dict(found.weights)

    def answered(model, modalities):
        arrays = {name: modalities[name].collate([modalities[name].encode(values[name][0])]) for name in columns}
        inputs = {name: {key: torch.from_numpy(one) for key, one in row.items()} for name, row in arrays.items()}
        with torch.inference_mode():
            return model(inputs).logits["label"]

    torch.testing.assert_close(answered(now.eval(), found.modalities), answered(was, columns), rtol=0, atol=1e-6)
