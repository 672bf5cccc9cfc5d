"""Mixtures of rows: what they are made of, what their loss is for every task, and that a resumed run mixes the same."""

import signal

import numpy as np
import pytest
import torch
from tests.train.test_resume import PLAN, StopAt, same
from tests.train.toy import CONFIG, toy_loop, toy_rows, weights
from torch.nn import functional

from underlay.core import Batch, Interrupted
from underlay.models import build
from underlay.objectives import LossTerm, Objective, Step, binary_cross_entropy, cross_entropy, squared_error
from underlay.train import Mixed, Trainable, cutmix, mixup, one_of


def rows_of(*values: float, places: int = 4, width: int = 3) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1).expand(-1, places, width).contiguous()


def test_mixup_is_the_weighted_mean_of_two_rows_with_the_share_of_its_targets():
    embedded = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(3)
    mixed = mixup(0.4)(embedded, None)
    expected = mixed.share * embedded + (1 - mixed.share) * embedded[mixed.partners]
    torch.testing.assert_close(mixed.embedded, expected)
    assert sorted(mixed.partners.tolist()) == list(range(6))
    assert mixed.mask is None


def test_where_one_row_has_ended_the_other_goes_on_alone():
    embedded = rows_of(1.0, 2.0)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    for seed in range(20):
        torch.manual_seed(seed)
        mixed = mixup(1.0)(embedded, mask)
        if mixed.partners.tolist() == [1, 0]:
            break
    assert mixed.mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]
    rest = 1 - mixed.share
    expected = [mixed.share + 2 * rest, mixed.share + 2 * rest, 2 * rest, 0.0]
    assert mixed.embedded[0, :, 0].tolist() == pytest.approx(expected)


def test_small_alphas_keep_mostly_one_row_and_large_ones_mix_evenly():
    def spread(alpha: float) -> float:
        torch.manual_seed(0)
        return float(np.std([mixup(alpha)(rows_of(0.0, 1.0), None).share for _ in range(300)]))

    assert spread(0.2) > 0.35 > 0.25 > spread(2.0)
    assert spread(1.0) == pytest.approx(12**-0.5, abs=0.02)  # Beta(1, 1) is even


@pytest.mark.parametrize("size", [(8, 8), (1, 7), (64, 25)])
def test_cutmix_replaces_one_rectangle_and_its_area_is_the_partners_share(size):
    embedded = rows_of(0.0, 1.0, 2.0, places=size[0] * size[1])
    areas = []
    for seed in range(60):
        torch.manual_seed(seed)
        mixed = cutmix(1.0, size=size)(embedded, None)
        for row, partner in enumerate(mixed.partners.tolist()):
            if partner == row:
                assert (mixed.embedded[row] == row).all()
                continue
            taken = (mixed.embedded[row, :, 0] == partner).view(size)
            assert float(taken.float().mean()) == pytest.approx(1 - mixed.share, abs=1e-6)
            places = taken.nonzero()
            if len(places):
                box = places.max(0).values - places.min(0).values + 1
                assert len(places) == int(box.prod())
        areas.append(1 - mixed.share)
    assert min(areas) < 0.1
    assert embedded[:, :, 0].unique(dim=1).ravel().tolist() == [0.0, 1.0, 2.0], "the rows themselves do not change"


def test_rectangles_are_cut_out_of_pictures_alone():
    with pytest.raises(ValueError, match="no pictures of 8 x 8"):
        cutmix(1.0, size=(8, 8))(rows_of(0.0, 1.0, places=12), None)


def test_of_both_each_batch_gets_one_and_both_come_up():
    both = one_of([mixup(1.0), cutmix(1.0, size=(8, 8))])
    embedded = rows_of(0.0, 1.0, places=64)
    torch.manual_seed(0)
    mixtures = [both(embedded, None) for _ in range(40)]
    even = [one.embedded[0].unique().numel() == 1 for one in mixtures if one.partners[0] == 1]
    assert {True, False} == set(even)


TASKS = {
    "cross-entropy": (cross_entropy(), torch.tensor([0, 2, 1, 2]), 3),
    "binary cross-entropy": (binary_cross_entropy(), torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]]), 2),
    "squared error": (squared_error(), torch.tensor([0.5, -1.0, 2.0, 0.0]), 1),
}


def trainable(loss, outputs: int, mixing=None) -> Trainable:
    config = {**CONFIG, "heads": [{"target": "label", "name": "linear.v1", "outputs": outputs}]}
    model = build(config, seed=0)
    return Trainable(model.eval(), Objective({"task": loss}), mixing)


