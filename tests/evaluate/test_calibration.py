"""Temperature, reliability bins and the calibration error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.evaluate import fit_temperature, negative_log_likelihood, reliability, to_probabilities


def logits_of(rows: int, labels: int, *, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, labels)) * 2
    chance = to_probabilities(logits)
    truth = np.array([rng.choice(labels, p=row) for row in chance])
    return logits * scale, truth


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_the_temperature_is_that_of_an_exhaustive_search(scale: float) -> None:
    logits, truth = logits_of(400, 4, seed=0, scale=scale)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4000))
    losses = [negative_log_likelihood(logits / one, truth) for one in grid]
    assert fit_temperature(logits, truth) == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)
    assert fit_temperature(logits, truth) == pytest.approx(scale, rel=0.2)


def test_a_multilabel_temperature_is_that_of_an_exhaustive_search() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(300, 5)) * 2
    truth = (rng.random((300, 5)) < to_probabilities(logits, multilabel=True)).astype(int)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 4000))
    losses = [negative_log_likelihood(3 * logits / one, truth) for one in grid]
    assert fit_temperature(3 * logits, truth) == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(0, 40), labels=st.integers(2, 5), seed=st.integers(0, 2**32), scale=st.floats(0.01, 100))
def test_the_likelihood_is_never_worse_than_uncalibrated(rows: int, labels: int, seed: int, scale: float) -> None:
    logits, truth = logits_of(rows, labels, seed=seed, scale=scale)
    temperature = fit_temperature(logits, truth.astype(int).reshape(-1))
    assert 0.05 <= temperature <= 20
    if rows:
        assert negative_log_likelihood(logits / temperature, truth) <= negative_log_likelihood(logits, truth) + 1e-12


def test_a_validation_split_without_a_mistake_leaves_the_temperature_at_one() -> None:
    assert fit_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])) == 1.0


def test_temperature_changes_no_decision() -> None:
    logits, truth = logits_of(200, 3, seed=2, scale=5.0)
    after = to_probabilities(logits, fit_temperature(logits, truth))
    assert (after.argmax(1) == logits.argmax(1)).all()


def test_the_calibration_error_is_that_of_a_slow_loop() -> None:
    rng = np.random.default_rng(3)
    confidence, right = np.append(rng.random(300), [0.0, 1.0]), rng.random(302) < 0.7
    slow = 0.0
    for k in range(15):
        inside = (confidence >= k / 15) & ((confidence < (k + 1) / 15) | (k == 14))
        if inside.any():
            slow += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = reliability(confidence, right)
    assert found.ece == pytest.approx(slow)
    assert sum(found.count) == 302
    assert np.dot(found.count, found.accuracy) == pytest.approx(right.sum())
    assert np.dot(found.count, found.confidence) == pytest.approx(confidence.sum())


def test_confidence_that_means_what_it_says_has_no_error() -> None:
    assert reliability(np.full(4, 0.75), np.array([1, 1, 1, 0])).ece == pytest.approx(0.0)
    assert reliability(np.zeros(0), np.zeros(0)).ece == 0.0
