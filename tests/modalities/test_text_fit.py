"""What is learned from training texts: a tokenizer, a length, and whether the tokenizer fits them."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.modalities import NEUTRAL, Text
from underlay.modalities.text_fit import choose_length, reservoir
from underlay.modalities.text_segments import head_and_tail, windows

Fit = Callable[..., Text]


def test_a_given_tokenizer_is_kept_byte_for_byte(bert: Text, tokenizer_file: bytes) -> None:
    assert bert.state()["tokenizer.json"] == tokenizer_file
    assert bert.facts()["tokenizer"] == "pretrained"


def test_truncation_and_padding_of_the_file_do_not_bind(bert: Text) -> None:
    assert bert.length(bert.encode("the film was very good " * 10)) == 52


def test_chinese_gets_characters_and_english_byte_pairs(characters: Text, pairs: Text) -> None:
    assert characters.facts()["tokenizer"] == "trained: characters"
    assert characters.length(characters.encode("电影很好看")) == 7
    assert pairs.facts()["tokenizer"] == "trained: byte pairs"
    assert pairs.length(pairs.encode("the film was very good")) == 7


def test_an_english_tokenizer_on_chinese_is_warned_of(fit_text: Fit, tokenizer_file: bytes, chinese: list[str]) -> None:
    text = fit_text(chinese, assets={"tokenizer.json": tokenizer_file})
    (warning,) = text.facts()["warnings"]
    assert "reads these texts badly" in warning
    assert "--trunk convolution reads characters" in warning
    assert text.facts()["unknown"] > 0.5


def test_a_tokenizer_that_fits_is_not_warned_of(bert: Text, characters: Text, pairs: Text) -> None:
    assert [text.facts()["warnings"] for text in (bert, characters, pairs)] == [[], [], []]


def test_bytes_of_a_script_the_tokenizer_never_saw_are_warned_of(
    fit_text: Fit, pairs: Text, chinese: list[str]
) -> None:
    text = fit_text(chinese, assets={"tokenizer.json": pairs.state()["tokenizer.json"]})
    assert "tokens for one character" in text.facts()["warnings"][0]


def test_the_length_comes_from_the_data_and_says_why(fit_text: Fit, tokenizer_file: bytes) -> None:
    files = {"tokenizer.json": tokenizer_file}
    short = fit_text(["good film"] * 200, assets=files)
    assert short.max_length == 16
    long = fit_text(["good " * 400] * 200, assets=files, limit=512)
    assert long.max_length == 256
    assert long.facts()["cut"] == 1.0
    assert "longer than 256 are 100 % of them" in long.facts()["why"]
    asked = fit_text(["good " * 400] * 200, assets=files, limit=512, max_length=512)
    assert asked.max_length == 512
    bound = fit_text(["good " * 400] * 200, assets=files, limit=128, max_length=512)
    assert bound.max_length == 128
    assert "the trunk reads at most 128" in bound.facts()["why"]


@given(lengths=st.lists(st.integers(1, 2_000), min_size=1), limit=st.integers(3, 600) | st.none())
def test_the_chosen_length_is_within_the_limit_and_covers_what_it_says(lengths: list[int], limit: int | None) -> None:
    chosen, _ = choose_length(np.array(lengths), limit=limit, asked="auto")
    most = min(limit or 256, 256)
    assert chosen <= most
    assert chosen == most or np.mean(np.array(lengths) <= chosen) >= 0.98


def test_head_and_tail_keeps_both_ends(fit_text: Fit, tokenizer_file: bytes) -> None:
    text = fit_text(["good film"] * 50, assets={"tokenizer.json": tokenizer_file}, max_length=22)
    ids = text.encode("good " + "film " * 100 + "bad")["ids"]
    assert len(ids) == 22
    assert ids[1] == text.encode("good")["ids"][1]
    assert ids[-2] == text.encode("bad")["ids"][1]


def test_head_alone_keeps_the_beginning(fit_text: Fit, tokenizer_file: bytes) -> None:
    text = fit_text(["good film"] * 50, assets={"tokenizer.json": tokenizer_file}, max_length=22, long="head")
    ids = text.encode("good " + "film " * 100 + "bad")["ids"]
    assert ids[-2] == text.encode("film")["ids"][1]


def test_windows_hold_every_token_once_each_framed_and_numbered(fit_text: Fit, tokenizer_file: bytes) -> None:
    text = fit_text(["good film"] * 50, assets={"tokenizer.json": tokenizer_file}, max_length=22, long="windows")
    row = text.encode("good " * 30 + "bad " * 30)
    frame = text.encode(NEUTRAL)["ids"]
    assert row["mask"].tolist() == sorted(row["mask"].tolist())
    assert set(row["mask"].tolist()) == {1, 2, 3}
    inner = []
    for number in (1, 2, 3):
        piece = row["ids"][row["mask"] == number]
        assert len(piece) <= 22
        assert [piece[0], piece[-1]] == frame.tolist()
        inner += piece[1:-1].tolist()
    one, other = (int(text.encode(word)["ids"][1]) for word in ("good", "bad"))
    assert inner == [one] * 30 + [other] * 30
    assert "truncated" not in text.notices("good " * 100)
    assert "truncated" in text.notices("good " * 500)


@given(count=st.integers(0, 300), room=st.integers(1, 40), most=st.integers(1, 9))
def test_windows_lose_nothing_that_fits_and_never_overflow(count: int, room: int, most: int) -> None:
    ids = np.arange(count)
    pieces = windows(ids, room, most)
    assert 1 <= len(pieces) <= most
    assert all(len(piece) <= room for piece in pieces)
    joined = np.concatenate(pieces)
    assert np.array_equal(joined, ids if count <= room * most else head_and_tail(ids, room * most))


def test_long_rows_of_two_kinds_fit_one_batch(fit_text: Fit, tokenizer_file: bytes) -> None:
    text = fit_text(["good film"] * 50, assets={"tokenizer.json": tokenizer_file}, max_length=22, long="windows")
    batch = text.collate([text.encode("good"), text.encode("good " * 50)])
    assert batch["mask"][0].tolist()[:4] == [1, 1, 1, 0]
    assert batch["mask"][1].max() == 3


@given(count=st.integers(0, 300), size=st.integers(1, 50), seed=st.integers(0, 99))
def test_a_reservoir_is_a_sample_without_repetition(count: int, size: int, seed: int) -> None:
    kept, seen = reservoir(map(str, range(count)), size, np.random.default_rng(seed))
    assert seen == count
    assert len(kept) == min(count, size) == len(set(kept))


def test_fitting_twice_in_two_processes_gives_the_same_files(english: list[str]) -> None:
    code = (
        "import hashlib, numpy as np\nfrom underlay.modalities import Text\n"
        f"values = {sorted(set(english))!r} * 20\n"
        "text = Text.create(assets={}, limit=None, options={'vocabulary': 500}).fit(values, np.random.default_rng(0))\n"
        "print([hashlib.sha256(data).hexdigest() for data in text.state().values()])"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(runs) == 1


def test_fit_returns_a_new_one_and_reads_its_values_once() -> None:
    unfitted = Text.create(assets={}, limit=None, options={})
    fitted = unfitted.fit(iter(["good film", None, "bad film"]), np.random.default_rng(0))
    assert unfitted.tokenizer is None
    assert fitted.learned["rows"] == 2


@pytest.mark.parametrize("count", [1, 3])
def test_few_texts_are_enough(fit_text: Fit, count: int) -> None:
    text = fit_text(["a good film"] * count)
    assert text.probe(np.random.default_rng(0))
    assert text.length(text.encode("something else")) > 2
