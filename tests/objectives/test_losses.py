"""Each loss against torch, scikit-learn or a slow loop, and the properties that all losses share."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import Tensor
from torch.nn import functional

from underlay.core import Batch, DataError, MissingColumn, Output, Target, UsageError
from underlay.objectives import (
    LOSSES,
    LossTerm,
    Step,
    binary_cross_entropy,
    build_objective,
    cross_entropy,
    focal,
    squared_error,
)

LABELS = ("a", "b", "c")
TARGETS = {
    "binary": Target("label", "binary", LABELS[:2]),
    "multiclass": Target("label", "multiclass", LABELS),
    "multilabel": Target("label", "multilabel", LABELS),
    "regression": Target("label", "regression"),
    "tagging": Target("label", "tagging", LABELS),
    "next-item": Target("label", "next-item", LABELS),
}
POSITIONS = 4
NO_LABELS = "r_drop.v1"
CASES = [
    (name, task) for name in LOSSES if not LOSSES[name].taught and name != NO_LABELS for task in LOSSES[name].tasks
]
"""Terms that read no labels: see test_distil.py and test_r_drop.py."""


def cost(term: LossTerm, logits: Tensor, truth: Tensor, weight: Tensor | None = None) -> Tensor:
    """The loss of a batch whose single target has exactly these logits."""
    batch = Batch({}, {"label": truth}, {} if weight is None else {"weight": weight})
    hidden = logits.unsqueeze(1)
    step = Step(batch, hidden, Output(hidden, logits, {"label": logits}), model=None, number=0)
    value, state = term.loss(term.init(None), step)
    assert state == {}
    return value


def term_for(name: str, task: str) -> LossTerm:
    return build_objective({"task": {"name": name}}, schema_targets=[TARGETS[task]]).terms["task"]


def example(task: str, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Logits and truth of `rows` labelled rows."""
    random = torch.Generator().manual_seed(seed)
    outputs = TARGETS[task].outputs
    if TARGETS[task].dense:  # the first position of a row has a label, some of the others have none
        logits = 3 * torch.randn(rows, POSITIONS, outputs, generator=random)
        truth = torch.randint(0, outputs, (rows, POSITIONS), generator=random)
        spared = torch.rand(rows, POSITIONS, generator=random) < 0.4
        spared[:, 0] = False
        return logits, truth.masked_fill(spared, -100)
    logits = 3 * torch.randn(rows, outputs, generator=random)
    if task == "regression":
        return logits, torch.randn(rows, generator=random)
    if task == "multilabel":
        return logits, torch.randint(0, 2, (rows, outputs), generator=random).float()
    return logits, torch.randint(0, outputs, (rows,), generator=random)


def unlabelled(task: str, like: Tensor) -> Tensor:
    return torch.full_like(like, math.nan if task == "regression" else -100)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(0, 99), st.sampled_from([0.0, 0.1, 0.5]), st.booleans())
def test_cross_entropy_is_what_torch_gives_with_smoothing_class_weights_and_ignored_rows(rows, seed, smooth, weigh):
    logits, labels = example("multiclass", rows, seed)
    labels[1::3] = -100  # the first row stays labelled: torch gives NaN where none is
    weights = [0.5, 2.0, 1.0] if weigh else None
    expected = functional.cross_entropy(
        logits, labels, torch.tensor(weights) if weigh else None, label_smoothing=smooth
    )
    got = cost(cross_entropy(smooth, class_weights=weights), logits, labels)
    torch.testing.assert_close(got, expected)


def test_cross_entropy_of_two_classes_is_scikit_learns_log_loss_with_sample_weights():
    logits, labels = example("binary", 50, 1)
    weight = torch.rand(50)
    expected = log_loss(labels, logits.double().softmax(-1), sample_weight=weight)
    assert float(cost(cross_entropy(), logits, labels, weight)) == pytest.approx(expected, rel=1e-5)


def test_focal_is_the_papers_formula_in_a_slow_loop():
    logits, labels = example("multiclass", 12, 2)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(value) for value in row)
        total += -((1 - p) ** 2) * math.log(p)
    assert float(cost(focal(2.0), logits, labels)) == pytest.approx(total / 12, rel=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(0, 99))
