"""Which rows go into which batch: every row once an epoch, little padding, a bounded cost."""

from collections.abc import Sequence

import numpy as np

from underlay.core import stream

POOL = 50
"""Batches sorted together: long enough to kill padding, short enough to keep the order random."""


def plan_epoch(
    lengths: np.ndarray, *, batch_tokens: int, batch_rows: int, seed: int, epoch: int
) -> tuple[np.ndarray, ...]:
    """Batches of one epoch as row indices; a function of its arguments alone, so a resumed run repeats it.

    Rows are shuffled, sorted by length inside pools of some `POOL` batches, cut, and the batches shuffled.

    Args:
        lengths: Positions each row takes, `[N]`, >= 1.
        batch_tokens: Most positions in a batch, padding included; a longer row stands alone.
        batch_rows: Most rows in a batch.
        seed: The run's seed.
        epoch: Which epoch, from 0.

    >>> [batch.tolist() for batch in plan_epoch(np.array([3, 1, 2]), batch_tokens=4, batch_rows=8, seed=0, epoch=0)]
    [[1, 2], [0]]
    """
    rng = stream(seed, f"batches/{epoch}")
    order = rng.permutation(len(lengths))
    rows_a_pool = max(1, POOL * min(batch_rows, max(1, batch_tokens // max(1, int(np.mean(lengths))))))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), rows_a_pool):
        pool = order[start : start + rows_a_pool]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches.extend(cut(pool, lengths, batch_tokens=batch_tokens, batch_rows=batch_rows))
    return tuple(batches[index] for index in rng.permutation(len(batches)))


def plan_sweep(lengths: np.ndarray, *, batch_tokens: int, batch_rows: int) -> tuple[np.ndarray, ...]:
    """Batches for one pass without learning: all rows, shortest first, each once."""
    order = np.argsort(lengths, kind="stable")
    return tuple(cut(order, lengths, batch_tokens=batch_tokens, batch_rows=batch_rows))


def cut(rows: np.ndarray, lengths: np.ndarray, *, batch_tokens: int, batch_rows: int) -> Sequence[np.ndarray]:
    """Cut rows that stand in order of length into batches within both limits."""
    batches, start = [], 0
    for end in range(1, len(rows) + 1):
        full = end == len(rows) or (
            (end - start + 1) * int(lengths[rows[end]]) > batch_tokens or end - start == batch_rows
        )
        if full:
            batches.append(rows[start:end])
            start = end
    return batches
