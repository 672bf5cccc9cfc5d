"""What is hidden is what is asked, and nothing that would tell it stays."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from underlay.core import Batch
from underlay.train import cloze

HIDDEN = {"items": 2, "gaps": 0, "attributes": 0}


def batch(lengths, *, ends=True):
    """Rows of items 3, 4, ... as they are read for training: a hidden event without a label stands at their end."""
    longest = max(lengths) + ends
    arrays = {name: torch.zeros(len(lengths), longest, dtype=torch.long) for name in ("items", "mask", "gaps")}
    arrays["attributes"] = torch.zeros(len(lengths), longest, 2, dtype=torch.long)
    labels = torch.full((len(lengths), longest), -100)
    for row, count in enumerate(lengths):
        arrays["items"][row, :count] = torch.arange(3, 3 + count)
        arrays["items"][row, count : count + ends] = HIDDEN["items"]
        arrays["mask"][row, : count + ends] = 1
        arrays["gaps"][row, :count], arrays["attributes"][row, :count] = 7, 9
        labels[row, 1:count] = torch.arange(1, count)
    return Batch({"item": arrays}, {"next item": labels})


def changed(given, share, seed=0):
    return cloze("item", "next item", share=share, hidden=HIDDEN)(given, torch.Generator().manual_seed(seed))


@given(st.lists(st.integers(2, 12), min_size=1, max_size=6), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_every_row_asks_something_and_only_what_is_hidden(lengths, share, seed):
    before = batch(lengths)
    after = changed(before, share, seed)
    arrays, labels = after.inputs["item"], after.targets["next item"]
    asked = labels != -100
    assert asked.any(1).all()
    assert torch.equal(asked, (arrays["items"] == 2) & (arrays["mask"] == 1))
    assert torch.equal(labels[asked], before.targets["next item"][asked])
    for name in ("gaps", "attributes"):
        assert not arrays[name][asked].any(), "what came with a hidden event would tell it"
    kept = ~asked & (before.inputs["item"]["items"] != 2)
    for name, array in before.inputs["item"].items():
        assert torch.equal(arrays[name][kept], array[kept])


def test_a_hidden_end_that_nothing_follows_becomes_padding_and_one_with_a_label_is_asked():
    after = changed(batch([3, 5]), 0.5)
    assert after.inputs["item"]["mask"].sum(1).tolist() == [3, 5]
    followed = batch([3])
    followed.targets["next item"][0, 3] = 8
    last_only = [changed(followed, 0.01, seed) for seed in range(5)]
    assert all(one.inputs["item"]["mask"].sum() == 4 for one in last_only)
    assert {tuple(one.targets["next item"][0].tolist()) for one in last_only} == {(-100, -100, -100, 8)}


def test_the_share_is_kept_and_one_row_in_five_asks_for_its_last_alone():
    many = batch([40] * 2000, ends=False)
    counts = (changed(many, 0.5).targets["next item"] != -100).sum(1)
    alone = counts == 1
    assert abs(float(alone.float().mean()) - 0.2) < 0.03
    assert abs(float(counts[~alone].float().mean()) / 39 - 0.5) < 0.02


def test_the_same_generator_hides_the_same():
    given_rows = batch([9, 4, 7])
    one, other = (changed(given_rows, 0.3, 5).targets["next item"] for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, changed(given_rows, 0.3, 6).targets["next item"])
