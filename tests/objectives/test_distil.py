"""The terms that read a teacher: against numbers by hand, slow loops in NumPy, and what every loss promises."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from underlay.core import Batch, DataError, MissingColumn, Output, RecipeError, Target, UsageError
from underlay.models.trunks.transformer import TransformerTrunk
from underlay.objectives import (
    FEATURES,
    HIDDEN,
    LOSSES,
    PROJECTION,
    LossTerm,
    Objective,
    Step,
    build_objective,
    cross_entropy,
    distil_hidden,
    distil_logits,
    distil_relations,
    logits_column,
)
from underlay.objectives.teacher import layer_column

LABELS = ("a", "b", "c")
TARGETS = {
    "binary": Target("label", "binary", LABELS[:2]),
    "multiclass": Target("label", "multiclass", LABELS),
    "multilabel": Target("label", "multilabel", LABELS),
    "regression": Target("label", "regression"),
}
CASES = [(name, task) for name in LOSSES if LOSSES[name].taught for task in LOSSES[name].tasks or [None]]


class Pupil(nn.Module):
    """Nothing but what a term may ask of a model: its parameters by name."""

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__()
        if weight is not None:
            bridge = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            bridge.weight = nn.Parameter(weight)
            setattr(self, PROJECTION, bridge)


def cost(
    term: LossTerm,
    said: Tensor,
    told: Tensor,
    *,
    weight: Tensor | None = None,
    model: nn.Module | None = None,
    hidden: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The loss of a batch; `said` are the student's logits and its pooled vectors, `told` the teacher's."""
    columns = {logits_column("label"): told, FEATURES: told, HIDDEN: told}
    batch = Batch({}, {}, columns if weight is None else {**columns, "weight": weight})
    places = said.unsqueeze(1) if hidden is None else hidden
    output = Output(places, said, {"label": said}, mask)
    value, state = term.loss(term.init(None), Step(batch, places, output, model or Pupil(), 0))
    assert state == {}
    return value


def term_for(name: str, task: str | None) -> LossTerm:
    target = TARGETS[task or "multiclass"]
    return build_objective({"distil": {"name": name}}, schema_targets=[target]).terms["distil"]


def example(task: str | None, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    outputs = 5 if task is None else TARGETS[task].outputs
    said, told = (2 * torch.randn(rows, outputs, generator=random) for _ in range(2))
    return said, told.log_softmax(-1) if task in ("binary", "multiclass") else told


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_the_divergence_of_two_coins_is_the_number_by_hand():
    """Teacher 0.8 to 0.2, student even, temperature 1: 0.8 ln 1.6 + 0.2 ln 0.4."""
    told = torch.tensor([[0.8, 0.2]]).log()
    got = cost(distil_logits(1.0), torch.zeros(1, 2), told)
    assert float(got) == pytest.approx(0.8 * math.log(1.6) + 0.2 * math.log(0.4), rel=1e-6)


@pytest.mark.parametrize("heat", [0.5, 1.0, 2.0, 8.0])
def test_softmax_divergence_is_that_of_a_slow_loop_at_any_temperature(heat):
    said, told = example("multiclass", 11, 0)
    total = 0.0
    for student, teacher in zip(said.double().numpy(), told.double().numpy(), strict=True):
        p, q = softmax(teacher / heat), softmax(student / heat)
        total += heat**2 * sum(p[k] * (math.log(p[k]) - math.log(q[k])) for k in range(3))
    assert float(cost(distil_logits(heat), said, told)) == pytest.approx(total / 11, rel=1e-4)


def test_sigmoid_divergence_is_that_of_a_slow_loop():
    said, told = example("multilabel", 7, 1)
    total = 0.0
    for s, t in zip(said.flatten().double().tolist(), told.flatten().double().tolist(), strict=True):
        p, q = 1 / (1 + math.exp(-t / 3)), 1 / (1 + math.exp(-s / 3))
        total += 9 * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    got = cost(distil_logits(3.0, task="multilabel"), said, told)
    assert float(got) == pytest.approx(total / 21, rel=1e-4)


def test_a_number_is_taught_by_its_square():
    said, told = torch.tensor([[1.0], [4.0]]), torch.tensor([[3.0], [4.5]])
    assert float(cost(distil_logits(task="regression"), said, told)) == pytest.approx((4 + 0.25) / 2)


@pytest.mark.parametrize("heat", [1.0, 4.0])
def test_at_one_temperature_the_gradient_is_that_of_cross_entropy_with_soft_targets(heat):
    said, told = example("multiclass", 6, 2)
    said.requires_grad_()
    soft = -(heat**2) * ((told / heat).softmax(-1) * (said / heat).log_softmax(-1)).sum(-1).mean()
    (expected,) = torch.autograd.grad(soft, said)
    (got,) = torch.autograd.grad(cost(distil_logits(heat), said, told), said)
    torch.testing.assert_close(got, expected)


def test_a_very_hot_teacher_is_matched_in_its_logits():
    """Hinton et al. 2015, eq. 4: as T grows, the gradient becomes that of (z - v)^2 / 2K of zero-mean logits."""
    said, told = (values - values.mean(-1, keepdim=True) for values in example("multiclass", 5, 3))
    said = said.double().requires_grad_()
    (got,) = torch.autograd.grad(cost(distil_logits(1000.0), said.float(), told), said)
    torch.testing.assert_close(got.float(), ((said - told) / 3 / 5).float(), rtol=5e-3, atol=1e-4)


def test_pooled_vectors_are_compared_by_their_mean_square():
    said, told = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [3.0, 0.0]])
    assert float(cost(distil_hidden(), said, told)) == pytest.approx((2.0 + 4.5) / 2)


