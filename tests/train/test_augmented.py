"""Augmented rows: another look at each draw, the same one again from the same generator."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from underlay.modalities import Augmentation, Text
from underlay.train import AugmentedRows, EncodedRows, encode_store

TEXTS = [f"sentence number {at} with some more words than one, quiet and wonderful" for at in range(24)]
ALL = list(range(24))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    plain = Text.create(assets={}, limit=None, options={"max_length": 64})
    modality = plain.fit(TEXTS, np.random.default_rng(0))
    modality = replace(modality, options=replace(modality.options, augment=Augmentation(0.3, 0.2, 0.2)))
    store = encode_store(tmp_path_factory.mktemp("store"), modality, TEXTS)
    labels = np.arange(24) % 2
    return EncodedRows({"text": store}, {"text": modality}, {"label": labels}, {}, np.arange(24)[::-1].copy())


def values(column, picked):
    assert column == "text"
    return [TEXTS[row] for row in picked]


def drawn(rows, share, seed):
    torch.manual_seed(seed)
    return AugmentedRows(rows, values, share).batch(ALL)


def lines(batch):
    ids, mask = batch.inputs["text"]["ids"], batch.inputs["text"]["mask"]
    return [row[real > 0].tolist() for row, real in zip(ids, mask, strict=True)]


def test_the_same_seed_of_torch_draws_the_same_changes_and_another_seed_others(rows):
    one, again, other = (lines(drawn(rows, 1.0, seed)) for seed in (3, 3, 4))
    assert one == again
    assert one != other


def test_one_draw_after_another_differs(rows):
    torch.manual_seed(0)
    augmented = AugmentedRows(rows, values, 1.0)
    assert lines(augmented.batch(ALL)) != lines(augmented.batch(ALL))


def test_a_share_of_0_is_the_plain_rows(rows):
    plain, augmented = rows.batch(ALL), drawn(rows, 0.0, 0)
    np.testing.assert_array_equal(plain.inputs["text"]["ids"], augmented.inputs["text"]["ids"])
    np.testing.assert_array_equal(plain.inputs["text"]["mask"], augmented.inputs["text"]["mask"])


def test_about_the_share_of_the_rows_is_changed_and_labels_never_are(rows):
    plain = lines(rows.batch(ALL))
    changed = [
        sum(one != other for one, other in zip(plain, lines(drawn(rows, 0.5, seed)), strict=True)) for seed in range(20)
    ]
    assert 0.3 < np.mean(changed) / 24 < 0.55  # a few words in a hundred texts stay as they are
    np.testing.assert_array_equal(drawn(rows, 1.0, 0).targets["label"], rows.batch(ALL).targets["label"])


def test_a_value_of_which_nothing_is_left_stays_as_it_was(rows):
    torch.manual_seed(0)
    empty = AugmentedRows(rows, lambda column, picked: [""] * len(picked), 1.0)
    assert lines(empty.batch(ALL)) == lines(rows.batch(ALL))