def test_focal_with_gamma_zero_is_cross_entropy(rows, seed):
    logits, labels = example("multiclass", rows, seed)
    weights = [1.0, 3.0, 0.5]
    torch.testing.assert_close(
        cost(focal(0.0, class_weights=weights), logits, labels),
        cost(cross_entropy(class_weights=weights), logits, labels),
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_falls_below_cross_entropy_most_where_the_row_is_easy(gamma):
    easy, hard = torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 4.0, 0.0]])
    label = torch.tensor([0])
    shrink = [float(cost(focal(gamma), x, label) / cost(cross_entropy(), x, label)) for x in (easy, hard)]
    assert shrink[0] < 0.3 < 0.9 < shrink[1] < 1


def test_focal_gradient_is_that_of_the_slow_formula():
    logits, labels = example("multiclass", 6, 3)
    logits = logits.double().requires_grad_()
    p = logits.softmax(-1).gather(1, labels[:, None]).squeeze(1)
    (expected,) = torch.autograd.grad((-((1 - p) ** 1.5) * p.log()).mean(), logits)
    (got,) = torch.autograd.grad(cost(focal(1.5), logits, labels), logits)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_binary_cross_entropy_is_what_torch_gives_over_the_labelled_cells():
    logits, truth = example("multilabel", 9, 4)
    truth[0, 1] = truth[3] = -100
    keep = truth != -100
    expected = functional.binary_cross_entropy_with_logits(logits[keep], truth[keep])
    torch.testing.assert_close(cost(binary_cross_entropy(), logits, truth), expected)


def test_binary_cross_entropy_takes_integer_targets_and_weighs_the_yes_of_each_label():
    logits, truth = example("multilabel", 9, 5)
    yes = [1.0, 4.0, 0.5]
    expected = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=torch.tensor(yes))
    torch.testing.assert_close(cost(binary_cross_entropy(positive_weights=yes), logits, truth.long()), expected)


def test_smoothed_binary_cross_entropy_is_least_at_the_smoothed_probability():
    logits = torch.tensor([[math.log(0.95 / 0.05), math.log(0.05 / 0.95)]], requires_grad=True)
    (gradient,) = torch.autograd.grad(cost(binary_cross_entropy(0.1), logits, torch.tensor([[1.0, 0.0]])), logits)
    torch.testing.assert_close(gradient, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_squared_error_is_torchs_and_leaves_out_rows_that_are_not_numbers():
    logits, truth = example("regression", 7, 6)
    truth[2] = math.nan
    keep = ~truth.isnan()
    expected = functional.mse_loss(logits[keep].squeeze(1), truth[keep])
    torch.testing.assert_close(cost(squared_error(), logits, truth), expected)


def test_class_weights_of_a_row_and_row_weights_multiply():
    logits, labels = example("multiclass", 8, 7)
    by_class, weight = torch.tensor([1.0, 2.0, 3.0]), torch.rand(8) + 0.1
    both = weight * by_class[labels]
    expected = (functional.cross_entropy(logits, labels, reduction="none") * both).sum() / both.sum()
    torch.testing.assert_close(cost(cross_entropy(class_weights=[1.0, 2.0, 3.0]), logits, labels, weight), expected)


@pytest.mark.parametrize(("name", "task"), CASES)
@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 16), seed=st.integers(0, 99))
def test_a_loss_does_not_depend_on_the_order_of_the_rows(name, task, rows, seed):
    logits, truth = example(task, rows, seed)
    weight = torch.rand(rows, generator=torch.Generator().manual_seed(seed)) + 0.1
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    term = term_for(name, task)
    torch.testing.assert_close(
        cost(term, logits[order], truth[order], weight[order]), cost(term, logits, truth, weight)
    )


@pytest.mark.parametrize(("name", "task"), CASES)
@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 16), seed=st.integers(0, 99))
def test_unlabelled_rows_cost_nothing_and_teach_nothing(name, task, rows, seed):
    logits, truth = example(task, rows + 2, seed)
    term = term_for(name, task)
    alone = cost(term, logits[:rows], truth[:rows])
    truth[rows:] = unlabelled(task, truth[rows:])
    logits.requires_grad_()
    together = cost(term, logits, truth)
    (gradient,) = torch.autograd.grad(together, logits)
    torch.testing.assert_close(together.detach(), alone)
    assert not gradient[rows:].any()
    assert gradient[:rows].isfinite().all()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_batch_without_a_label_costs_zero_with_zero_gradient(name, task):
    logits, truth = example(task, 4, 8)
    logits.requires_grad_()
    value = cost(term_for(name, task), logits, unlabelled(task, truth))
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(value.detach()) == 0.0
    assert not gradient.any()


