"""Cached activations: training above them is training the whole model, within half precision."""

import json

import numpy as np
import pytest
import torch
from tests.train.toy import CONFIG, toy_rows

from underlay.modalities import Text
from underlay.models import build
from underlay.train import EncodedRows, UpperModel, cache_activations, encode_store, sweep

HALF = {"rtol": 5e-3, "atol": 5e-3}
TEXTS = [" ".join(f"word{(at * 7 + word) % 13}" for word in range(2 + at % 9 * 4)) for at in range(40)]


def model_of(stems, **trunk):
    return build({**CONFIG, "stems": stems, "trunk": {**CONFIG["trunk"], **trunk}}, seed=0).eval()


def encoded(tmp_path, columns, **options):
    modality = Text.create(assets={}, limit=None, options=options).fit(TEXTS, np.random.default_rng(0))
    stores = {name: encode_store(tmp_path / name, modality, values) for name, values in columns.items()}
    described = {key: value for key, value in modality.describe().items() if key != "limit"}
    stems = [{"column": name, **described, "width": 16, "positions": 64} for name in columns]
    return EncodedRows(stores, dict.fromkeys(columns, modality), {}, {}, np.arange(len(TEXTS))), stems


def logits_of(model, rows):
    return sweep(model, rows, batch_tokens=512).logits["label"]


@pytest.mark.parametrize("stop", [1, 2])
def test_the_upper_model_on_cached_rows_says_what_the_whole_model_says(tmp_path, stop):
    model, rows = model_of(CONFIG["stems"]), toy_rows(50)
    cached = cache_activations(model, rows, stop=stop, folder=tmp_path, batch_tokens=256)
    np.testing.assert_array_equal(cached.lengths, rows.lengths)
    assert cached.hidden.dtype == np.float16
    torch.testing.assert_close(logits_of(UpperModel(model, stop), cached), logits_of(model, rows), **HALF)


def test_segments_of_long_texts_stay_apart_above_the_cache(tmp_path):
    rows, stems = encoded(tmp_path, {"text": TEXTS}, max_length=12, long="windows")
    assert int(rows.batch([8]).inputs["text"]["mask"].max()) > 1
    model = model_of(stems)
    cached = cache_activations(model, rows, stop=1, folder=tmp_path / "cache", batch_tokens=256)
    torch.testing.assert_close(logits_of(UpperModel(model, 1), cached), logits_of(model, rows), **HALF)


def test_rows_of_two_columns_are_cached_whole_whatever_the_padding_between_them(tmp_path):
    rows, stems = encoded(tmp_path, {"title": TEXTS, "body": TEXTS[::-1]}, max_length=32)
    model = model_of(stems)
    cached = cache_activations(model, rows, stop=1, folder=tmp_path / "cache", batch_tokens=512)
    torch.testing.assert_close(logits_of(UpperModel(model, 1), cached), logits_of(model, rows), **HALF)


def test_gradients_above_the_cache_are_those_of_the_whole_model(tmp_path):
    model, rows = model_of(CONFIG["stems"]), toy_rows(20)
    cached = cache_activations(model, rows, stop=1, folder=tmp_path, batch_tokens=256)
    above = [name for name, _ in model.named_parameters() if model.layer_of(name) > 1]
    gradients = []
    for learner, source in ((model, rows), (UpperModel(model, 1), cached)):
        model.zero_grad()
        batch = source.batch(list(range(20))).map(torch.from_numpy)
        output = learner.encode(learner.embed(batch.inputs), learner.mask(batch.inputs))
        torch.nn.functional.cross_entropy(output.logits["label"], batch.targets["label"]).backward()
        gradients.append({name: dict(model.named_parameters())[name].grad.clone() for name in above})
    assert len(above) > 8
    for name in above:
        torch.testing.assert_close(gradients[1][name], gradients[0][name], rtol=2e-2, atol=1e-3)


def test_a_finished_cache_is_opened_as_it_is_and_an_unfinished_one_is_done_again(tmp_path):
    model, rows = model_of(CONFIG["stems"]), toy_rows(30)
    first = cache_activations(model, rows, stop=1, folder=tmp_path, batch_tokens=128)
    expected = np.array(first.hidden)
    rows.seen.clear()
    again = cache_activations(model, rows, stop=1, folder=tmp_path, batch_tokens=128)
    assert not rows.seen, "a finished cache needs no row"
    np.testing.assert_array_equal(again.hidden, expected)
    # Died before the mark: what stands in the files may be anything.
    (tmp_path / "cache.json").unlink()
    (tmp_path / "hidden.f16").write_bytes(b"\xff" * 64)
    redone = cache_activations(model, rows, stop=1, folder=tmp_path, batch_tokens=128)
    assert rows.seen
    np.testing.assert_array_equal(redone.hidden, expected)


def test_a_pass_that_dies_leaves_no_mark(tmp_path):
    class Dying:
        def __init__(self, rows):
            self.rows, self.lengths = rows, rows.lengths

        def batch(self, picked):
            if len(self.rows.seen) == 3:
                raise KeyboardInterrupt
            return self.rows.batch(picked)

    model, rows = model_of(CONFIG["stems"]), toy_rows(40)
    with pytest.raises(KeyboardInterrupt):
        cache_activations(model, Dying(rows), stop=1, folder=tmp_path, batch_tokens=64)
    assert not (tmp_path / "cache.json").exists()


def test_progress_counts_every_position_once_and_the_mark_says_the_shape(tmp_path):
    model, rows, told = model_of(CONFIG["stems"]), toy_rows(30), []
    cache_activations(
        model, rows, stop=1, folder=tmp_path, batch_tokens=128, progress=lambda done, total: told.append((done, total))
    )
    total = int(rows.lengths.sum())
    assert told[-1] == (total, total)
    assert sorted(told) == told
    assert json.loads((tmp_path / "cache.json").read_text(encoding="utf-8")) == {"positions": total, "width": 16}
