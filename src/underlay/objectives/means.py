"""One loss a row, or a position -> one loss a batch: weighted, and blind to what is unlabelled."""

from torch import Tensor

from underlay.core import Batch, DataError

UNLABELLED = -100
"""The class index, or multilabel cell, of a row without a label."""

ROW_WEIGHT = "weight"
"""The extra column that says how much a row counts."""


def row_weights(batch: Batch, like: Tensor) -> Tensor:
    """How much each row counts, `[B]`: the batch's extra column `weight`, or ones.

    Args:
        batch: The examples.
        like: `[B, ...]`, whose type and device the weights get.

    Raises:
        DataError: The column is not one number a row.
    """
    if ROW_WEIGHT not in batch.extra:
        return like.new_ones(like.shape[0])
    weights: Tensor = batch.extra[ROW_WEIGHT]
    if weights.shape != like.shape[:1]:
        raise DataError(
            f"the column 'weight' has the shape {list(weights.shape)} for {like.shape[0]} rows",
            "give one number a row",
        )
    return weights.to(like)


def position_weights(batch: Batch, like: Tensor) -> Tensor:
    """`row_weights`, shaped to be multiplied with one number a row `[B]` or a position `[B, L]`.

    Args:
        batch: The examples.
        like: The losses.
    """
    return row_weights(batch, like).reshape(-1, *[1] * (like.ndim - 1))


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """`sum(losses) / sum(weights)`, where `losses` are weighted already; 0 where nothing counts.

    The zero keeps its gradient (0), so that a batch without a label is a step like any other.
    """
    total = weights.sum()
    return losses.sum() / total.where(total > 0, total.new_ones(()))
