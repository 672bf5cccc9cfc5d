"""What looks the same becomes the same."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import RowError
from underlay.modalities import normalise
from underlay.modalities.text_normaliser import notices

anything = st.text(max_size=60)


def settled(text: str) -> str | None:
    try:
        return normalise(text)
    except RowError:
        return None


@settings(max_examples=500)
@given(text=st.text(st.characters(), max_size=30))
def test_normalising_again_changes_nothing(text: str) -> None:
    once = settled(text)
    if once is not None:
        assert normalise(once) == once


@pytest.mark.row("X07")
@given(text=anything)
def test_composed_decomposed_and_compatibility_forms_are_one(text: str) -> None:
    forms = {settled(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert len(forms - {None}) <= 1


@pytest.mark.row("X07")
def test_full_width_and_ligatures_become_ordinary_letters() -> None:
    assert normalise("ＦＵＬＬ １２３ ﬁlm①") == "FULL 123 film1"
    assert normalise("wide\u3000space\u00a0hard") == "wide space hard"


@pytest.mark.row("X03")
@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u00ad", "\ufeff", "\u2060", "\u200d", "\u200c", "\ufe0f", "\U000e0041", "\u180e"]
)
def test_invisible_characters_within_words_are_removed_and_said(hidden: str) -> None:
    assert normalise(f"won{hidden}der{hidden}ful") == "wonderful"
    assert normalise(f"cafe{hidden}\u0301") == "café"
    assert notices(f"won{hidden}derful") == ("invisible_removed",)
    assert notices("wonderful café 很好 👩‍👧") == ()


@pytest.mark.row("X03")
@pytest.mark.parametrize("text", ["👩‍👧‍👦", "🏳\u200d🌈", "می\u200cخواهم", "क्\u200dष", "ന്\u200d"])
def test_joiners_stay_where_an_emoji_or_a_script_needs_them(text: str) -> None:
    assert normalise(f"x {text} y") == f"x {unicodedata.normalize('NFKC', text)} y"


@pytest.mark.row("X04")
def test_look_alikes_within_latin_words_are_said() -> None:
    assert notices("pаypal") == ("mixed_script",)
    assert notices("paypal Россия Ελλάδα") == ()


@pytest.mark.row("X05")
def test_direction_overrides_are_removed() -> None:
    assert normalise("abc\u202edef\u202c \u2066x\u2069") == "abcdef x"
    assert notices("abc\u202edef") == ("invisible_removed",)


@pytest.mark.row("X06")
def test_a_tower_of_marks_is_refused_in_time() -> None:
    tower = "e" + "\u0301\u0316" * 5_000
    begun = time.process_time()
    with pytest.raises(RowError) as caught:
        normalise(tower)
    assert caught.value.code == "text_malformed"
    assert time.process_time() - begun < 0.05
    assert normalise("e" + "\u0301" * 30)


def test_half_characters_are_refused_and_controls_removed() -> None:
    with pytest.raises(RowError) as caught:
        normalise("a\ud800b")
    assert caught.value.code == "invalid_text"
    assert normalise("a\x00b\x07c") == "abc"


def test_line_ends_are_one_and_other_blanks_are_spaces() -> None:
    assert normalise("a\r\nb\rc\u2028d\x85e") == "a\nb\nc\nd\ne"
    assert normalise("a\tb\x0bc") == "a b c"
