"""A position for each word: at most one, the first piece of it, and none for what is cut."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.modalities.conftest import ENGLISH
from tests.modalities.examples import EXAMPLES
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from underlay.core import DenseModality, RowError
from underlay.modalities import MODALITIES, Words

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "new", "york", "##ers", "rejects", "un", "##re", "##ad", "a", "##a", "!"]


def word_pieces() -> bytes:
    """A tokenizer as BERT's: lower case, `##` before later pieces."""
    own = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer()
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return own.to_str().encode()


def read(assets=None, **options) -> Words:
    common = {"max_length": 32, "long": "head-tail", "vocabulary": 400, **options}
    fresh = Words.create(assets=assets or {}, limit=128, options=common)
    return fresh.fit([sentence.split() for sentence in ENGLISH], np.random.default_rng(0))


@pytest.fixture(scope="module")
def kinds() -> dict[str, Words]:
    return {
        "byte pairs": read(),
        "word pieces": read({"tokenizer.json": word_pieces()}),
        "windows": read(max_length=8, long="windows"),
        "short": read(max_length=8),
    }


def test_the_first_piece_of_a_word_answers_for_it(kinds):
    own = kinds["word pieces"]
    encoded = own.encode(["New", "Yorkers", "unread", "!", "rejects"])
    shown = [PIECES[at] for at in encoded["ids"]]
    assert shown == ["[CLS]", "new", "york", "##ers", "un", "##re", "##ad", "!", "rejects", "[SEP]"]
    assert own.units(encoded).tolist() == [-1, 0, 1, -1, 2, -1, -1, 3, 4, -1]
    assert own.count(encoded) == 5


def test_a_word_with_spaces_or_marks_in_it_is_one_word(kinds):
    encoded = kinds["word pieces"].encode(["New York", "!rejects!", "a"])
    assert [PIECES[at] for at in encoded["ids"]][1:-1] == ["new", "york", "!", "rejects", "!", "a"]
    assert kinds["word pieces"].units(encoded).tolist() == [-1, 0, -1, 1, -1, -1, 2, -1]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Mn", "Me"]), max_size=6), min_size=1, max_size=40
    ),
    st.sampled_from(["byte pairs", "word pieces", "windows", "short"]),
)
def test_each_word_has_at_most_one_position_and_they_stand_in_order(kinds, words, kind):
    own = kinds[kind]
    try:
        encoded = own.encode(words)
    except RowError:
        return
    units = own.units(encoded)
    found = units[units >= 0]
    assert units.shape == encoded["ids"].shape
    assert (np.diff(found) > 0).all()
    assert own.count(encoded) == len(words)
    assert len(found) == 0 or found[-1] < len(words)
    assert (units[np.isin(encoded["ids"], [*own.text.subwords.prefix, *own.text.subwords.suffix])] == -1).all()


FITTING = ("a", "film", "new", "Yorkers", "unread", "!", "12", "sea's")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(FITTING), min_size=1, max_size=12))
def test_what_fits_has_a_position_for_every_word_and_reads_as_the_text_does(kinds, words):
    for own in (kinds["byte pairs"], kinds["word pieces"]):
        encoded = own.encode(words)
        plain = own.text.encode(" ".join(words))
        assert np.array_equal(encoded["ids"][: len(plain["ids"])], plain["ids"])
        if len(encoded["ids"]) < own.text.max_length:
            assert sorted(set(own.units(encoded).tolist()) - {-1}) == list(range(len(words)))


def test_what_is_cut_has_no_position_and_is_counted(kinds):
    encoded = kinds["short"].encode(["film"] * 50)
    units = kinds["short"].units(encoded)
    assert len(units) == 8
    assert kinds["short"].count(encoded) == 50
    assert set(units[units >= 0]) < set(range(50))
    assert units.max() == 49  # head and tail


def test_a_very_long_sentence_is_cut_before_it_is_read():
    own = read(characters=50)
    encoded = own.encode(["film"] * 10_000)
    assert own.count(encoded) == 10_000
    assert own.length(encoded) <= 32
    assert own.length(own.encode(["x" * 100_000])) <= 32


def test_lists_json_and_sentences_read_alike(kinds):
    own, words = kinds["byte pairs"], ["a", "quiet", "film"]
    one = own.encode(words)
    for other in (tuple(words), np.array(words), json.dumps(words), "a quiet film"):
        again = own.encode(other)
        assert all(np.array_equal(one[name], again[name]) for name in one)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "missing_words"),
        ([], "empty_words"),
        (["", "\u200b"], "empty_words"),
        ([1], "not_words"),
        (3, "not_words"),
    ],
)
def test_what_is_no_list_of_words_is_a_problem_of_its_row(kinds, value, code):
    with pytest.raises(RowError) as refused:
        kinds["byte pairs"].encode(value)
    assert refused.value.code == code


def test_an_augmented_sentence_has_as_many_words(kinds):
    rng = np.random.default_rng(0)
    words = ["the", "film", "was", "very", "good", "and", "loud"]
    changed = [kinds["byte pairs"].augment(words, rng) for _ in range(200)]
    assert {len(one) for one in changed} == {len(words)}
    assert any(one != words for one in changed)


def test_capitals_are_kept_where_a_tokenizer_is_trained_for_words():
    upper, lower = read().encode(["Film"]), read().encode(["film"])
    assert not np.array_equal(upper["ids"], lower["ids"])


@pytest.mark.parametrize("key", EXAMPLES)
def test_modalities_with_units_number_each_of_them_once(key):
    if not hasattr(MODALITIES[EXAMPLES[key]().name], "units"):
        return
    example = EXAMPLES[key]()
    own = example.fitted()
    assert isinstance(own, DenseModality)
    for value in example.values:
        encoded = own.encode(value)
        units = own.units(encoded)
        assert units.shape == (own.length(encoded),)
        found = units[units >= 0]
        assert len(set(found.tolist())) == len(found)
        assert len(found) == 0 or (found.min() >= 0 and found.max() < own.count(encoded))