@pytest.mark.parametrize(("name", "task"), CASES)
@settings(deadline=None, max_examples=40)
@given(rows=st.integers(2, 10), seed=st.integers(0, 99))
def test_a_row_of_weight_zero_is_a_row_that_is_not_there_and_a_double_row_weighs_two(name, task, rows, seed):
    logits, truth = example(task, rows, seed)
    term = term_for(name, task)
    weight = torch.ones(rows)
    weight[0], weight[1] = 0.0, 2.0
    twice = [1, *range(1, rows)]
    torch.testing.assert_close(cost(term, logits, truth, weight), cost(term, logits[twice], truth[twice]))


@pytest.mark.parametrize(("name", "task"), CASES)
@pytest.mark.parametrize("size", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_losses_and_gradients_are_finite_at_extreme_logits(name, task, size, sign):
    logits, truth = example(task, 3, 9)
    logits = torch.zeros_like(logits)
    logits[..., 0] = sign * size
    logits.requires_grad_()
    value = cost(term_for(name, task), logits, truth)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 5.0])
def test_focal_gradient_is_finite_where_the_label_is_certain(gamma):
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]], requires_grad=True)
    (gradient,) = torch.autograd.grad(cost(focal(gamma), logits, torch.tensor([0, 0])), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_half_precision_logits_are_summed_in_single(name, task):
    logits, truth = example(task, 64, 10)
    got = cost(term_for(name, task), logits.bfloat16(), truth)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, cost(term_for(name, task), logits.bfloat16().float(), truth))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_gradient_step_along_the_loss_lowers_it(name, task):
    logits, truth = example(task, 16, 11)
    logits.requires_grad_()
    term = term_for(name, task)
    before = cost(term, logits, truth)
    (gradient,) = torch.autograd.grad(before, logits)
    assert cost(term, logits - 0.1 * gradient, truth) < before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cross_entropy(1.0), "label_smoothing is 1.0 — give a number from 0 to below 1"),
        (lambda: cross_entropy("a little"), "label_smoothing is 'a little' — give a number"),
        (
            lambda: cross_entropy(class_weights=[1.0, math.nan]),
            r"class_weights\[1\] is nan — give a finite",
        ),
        (lambda: cross_entropy(class_weights="balanced"), "class_weights is 'balanced' — give one number a class"),
        (lambda: cross_entropy(class_weights=[0.0, 0.0]), "at least one must be above 0"),
        (lambda: focal(-2), "gamma is -2 — give a finite number >= 0"),
        (lambda: binary_cross_entropy(True), "label_smoothing is True"),
    ],
)
def test_an_impossible_argument_is_refused_with_its_value(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_row_weights_of_another_shape_are_refused_with_both_shapes():
    logits, labels = example("multiclass", 4, 12)
    with pytest.raises(DataError, match=r"the column 'weight' has the shape \[3\] for 4 rows"):
        cost(cross_entropy(), logits, labels, torch.ones(3))


def test_a_target_that_is_not_there_is_named():
    logits, labels = example("multiclass", 4, 13)
    with pytest.raises(MissingColumn, match="did you mean 'label'"):
        cost(cross_entropy(target="labels"), logits, labels)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_loss_of_positions_is_the_loss_of_as_many_rows(name):
    """Weights of rows and of classes included: a slow loop over the labelled positions."""
    logits, labels = example("tagging", 9, 4)
    weight = torch.rand(9)
    term = {"cross_entropy": cross_entropy, "focal": focal}[name](class_weights=[1.0, 3.0, 0.5])
    flat = [
        (logits[row, place], labels[row, place], weight[row])
        for row in range(9)
        for place in range(POSITIONS)
        if labels[row, place] >= 0
    ]
    one_by_one = [torch.stack(part) for part in zip(*flat, strict=True)]
    torch.testing.assert_close(cost(term, logits, labels, weight), cost(term, *one_by_one))


def test_a_row_whose_positions_are_all_unlabelled_costs_nothing():
    logits, labels = example("tagging", 5, 5)
    more = torch.cat([labels, torch.full((2, POSITIONS), -100)])
    torch.testing.assert_close(
        cost(cross_entropy(), logits, labels),
        cost(cross_entropy(), torch.cat([logits, torch.randn(2, POSITIONS, 3)]), more),
    )