def test_vectors_of_another_width_go_through_the_projection_and_teach_it():
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    model = Pupil(weight.clone())
    said, told = torch.randn(6, 3), torch.randn(6, 4)
    loss = cost(distil_hidden(), said, told, model=model)
    expected = np.mean((said.numpy() @ weight.numpy().T - told.numpy()) ** 2)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert getattr(model, PROJECTION).weight.grad.abs().max() > 0


def test_without_a_projection_another_width_is_refused_with_both():
    with pytest.raises(UsageError, match="student's vectors are 3 wide, the teacher's 4"):
        cost(distil_hidden(), torch.randn(6, 3), torch.randn(6, 4))


def test_positions_are_compared_one_by_one_and_every_row_weighs_the_same():
    hidden = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 2, 2, 2], [1, 0, 0, 0, 0]])
    told = torch.full((3, 6, 2), math.nan)
    rows = []
    for row in range(3):
        own = hidden[row][mask[row] > 0]
        teacher = own + 0.5 * torch.randn(own.shape, generator=torch.Generator().manual_seed(row))
        told[row, : len(own)] = teacher
        rows.append(np.mean((own.numpy() - teacher.numpy()) ** 2))
    got = cost(distil_hidden("positions"), torch.zeros(3, 2), told, hidden=hidden, mask=mask)
    assert float(got) == pytest.approx(np.mean(rows), rel=1e-5)
    weighed = cost(
        distil_hidden("positions"),
        torch.zeros(3, 2),
        told,
        hidden=hidden,
        mask=mask,
        weight=torch.tensor([0.0, 3.0, 1.0]),
    )
    assert float(weighed) == pytest.approx((3 * rows[1] + rows[2]) / 4, rel=1e-5)


def test_a_row_whose_positions_the_teacher_could_not_read_costs_nothing():
    hidden = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(4), requires_grad=True)
    told = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(5))
    told[1] = math.nan
    got = cost(distil_hidden("positions"), torch.zeros(3, 2), told, hidden=hidden)
    torch.testing.assert_close(got, (hidden - told)[[0, 2]].square().mean())
    (gradient,) = torch.autograd.grad(got, hidden)
    assert not gradient[1].any()
    assert gradient.isfinite().all()


def test_positions_that_slip_are_refused():
    told = torch.randn(2, 4, 2)
    with pytest.raises(DataError, match=r"the teacher has \[4, 4\] positions in these rows, the student \[3, 3\]"):
        cost(distil_hidden("positions"), torch.zeros(2, 2), told, hidden=torch.randn(2, 3, 2))


def test_every_layer_is_compared_with_its_own_teacher_and_all_weigh_the_same():
    generator = torch.Generator().manual_seed(6)
    model = Pupil()
    model.trunk = TransformerTrunk(width=8, depth=3, heads=2, inner=16).eval()
    embedded, mask = torch.randn(2, 4, 8, generator=generator), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        behind = [model.trunk(embedded, mask, stop=layer) for layer in (1, 2)] + [model.trunk(embedded, mask)]
    told, expected = {}, 0.0
    for column, vectors in zip((layer_column(1), layer_column(2), HIDDEN), behind, strict=True):
        told[column] = torch.full((2, 4, 8), math.nan)
        for row, real in enumerate((4, 2)):
            told[column][row, :real] = torch.randn(real, 8, generator=generator)
            expected += float((vectors[row, :real] - told[column][row, :real]).square().mean()) / 2 / 3
    step = Step(Batch({}, {}, told), embedded, Output(behind[2], torch.zeros(2, 8), {}, mask), model, 0)
    term = distil_hidden("layers")
    got, _ = term.loss(term.init(model), step)
    assert float(got.detach()) == pytest.approx(expected, rel=1e-5)


