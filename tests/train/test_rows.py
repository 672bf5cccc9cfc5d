"""Encoded rows on disk: what was put in comes out, whatever cannot be encoded, whenever the writer died."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from underlay.core import RowError
from underlay.modalities import Text
from underlay.train import EncodedRows, encode_store
from underlay.train.rows import CHUNK

TEXTS = ["a quiet, wonderful film", "dull", "好看", "one two three four five " * 20]


@pytest.fixture(scope="module")
def modality():
    return Text.create(assets={}, limit=None, options={"max_length": 16}).fit(TEXTS * 3, np.random.default_rng(0))


def same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
        assert array.dtype == other[name].dtype


values_of_cells = st.one_of(st.text(max_size=30), st.none(), st.integers(), st.just("\ud800"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(values_of_cells, min_size=1, max_size=20))
def test_a_store_gives_back_what_the_modality_gives_and_says_why_where_it_gives_nothing(modality, tmp_path, values):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    store = encode_store(folder, modality, values)
    assert len(store) == len(values)
    for row, value in enumerate(values):
        try:
            expected = modality.encode(value)
        except RowError as refused:
            assert store.lengths[row] == 0
            assert store.problems[row].code == refused.code
        else:
            same(store[row], expected)
            assert store.lengths[row] == modality.length(expected)
            assert row not in store.problems


def test_rows_after_a_whole_chunk_that_cannot_be_encoded_stand_in_their_places(modality, tmp_path):
    store = encode_store(tmp_path, modality, [*[""] * CHUNK, *TEXTS])
    assert len(store) == CHUNK + len(TEXTS)
    assert len(store.problems) == CHUNK
    for row, text in enumerate(TEXTS, start=CHUNK):
        same(store[row], modality.encode(text))
    assert all(len(array) == 0 for array in store[0].values())


def test_nothing_but_rows_that_cannot_be_encoded_is_a_store_too(modality, tmp_path):
    store = encode_store(tmp_path, modality, [None, "", 3])
    assert store.lengths.tolist() == [0, 0, 0]
    assert {problem.code for problem in store.problems.values()} == {"missing_text", "empty_text", "not_text"}


def test_arrays_are_mapped_and_not_in_memory(modality, tmp_path):
    store = encode_store(tmp_path, modality, TEXTS)
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in store.arrays.values())
    assert all(isinstance(array, np.memmap) for array in store[0].values())


@pytest.mark.parametrize("died_after", [0, CHUNK + 7])
def test_a_write_that_was_cut_off_is_done_again_from_the_start(modality, tmp_path, died_after):
    rows = [TEXTS[at % 4] for at in range(CHUNK + 10)]

    def dying():
        yield from rows[:died_after]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_store(tmp_path, modality, dying())
    assert not (tmp_path / "store.json").exists()
    assert died_after == 0 or list(tmp_path.glob("*.raw"))
    store = encode_store(tmp_path, modality, rows)
    assert len(store) == len(rows)
    for row in (0, CHUNK - 1, CHUNK, len(rows) - 1):
        same(store[row], modality.encode(rows[row]))
    assert not [*tmp_path.glob("*.raw"), *tmp_path.glob("*.part")]


def test_a_finished_store_is_opened_without_reading_a_value(modality, tmp_path):
    encode_store(tmp_path, modality, TEXTS)

    def unread():
        raise AssertionError("read again")
        yield

    same(encode_store(tmp_path, modality, unread())[1], modality.encode(TEXTS[1]))
    assert json.loads((tmp_path / "store.json").read_text(encoding="utf-8"))["arrays"] == ["ids", "mask"]


def test_batches_of_a_selection_carry_its_targets_and_extra_columns_in_its_order(modality, tmp_path):
    store = encode_store(tmp_path, modality, TEXTS)
    labels, weights = np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    everything = EncodedRows({"text": store}, {"text": modality}, {"label": labels}, {"weight": weights}, np.arange(4))
    chosen = everything.select(np.array([3, 1, 0]))
    batch = chosen.batch([0, 2])  # rows 3 and 0 of the store
    np.testing.assert_array_equal(batch.targets["label"], [1, 0])
    np.testing.assert_array_equal(batch.extra["weight"], [4.0, 1.0])
    assert batch.inputs["text"]["ids"].shape == (2, store.lengths[[3, 0]].max())
    np.testing.assert_array_equal(chosen.lengths, store.lengths[[3, 1, 0]])
    np.testing.assert_array_equal(batch.inputs["text"]["ids"][0], store[3]["ids"])


def test_a_row_of_two_columns_is_as_long_as_both(modality, tmp_path):
    stores = {name: encode_store(tmp_path / name, modality, TEXTS) for name in ("title", "body")}
    rows = EncodedRows(stores, dict.fromkeys(stores, modality), {}, {}, np.arange(4))
    np.testing.assert_array_equal(rows.lengths, 2 * stores["title"].lengths)


def test_long_raw_values_are_encoded_few_at_a_time_however_little_is_kept_of_them(modality, tmp_path, monkeypatch):
    """A recording of an hour takes a hundred megabytes, of which ten seconds are read."""
    monkeypatch.setattr("underlay.train.rows.CHUNK_BYTES", 1_000)
    seen = []

    class Watched:
        def __getattr__(self, name):
            return getattr(modality, name)

        def encode_many(self, values):
            seen.append(sum(map(len, values)))
            return modality.encode_many(values)

    values = ["a fine film " * 20] * 30 + ["film " * 400] * 2
    store = encode_store(tmp_path / "store", Watched(), iter(values))
    assert len(store) == 32
    assert (store.lengths > 0).all()
    assert max(seen[:-2]) <= 1_000
    assert seen[-2:] == [2_000, 2_000]  # one that is larger stands alone
