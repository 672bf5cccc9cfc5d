"""Sweeps answer in the order of the rows; the probed head is logistic regression."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.train.toy import CONFIG, ToyRows, toy_rows

from underlay.models import build
from underlay.train import fit_head, sweep

MODEL = build(CONFIG, seed=0).eval()


def rows_of(lengths):
    rng = np.random.default_rng(0)
    return ToyRows([rng.integers(1, 50, length) for length in lengths], np.zeros(len(lengths), np.int64), [])


@settings(max_examples=20)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=25), st.integers(16, 200))
def test_a_sweep_answers_in_the_order_of_the_rows_whatever_their_lengths(lengths, batch_tokens):
    rows = rows_of(lengths)
    found = sweep(MODEL, rows, batch_tokens=batch_tokens)
    for row in range(len(lengths)):
        alone = sweep(MODEL, rows_of(lengths[: row + 1]), batch_tokens=1)  # every row in a batch of its own
        torch.testing.assert_close(found.logits["label"][row], alone.logits["label"][row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.features[row], alone.features[row], rtol=1e-4, atol=1e-5)
        if row > 3:
            break


def test_a_sweep_tells_how_far_it_is_and_leaves_no_gradient():
    told, rows = [], toy_rows(40)
    found = sweep(MODEL, rows, batch_tokens=64, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (rows.lengths.sum(),) * 2
    assert not found.features.requires_grad
    assert sorted(row for batch in rows.seen for row in batch) == list(range(40))


def blobs(classes):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, classes, 200)
    features = (rng.normal(size=(classes, 8))[labels] + rng.normal(size=(200, 8))).astype(np.float32)
    return torch.from_numpy(features), torch.from_numpy(labels)


@pytest.mark.parametrize("penalty", [1e-3, 1e-2, 1e-1])
def test_the_fitted_head_is_scikit_learns_logistic_regression_of_the_same_penalty(penalty):
    features, labels = blobs(3)
    head = torch.nn.Linear(8, 3)
    fit_head(head, features, lambda logits: torch.nn.functional.cross_entropy(logits, labels), penalty=penalty)
    # Ours is the mean loss plus a penalty on weights and biases alike: the bias is one more weight on a column of 1.
    peer = LogisticRegression(C=1 / (2 * penalty * 200), fit_intercept=False, max_iter=5000, tol=1e-8)
    peer.fit(np.hstack([features.numpy(), np.ones((200, 1), np.float32)]), labels.numpy())
    np.testing.assert_allclose(head.weight.detach().numpy(), peer.coef_[:, :-1], atol=1e-2)
    np.testing.assert_allclose(head.bias.detach().numpy(), peer.coef_[:, -1], atol=1e-2)


def test_the_probe_ends_better_than_it_started_and_separable_classes_stay_finite():
    features = torch.cat([torch.full((20, 4), -1.0), torch.full((20, 4), 1.0)])
    labels = torch.tensor([0] * 20 + [1] * 20)
    head = torch.nn.Linear(4, 2)

    def loss(logits):
        return torch.nn.functional.cross_entropy(logits, labels)

    before = loss(head(features)).item()
    fit_head(head, features, loss)
    assert loss(head(features)).item() < 0.2 * before
    assert float(head.weight.detach().abs().max()) < 10
    assert all(parameter.grad is None for parameter in head.parameters()), "no gradient is left for the optimiser"


def test_a_head_with_dropout_is_fitted_without_it():
    features, labels = blobs(2)
    torch.manual_seed(0)
    head = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
    twin = torch.nn.Linear(8, 2)
    twin.load_state_dict(head[1].state_dict())
    for module in (head, twin):
        fit_head(module, features, lambda logits: torch.nn.functional.cross_entropy(logits, labels))
    torch.testing.assert_close(head[1].weight, twin.weight)
