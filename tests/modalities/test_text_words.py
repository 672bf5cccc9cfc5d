"""Parts, what is left without them, what stands for them, and texts that were damaged."""

import re
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.core import UnknownName, UsageError
from underlay.modalities import NEUTRAL, Text
from underlay.modalities.text_noise import KINDS
from underlay.modalities.text_words import parts, substitutes

texts = st.text(max_size=60)


@given(text=texts)
def test_parts_stand_in_order_apart_and_hold_every_visible_sign(text: str) -> None:
    found = parts(text)
    assert all(part.text == text[part.start : part.stop] and part.text for part in found)
    assert all(left.stop <= right.start for left, right in pairwise(found))
    between = text
    for part in reversed(found):
        between = between[: part.start] + between[part.stop :]
    assert not between.strip()


def test_words_ideographs_and_marks_are_parts() -> None:
    found = [part.text for part in parts("Don't go — 很好!! 10.5 naïve नमस्ते 👩‍👧")]
    assert found == ["Don't", "go", "—", "很", "好", "!!", "10", ".", "5", "naïve", "नमस्ते", "👩‍👧"]


@given(value=texts)
def test_without_all_parts_is_the_neutral_input_and_without_none_is_the_value(bert: Text, value: str) -> None:
    assert bert.without(value, ()) == value
    if bert.parts(value):
        assert bert.without(value, bert.parts(value)) == NEUTRAL


def test_the_neutral_input_is_read_as_nothing(text: Text) -> None:
    row = text.encode(NEUTRAL)
    assert row["ids"].tolist() == [*text.tokenizer.prefix, *text.tokenizer.suffix]  # type: ignore[union-attr]


@given(value=texts, data=st.data())
def test_without_leaves_exactly_the_other_parts(bert: Text, value: str, data: st.DataObject) -> None:
    found = bert.parts(value)
    left_out = data.draw(st.sets(st.sampled_from(found))) if found else set()
    kept = [part.text for part in found if part not in left_out]
    rest = bert.without(value, sorted(left_out))
    assert "".join(rest.split()).replace(NEUTRAL, "") == "".join("".join(kept).split()).replace(NEUTRAL, "")


@given(value=texts)
def test_substitutes_differ_in_that_part_alone(value: str) -> None:
    for part in parts(value)[:5]:
        for changed in substitutes(value, part):
            assert changed != value
            assert changed.startswith(value[: part.start])
            assert changed.endswith(value[part.stop :])


def test_a_word_is_recased_misspelt_and_disguised() -> None:
    changed = substitutes("a good film", parts("a good film")[1])
    assert set(changed) == {"a GOOD film", "a Good film", "a good film".replace("good", "goood"), "a gоod film"}


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(value=texts, severity=st.integers(1, 5), seed=st.integers(0, 50))
def test_damage_is_repeatable_and_every_kind_takes_every_text(kind: str, value: str, severity: int, seed: int) -> None:
    text = Text()
    damaged = [text.corrupt(value, kind, severity, np.random.default_rng(seed)) for _ in range(2)]
    assert damaged[0] == damaged[1]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damage_grows_with_its_severity(kind: str) -> None:
    letters = np.random.default_rng(1).choice(list("aceoprstlnmidu"), size=(400, 7))
    long = " ".join("".join(word) for word in letters)

    def alike(severity: int) -> float:
        damaged = Text().corrupt(long, kind, severity, np.random.default_rng(0))
        return SequenceMatcher(None, long.split(), damaged.split(), autojunk=False).ratio()

    assert Text().corrupt(long, kind, 5, np.random.default_rng(0)) != long
    assert alike(5) < alike(3) < alike(1)


def test_unknown_damage_and_impossible_severity_are_said() -> None:
    with pytest.raises(UnknownName, match="did you mean 'typos'"):
        Text().corrupt("a film", "typo", 1, np.random.default_rng(0))
    with pytest.raises(UsageError, match="severity is 6"):
        Text().corrupt("a film", "typos", 6, np.random.default_rng(0))


@given(value=texts, seed=st.integers(0, 50))
def test_augmentation_at_rate_zero_changes_nothing_and_at_any_rate_leaves_a_word(value: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    still = Text.create(assets={}, limit=None, options={"augment": {"typos": 0, "drop": 0, "swap": 0}})
    assert still.augment(value, rng) == value
    harsh = Text.create(assets={}, limit=None, options={"augment": {"drop": 1.0}})
    assert bool(parts(harsh.augment(value, rng))) == bool(parts(value))


def test_augmentation_changes_about_the_share_of_words_it_should() -> None:
    text = Text.create(assets={}, limit=None, options={"augment": {"typos": 0.0, "drop": 0.2, "swap": 0.0}})
    words = " ".join(["film"] * 2_000)
    kept = len(text.augment(words, np.random.default_rng(0)).split())
    assert 0.76 < kept / 2_000 < 0.84


def test_a_rendered_text_is_escaped_and_shows_every_weight(bert: Text) -> None:
    value = "<script>good & bad"
    found = bert.parts(value)
    shown = bert.render(value, np.linspace(-1, 1, len(found)).tolist())
    assert "<script" not in shown
    assert shown.count("<mark") == len(found)
    plain = re.sub("<[^>]*>", "", shown).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert plain == value
    with pytest.raises(ValueError, match="zip"):
        bert.render(value, [1.0])