def slow_relations(kind: str, vectors: np.ndarray) -> dict[tuple[int, ...], float]:
    count, found = len(vectors), {}
    if kind == "distance":
        for i in range(count):
            for j in range(count):
                if i != j:
                    found[i, j] = math.dist(vectors[i], vectors[j])
        mean = sum(found.values()) / len(found)
        return {pair: value / mean for pair, value in found.items()}
    for i in range(count):
        for j in range(count):
            for k in range(count):
                if len({i, j, k}) == 3:
                    one, two = vectors[i] - vectors[j], vectors[k] - vectors[j]
                    found[i, j, k] = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    return found


@pytest.mark.parametrize("kind", ["distance", "angle"])
def test_relations_are_those_of_slow_loops_over_pairs_and_triples(kind):
    said, told = torch.randn(6, 3), 5 * torch.randn(6, 8)  # of any width
    student, teacher = (slow_relations(kind, one.double().numpy()) for one in (said, told))
    total = 0.0
    for key, value in student.items():
        apart = abs(value - teacher[key])
        total += apart**2 / 2 if apart <= 1 else apart - 0.5
    assert float(cost(distil_relations(kind), said, told)) == pytest.approx(total / len(student), rel=1e-4)


@pytest.mark.parametrize("kind", ["distance", "angle"])
def test_relations_do_not_see_a_turn_a_shift_or_another_scale(kind):
    said = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(3)))
    told = 3 * said @ turn + 2
    assert float(cost(distil_relations(kind), said, told)) == pytest.approx(0.0, abs=1e-9)
    assert float(cost(distil_relations(kind), said, torch.randn(7, 4))) > 1e-3


@pytest.mark.parametrize("kind", ["distance", "angle"])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_batch_with_too_few_rows_to_compare_costs_nothing(kind, rows):
    said = torch.randn(rows, 3, requires_grad=True)
    value = cost(distil_relations(kind), said, torch.randn(rows, 3))
    (gradient,) = torch.autograd.grad(value, said)
    assert float(value.detach()) == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("kind", ["distance", "angle"])
def test_rows_that_are_the_same_have_finite_gradients(kind):
    said = torch.ones(4, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(cost(distil_relations(kind), said, torch.ones(4, 3)), said)
    assert gradient.isfinite().all()


def test_relations_are_coupled_so_that_gradients_are_not_accumulated_over_small_batches():
    objective = Objective({"task": cross_entropy(), "near": distil_relations(), "soft": distil_logits()})
    assert objective.coupled == ("near",)


@pytest.mark.parametrize(("name", "task"), CASES)
@settings(deadline=None, max_examples=30)
@given(rows=st.integers(3, 12), seed=st.integers(0, 99))
def test_a_taught_loss_does_not_depend_on_the_order_of_the_rows(name, task, rows, seed):
    said, told = example(task, rows, seed)
    random = torch.Generator().manual_seed(seed)
    weight, order = torch.rand(rows, generator=random) + 0.1, torch.randperm(rows, generator=random)
    term = term_for(name, task)
    torch.testing.assert_close(
        cost(term, said[order], told[order], weight=weight[order]), cost(term, said, told, weight=weight)
    )


@pytest.mark.parametrize(("name", "task"), CASES)
@settings(deadline=None, max_examples=30)
@given(rows=st.integers(3, 12), seed=st.integers(0, 99))
def test_rows_the_teacher_could_not_read_cost_nothing_and_teach_nothing(name, task, rows, seed):
    said, told = example(task, rows + 2, seed)
    term = term_for(name, task)
    alone = cost(term, said[:rows], told[:rows])
    told[rows:] = math.nan
    said.requires_grad_()
    together = cost(term, said, told)
    (gradient,) = torch.autograd.grad(together, said)
    torch.testing.assert_close(together.detach(), alone)
    assert not gradient[rows:].any()
    assert gradient[:rows].isfinite().all()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_batch_the_teacher_could_not_read_costs_zero_with_zero_gradient(name, task):
    said, told = example(task, 4, 8)
    said.requires_grad_()
    value = cost(term_for(name, task), said, torch.full_like(told, math.nan))
    (gradient,) = torch.autograd.grad(value, said)
    assert float(value.detach()) == 0.0
    assert not gradient.any()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_row_of_weight_zero_is_a_row_that_is_not_there(name, task):
    said, told = example(task, 6, 9)
    weight = torch.ones(6)
    weight[0] = 0.0
    term = term_for(name, task)
    torch.testing.assert_close(cost(term, said, told, weight=weight), cost(term, said[1:], told[1:]))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_who_says_what_the_teacher_says_costs_nothing(name, task):
    _, told = example(task, 6, 10)
    assert float(cost(term_for(name, task), told.clone(), told)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("name", "task"), CASES)
@pytest.mark.parametrize("size", [0.0, 1e2, 1e4])
def test_taught_losses_and_gradients_are_finite_at_extreme_logits(name, task, size):
    said, told = example(task, 4, 11)
    said = torch.zeros_like(said)
    said[..., 0], told[..., 0] = size, -size
    said.requires_grad_()
    value = cost(term_for(name, task), said, told)
    (gradient,) = torch.autograd.grad(value, said)
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("name", "task"), CASES)
def test_half_precision_is_summed_in_single(name, task):
    said, told = example(task, 16, 12)
    got = cost(term_for(name, task), said.bfloat16(), told)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, cost(term_for(name, task), said.bfloat16().float(), told))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_gradient_step_brings_the_student_nearer(name, task):
    said, told = example(task, 16, 13)
    said.requires_grad_()
    term = term_for(name, task)
    before = cost(term, said, told)
    (gradient,) = torch.autograd.grad(before, said)
    assert cost(term, said - 0.1 * gradient, told) < before


