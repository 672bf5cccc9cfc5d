"""Figures of rankings: by hand, against scikit-learn, and the opponents that learn no order."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_similarity

from underlay.bundle.ranked import likeliest
from underlay.core import Target
from underlay.evaluate import Baseline, Ranked, blocks, examine, measure, next_item_baselines, ranks_of
from underlay.evaluate.next_item_baselines import counted, neighbours

NAMES = tuple(f"i{at:02d}" for at in range(30))
TARGET = Target("next item", "next-item", NAMES)


def one_hot(truth):
    return np.eye(len(NAMES))[truth]


def test_by_hand():
    scores = np.zeros((4, 30))
    scores[:, :12] = np.arange(12, 0, -1)  # items 0, 1, 2, ... are ranked first, second, third
    found = measure(TARGET, scores, np.array([0, 2, 11, -1]))
    assert found["hr@10"].value == 0.5
    assert found["ndcg@10"].value == pytest.approx((1 + 0.5) / 4)
    assert found["mrr"].value == pytest.approx((1 + 1 / 3 + 1 / 12 + 0) / 4)


def test_ndcg_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.random((200, 30)), rng.integers(0, 30, 200)
    assert measure(TARGET, scores, truth)["ndcg@10"].value == pytest.approx(ndcg_score(one_hot(truth), scores, k=10))


def test_a_rank_is_the_place_in_the_sorted_list_and_the_true_one_stands_last_among_equals():
    rng = np.random.default_rng(1)
    scores, truth = rng.random((50, 30)), rng.integers(0, 30, 50)
    slow = [1 + sorted(row, reverse=True).index(row[label]) for row, label in zip(scores, truth, strict=True)]
    assert ranks_of(scores, truth).tolist() == slow
    assert ranks_of(np.ones((1, 30)), np.array([0])).tolist() == [30.0]
    assert measure(TARGET, np.ones((9, 30)), np.zeros(9, int))["hr@10"].value == 0.0


def test_an_item_that_training_has_not_seen_is_a_miss_and_a_row_that_asks_nothing_does_not_count():
    scores = one_hot([3, 4, 5])
    assert measure(TARGET, scores, np.array([3, -1, -100]))["hr@10"].value == 0.5
    shown = examine(TARGET, scores, np.array([3, -1, -100]), values={"item": [["a"], ["b"], ["c"]]})
    assert shown.count == 2
    assert any("1 rows (50.0 %) ask for an item that training has not seen" in note for note in shown.notes)
    assert [one.truth for one in shown.mistakes] == ["(never seen in training)"]


def test_intervals_hold_their_value_and_grow_smaller_with_rows():
    rng = np.random.default_rng(0)
    widths = []
    for rows in (50, 800):
        scores, truth = rng.random((rows, 30)), rng.integers(0, 30, rows)
        one = measure(TARGET, scores, truth)["ndcg@10"]
        assert one.low <= one.value <= one.high
        widths.append(one.high - one.low)
    assert widths[1] < widths[0] / 2


def test_the_likeliest_labels_come_in_order_and_the_first_of_equals_first():
    scores = np.array([[0.1, 0.4, 0.1, 0.4]])
    assert likeliest(scores, 3).tolist() == [[1, 3, 0]]


def test_neighbours_are_summed_cosines_of_columns():
    rng = np.random.default_rng(0)
    taught, asked = rng.random((40, 12)) < 0.3, rng.random((7, 12)) < 0.3
    cosines = cosine_similarity(taught.T.astype(float))
    np.fill_diagonal(cosines, 0.0)
    found = neighbours(sparse.csr_matrix(taught.astype(float)), sparse.csr_matrix(asked.astype(float)))
    np.testing.assert_allclose(found, asked.astype(float) @ cosines, atol=1e-9)


def test_counts_leave_out_what_is_hidden_or_unknown():
    assert counted([["i00", None, "i00", "x"], []], {"i00": 0, "i01": 1}).toarray().tolist() == [[2.0, 0.0], [0.0, 0.0]]


def test_popularity_ranks_by_count_and_neighbours_by_company_and_neither_answers_what_is_barred():
    taught = [["i00", "i01"], ["i00", "i02"], ["i00", "i01"], ["i03", "i04"]]
    truth = np.array([1, 4])
    popular, near = next_item_baselines(
        TARGET, taught, [["i00"], ["i03"]], truth, barred=[["i00"], ["i03"]], resamples=200
    )
    assert popular.name == "Popularity"
    assert popular.scores.best[0] == 1  # the first is more popular, and barred
    assert popular.scores.places.tolist()[0] == 1.0
    assert near.scores.places.tolist() == [1.0, 1.0]
    assert near.scores.best.tolist() == [1, 4]


@pytest.mark.parametrize("rows", [0, 1, 7, 50])
def test_rankings_measured_block_by_block_are_those_of_all_scores_at_once(rows, monkeypatch):
    monkeypatch.setattr("underlay.evaluate.ranked.CELLS", 90)  # three rows
    rng = np.random.default_rng(2)
    scores, truth = rng.random((rows, 30)), rng.integers(-1, 30, rows)
    parts = blocks(rows, 30)
    assert [one.stop - one.start for one in parts] == [3] * (rows // 3) + [rows % 3] * (rows % 3 > 0 or rows == 0)
    kept = Ranked.joined(Ranked.of(scores[part], truth[part]) for part in parts)
    assert len(kept) == rows
    assert measure(TARGET, kept, truth) == measure(TARGET, scores, truth)
    if rows > 1:
        shown = {"values": {"item": [["a"]] * rows}, "columns": {"kind": ["x", "y"] * (rows // 2) + ["x"] * (rows % 2)}}
        other = Baseline("other", measure(TARGET, kept, truth), kept, 0.0, 1)
        one, all_at_once = (examine(TARGET, given, truth, **shown, opponents=[other]) for given in (kept, scores))
        assert one == all_at_once
        assert one.mistakes


def test_no_more_than_a_block_of_scores_is_made_by_the_opponents(monkeypatch):
    monkeypatch.setattr("underlay.evaluate.ranked.CELLS", 60)
    rng = np.random.default_rng(3)
    rows = [[NAMES[at] for at in rng.integers(30, size=6)] for _ in range(40)]
    truth, barred = rng.integers(-1, 30, 40), [row[:1] for row in rows]
    seen = []
    whole = Ranked.of
    monkeypatch.setattr(Ranked, "of", lambda scores, truth: seen.append(scores.shape) or whole(scores, truth))
    blockwise = next_item_baselines(TARGET, rows, rows, truth, barred=barred, resamples=50)
    assert set(seen) == {(2, 30)}
    monkeypatch.setattr("underlay.evaluate.ranked.CELLS", 1 << 22)
    at_once = next_item_baselines(TARGET, rows, rows, truth, barred=barred, resamples=50)
    for one, other in zip(blockwise, at_once, strict=True):
        assert one.metrics == other.metrics
        assert one.scores.places.tolist() == other.scores.places.tolist()
