"""Fewer weights that are not zero: the same tensors, trained for a short while as their zeros come."""

import math
from dataclasses import replace
from pathlib import Path

from underlay.compress.sparse import SETTLED, masked, packed, settle
from underlay.strategies.candidate import Candidate, answered, loaded
from underlay.strategies.smaller import objective_of, recovered, recovery


def sparsified(candidate: Candidate, *, ratio: float, kind: str, folder: Path) -> Candidate:
    """The same model with a share of zeros in each large matrix.

    Args:
        candidate: Before; stays as it is.
        ratio: Share of each matrix that goes.
        kind: What a weight is ranked by; see `compress.sparse.KINDS`.
        folder: Of the training's state.

    Raises:
        UsageError: The kind or the share is none, or there is nothing to take from.
    """
    measured = candidate.measured
    measured.say.phase("sparsity", f"training while {ratio:.0%} of the weights go, by {kind}".replace("%", " %"))
    before = measured.learned.model.state_dict()
    model, train = loaded(measured.config, before), recovery(measured.recipe, len(candidate.rows[0])).train
    # Batches that end at a number of positions are more than these: the share is then reached a little earlier.
    batches = int(train.epochs) * math.ceil(len(candidate.rows[0]) / train.batch_rows)
    masked(model, ratio=ratio, kind=kind, passes=int(SETTLED * batches))
    learned = recovered(measured, candidate.rows, model, objective=objective_of(measured), folder=folder)
    zeros, total = settle(model)
    sizes = packed(before), packed(model.state_dict())
    told = {"ratio": ratio, "by": kind, "zeros": zeros, "weights": total, "packed": list(sizes)}
    measured.say.note(
        f"{zeros:,} of {total:,} weights of the trunk are zero; they are stored and multiplied like any other: packed, "
        f"all weights take {sizes[1] / 1e6:.1f} MB instead of {sizes[0] / 1e6:.1f}"
    )
    found = answered(model, candidate.rows[1], like=learned)
    return replace(candidate, measured=replace(measured, learned=found), facts={**candidate.facts, "sparsity": told})