def batch_of(targets: torch.Tensor) -> Batch:
    ids = torch.tensor([[3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13, 14]])
    return Batch({"text": {"ids": ids, "mask": torch.ones_like(ids)}}, {"label": targets})


@pytest.mark.parametrize("task", TASKS)
def test_any_loss_of_a_mixture_is_that_of_both_targets_to_their_shares(task):
    loss, targets, outputs = TASKS[task]
    fixed = Mixed(rows_of(0.1, 0.2, 0.3, 0.4, places=3, width=16), None, torch.tensor([1, 0, 3, 2]), 0.3)
    found = trainable(loss, outputs, lambda embedded, mask: fixed)
    value = found(batch_of(targets), {"task": {}}, 0)
    logits = found.model.encode(fixed.embedded, None)
    own, other = (
        found.objective({"task": {}}, Step(batch_of(one), fixed.embedded, logits, found.model, 0)).total
        for one in (targets, targets[fixed.partners])
    )
    torch.testing.assert_close(value.total, 0.3 * own + 0.7 * other)
    torch.testing.assert_close(value.parts["task"], value.total.detach())


def test_for_classes_that_is_cross_entropy_against_soft_targets():
    _, targets, outputs = TASKS["cross-entropy"]
    fixed = Mixed(rows_of(0.1, 0.2, 0.3, 0.4, places=3, width=16), None, torch.tensor([1, 0, 3, 2]), 0.3)
    found = trainable(cross_entropy(), outputs, lambda embedded, mask: fixed)
    one_hot = functional.one_hot(targets, outputs).float()
    soft = 0.3 * one_hot + 0.7 * one_hot[fixed.partners]
    expected = functional.cross_entropy(found.model.encode(fixed.embedded, None).logits["label"], soft)
    torch.testing.assert_close(found(batch_of(targets), {"task": {}}, 0).total, expected)


def test_row_weights_go_with_the_targets_they_belong_to():
    targets, weight = torch.tensor([0, 1, 1, 0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    seen: list[Batch] = []

    def watch(state, step):
        seen.append(step.batch)
        return step.output.features.sum() * 0, state

    fixed = Mixed(rows_of(0.1, 0.2, 0.3, 0.4, places=3, width=16), None, torch.tensor([3, 2, 0, 1]), 0.6)
    found = trainable(LossTerm(lambda model: {}, watch), 2, lambda embedded, mask: fixed)
    plain = batch_of(targets)
    found(Batch(plain.inputs, plain.targets, {"weight": weight}), {"task": {}}, 0)
    assert [one.extra["weight"].tolist() for one in seen] == [[1, 2, 3, 4], [4, 3, 1, 2]]
    assert [one.targets["label"].tolist() for one in seen] == [[0, 1, 1, 0], [0, 1, 0, 1]]


def test_a_term_that_runs_the_model_again_does_so_under_the_mixtures_mask():
    both = torch.tensor([[1, 1, 1], [1, 1, 0]] * 2)
    fixed = Mixed(torch.randn(4, 3, 16), both, torch.tensor([1, 0, 3, 2]), 0.5)
    moved: list[torch.Tensor] = []

    def again(state, step):
        moved.append((step.rerun(step.embedded).output.logit() - step.output.logit()).detach())
        return step.output.features.sum() * 0, state

    found = trainable(LossTerm(lambda model: {}, again), 2, lambda embedded, mask: fixed)
    found(batch_of(torch.tensor([0, 1, 0, 1])), {"task": {}}, 0)
    assert all(float(one.abs().max()) < 1e-6 for one in moved)


def mixing_loop(folder, **settings):
    loop = toy_loop(folder, plan=PLAN, **settings)
    loop.bare.mixing = mixup(0.4)
    return loop


def test_a_run_that_mixes_and_was_stopped_ends_bit_for_bit_as_an_undisturbed_one(tmp_path):
    whole, plain = mixing_loop(tmp_path / "whole"), toy_loop(tmp_path / "plain", plan=PLAN, rows=toy_rows())
    whole.run()
    plain.run()
    assert not same(weights(whole), weights(plain)), "mixing changes what is learned"
    for step in (1, 4, 9):
        with pytest.raises(Interrupted):
            mixing_loop(tmp_path / str(step), callbacks=[StopAt(step, signal.SIGTERM)]).run()
        resumed = mixing_loop(tmp_path / str(step))
        resumed.run()
        assert same(weights(resumed), weights(whole)), f"weights differ after a stop at step {step}"
