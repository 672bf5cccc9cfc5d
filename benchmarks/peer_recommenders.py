"""Recommenders that learn no order, on rows of one user each: popularity, item-kNN, and ALS and BPR of `implicit`.

All rank every item but those that the user has; each is tuned on the validation items by NDCG@10, then fitted once on
training and validation items together and asked for the test items. An item that was not there in fitting is a miss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

CUT = 10
ALS = {"factors": [32, 64, 128], "regularization": [0.01, 0.1], "alpha": [1.0, 10.0]}
BPR = {"factors": [32, 64], "learning_rate": [0.01], "regularization": [0.001, 0.01]}
NEIGHBOURS = {"neighbours": [20, 50, 0], "shrink": [0.0, 50.0]}
"""What validation items chose among before: wider grids (alpha to 40, rates to 0.05, 100 to 1,000 neighbours) held
nothing better; of BPR eleven of eighteen settings were tried."""
ITERATIONS = {"ALS": 15, "BPR": 150}

Scores = Callable[[sparse.csr_matrix], np.ndarray]
"""Rows of users (what they have) -> scores of all items, `[N, K]`."""


@dataclass(frozen=True)
class Histories:
    """Who had what, and what came last.

    Args:
        taught: Users x items of the training part, 0 and 1.
        validation: The item before the last of each user, -1 where training has not seen it.
        test: The last item, -1 where neither part has seen it.
    """

    taught: sparse.csr_matrix
    validation: np.ndarray
    test: np.ndarray

    @property
    def whole(self) -> sparse.csr_matrix:
        """Training and validation items."""
        rows = np.flatnonzero(self.validation >= 0)
        shape = self.taught.shape
        more = sparse.csr_matrix((np.ones(len(rows)), (rows, self.validation[rows])), shape=shape)
        return ((self.taught + more) > 0).astype(np.float32).tocsr()


def histories(users: Sequence[Any], items: Sequence[Any], parts: Sequence[str]) -> Histories:
    """From one row an event; items are numbered over all parts, so that a model can be asked for any.

    >>> found = histories([1, 1, 1, 1], ["a", "b", "c", "a"], ["train", "train", "validation", "test"])
    >>> found.taught.toarray().tolist(), found.validation.tolist(), found.test.tolist()
    ([[1.0, 1.0, 0.0]], [-1], [0])
    """
    who, what = (
        np.unique(np.asarray(users), return_inverse=True)[1],
        np.unique(np.asarray(items), return_inverse=True)[1],
    )
    part = np.asarray(parts)
    shape = (who.max() + 1, what.max() + 1)
    rows = part == "train"
    taught = sparse.csr_matrix((np.ones(rows.sum(), np.float32), (who[rows], what[rows])), shape=shape)
    taught.data[:] = 1.0
    seen = np.asarray(taught.sum(0)).ravel() > 0
    asked = {}
    for name in ("validation", "test"):
        asked[name] = np.full(shape[0], -1, np.int64)
        asked[name][who[part == name]] = what[part == name]
    asked["validation"] = np.where(seen[asked["validation"]], asked["validation"], -1)
    return Histories(taught, asked["validation"], asked["test"])


def gains(scores: np.ndarray, had: sparse.csr_matrix, truth: np.ndarray) -> dict[str, float]:
    """NDCG@10 and HR@10 over all items but those a user had; the true item stands last among equals.

    >>> had = sparse.csr_matrix(np.array([[1, 0, 0]]))
    >>> gains(np.array([[9.0, 1.0, 2.0]]), had, np.array([1]))["hr@10"]
    1.0
    """
    scores = scores.astype(np.float64).copy()
    own = np.take_along_axis(scores, np.maximum(truth, 0)[:, None], axis=1)
    fresh = np.asarray(had[np.arange(len(truth)), np.maximum(truth, 0)]).ravel() == 0
    scores[had.nonzero()] = -np.inf
    places = np.where((truth >= 0) & fresh, (scores >= own).sum(1), np.inf)
    within = places <= CUT
    return {
        f"ndcg@{CUT}": float(np.where(within, 1 / np.log2(1 + places), 0).mean()),
        f"hr@{CUT}": float(within.mean()),
    }


def popularity(taught: sparse.csr_matrix) -> Scores:
    """How many users have an item."""
    counts = np.asarray(taught.sum(0)).ravel()
    return lambda had: np.tile(counts, (had.shape[0], 1))


def item_knn(taught: sparse.csr_matrix, *, neighbours: int, shrink: float) -> Scores:
    """Sum of the cosines with a user's items, of the nearest `neighbours` of each (0: of all)."""
    common = np.asarray((taught.T @ taught).todense(), dtype=np.float32)
    norms = np.sqrt(np.diag(common))
    cosine = common / (np.outer(norms, norms) + shrink + 1e-9)
    np.fill_diagonal(cosine, 0.0)
    if neighbours:
        bound = np.partition(cosine, -neighbours, axis=1)[:, -neighbours, None]
        cosine[cosine < bound] = 0.0
    return lambda had: np.asarray(had @ cosine)


def als(taught: sparse.csr_matrix, *, seed: int, factors: int, regularization: float, alpha: float) -> Scores:
    """Weighted matrix factorisation (Hu, Koren and Volinsky, ICDM 2008)."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors, regularization=regularization, alpha=alpha, iterations=ITERATIONS["ALS"], random_state=seed,
        num_threads=1,
    )  # fmt: skip
    model.fit(taught, show_progress=False)
    return lambda had: np.asarray(model.user_factors) @ np.asarray(model.item_factors).T


def bpr(taught: sparse.csr_matrix, *, seed: int, factors: int, learning_rate: float, regularization: float) -> Scores:
    """Bayesian personalised ranking (Rendle et al., UAI 2009)."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, learning_rate=learning_rate, regularization=regularization, iterations=ITERATIONS["BPR"],
        random_state=seed, num_threads=1,
    )  # fmt: skip
    model.fit(taught, show_progress=False)
    return lambda had: np.asarray(model.user_factors) @ np.asarray(model.item_factors).T


def grid(options: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination.

    >>> grid({"a": [1, 2], "b": [3]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def tuned(data: Histories, *, seed: int) -> dict[str, dict[str, Any]]:
    """The test figures of each peer, with what validation chose and the validation NDCG@10 of the choice."""
    peers: dict[str, tuple[Callable[..., Scores], list[dict[str, Any]]]] = {
        "popularity": (popularity, [{}]),
        "item-kNN": (item_knn, grid(NEIGHBOURS)),
        "ALS": (lambda taught, **options: als(taught, seed=seed, **options), grid(ALS)),
        "BPR": (lambda taught, **options: bpr(taught, seed=seed, **options), grid(BPR)),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, (build, choices) in peers.items():
        scored = [
            (gains(build(data.taught, **one)(data.taught), data.taught, data.validation)[f"ndcg@{CUT}"], at)
            for at, one in enumerate(choices)
        ]
        best, at = max(scored, key=lambda pair: (pair[0], -pair[1]))
        measured = gains(build(data.whole, **choices[at])(data.whole), data.whole, data.test)
        found[name] = {**measured, "validation": best, "chosen": choices[at], "tried": len(choices)}
    return found
