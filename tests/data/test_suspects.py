"""Confident learning, against cleanlab."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from underlay.data import infer_schema, open_table, out_of_fold, suspect_labels, suspects


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_suspects_are_those_of_cleanlab_in_its_order(classes, seed):
    filters = pytest.importorskip("cleanlab.filter")
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, 600)
    labels = np.where(rng.random(600) < 0.15, rng.integers(0, classes, 600), true)
    labels[:classes] = np.arange(classes)
    logits = 1.5 * np.eye(classes)[true] + rng.normal(size=(600, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = filters.find_label_issues(
        labels,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        min_examples_per_class=0,
        n_jobs=1,
    )
    found = suspect_labels(probabilities, labels)
    assert len(found) > 10
    assert found.tolist() == expected.tolist()


def test_unlabelled_rows_and_labels_without_rows_are_left_out():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.95, 0.05, 0.0]])
    assert suspect_labels(probabilities, np.array([0, 1, -100, 1])).tolist() == [3]


def test_turned_labels_are_found_from_the_other_rows():
    rng = np.random.default_rng(0)
    good, bad = ["fine", "lovely", "great", "quiet"], ["dull", "awful", "long", "loud"]
    labels = rng.integers(0, 2, 300)
    texts = [" ".join(rng.choice(good if label else bad, 6)) for label in labels]
    turned = rng.choice(300, 12, replace=False)
    given = labels.copy()
    given[turned] ^= 1
    table = open_table({"text": texts, "label": [("no", "yes")[label] for label in given]})
    rows, findings = suspects(table, infer_schema(table).schema, classical=TfidfVectorizer(), seed=0)
    assert set(rows.tolist()) <= set(turned.tolist())
    assert findings[0].count == len(rows) >= 11
    assert "rather" in findings[0].rows[0]


def test_out_of_fold_probabilities_are_the_same_for_the_same_seed_and_sum_to_one():
    texts = [f"word{number % 7} word{number % 3}" for number in range(60)]
    labels = np.array([number % 3 for number in range(59)] + [-100])
    one, other = (out_of_fold(texts, labels, classical=TfidfVectorizer(), seed=1) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.allclose(one.sum(axis=1), 1)
    assert np.allclose(one[59], 1 / 3)