def test_labels_are_not_looked_at():
    said, told = example("binary", 4, 14)
    truths = [torch.tensor([0, 1, 0, 1]), torch.full((4,), -100)]
    found = []
    for truth in truths:
        batch = Batch({}, {"label": truth}, {logits_column("label"): told})
        step = Step(batch, said.unsqueeze(1), Output(said.unsqueeze(1), said, {"label": said}), Pupil(), 0)
        found.append(distil_logits().loss({}, step)[0])
    assert torch.equal(*found)


def test_a_batch_without_a_teacher_names_the_column_that_is_missing():
    said, _ = example("binary", 4, 15)
    step = Step(Batch({}), said.unsqueeze(1), Output(said.unsqueeze(1), said, {"label": said}), Pupil(), 0)
    with pytest.raises(MissingColumn, match=r"teacher\.logits\.label"):
        distil_logits().loss({}, step)
    with pytest.raises(MissingColumn, match=r"teacher\.features"):
        distil_relations().loss({}, step)


def test_answers_to_other_labels_are_refused_with_both_shapes():
    with pytest.raises(DataError, match=r"teacher's answers have the shape \[2, 4\], the student's \[2, 3\]"):
        cost(distil_logits(), torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distil_logits(0), "temperature is 0 — give a finite number > 0"),
        (lambda: distil_logits(math.inf), "temperature is inf"),
        (lambda: distil_logits(2.0, task="regression"), "the target is a number, which has none — leave it out"),
        (lambda: distil_hidden("position"), "at is 'position' — did you mean 'positions'"),
        (lambda: distil_relations("distances"), "kind is 'distances' — did you mean 'distance'"),
    ],
)
def test_an_impossible_argument_is_refused_with_its_value(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_a_recipe_tells_the_term_its_task_and_asks_vectors_for_no_target():
    targets = [TARGETS["multilabel"], Target("stars", "regression")]
    recipe = {"a": {"name": "distil_logits", "target": "label"}, "b": {"name": "distil_relations", "kind": "angle"}}
    terms = build_objective(recipe, schema_targets=targets).terms
    said, told = example("multilabel", 5, 16)
    torch.testing.assert_close(cost(terms["a"], said, told), cost(distil_logits(task="multilabel"), said, told))
    assert terms["b"].coupled
    for wrong in ({"name": "distil_logits", "task": "binary"}, {"name": "distil_hidden", "target": "label"}):
        with pytest.raises(RecipeError, match="has no argument"):
            build_objective({"x": wrong}, schema_targets=[TARGETS["binary"]])
    with pytest.raises(RecipeError, match="reads binary or multiclass or multilabel or regression"):
        build_objective({"x": {"name": "distil_logits"}}, schema_targets=[Target("label", "tagging", LABELS)])
