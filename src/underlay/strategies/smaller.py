"""Steps that make a model smaller: each takes everything a release is made from and gives the same of the new model."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from underlay.compress.importance import importance
from underlay.compress.pruning import choose, prune, require_prunable
from underlay.compress.vocabulary import shredded, trim_vocabulary
from underlay.core import Batch, derive_seed, stream
from underlay.models import FusedModel, SignalModel
from underlay.objectives import Objective, build_objective
from underlay.strategies import prepare
from underlay.strategies.candidate import Candidate, answered, loaded, parameters
from underlay.strategies.hiding import hiding_of
from underlay.strategies.learn import Learned, learn
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Measured
from underlay.strategies.resolve import FEWEST_STEPS
from underlay.train import EncodedRows, Trainable

IMPORTANCE_ROWS = 256
"""Training rows whose gradients are read: the order of the units changes little beyond them."""

RECOVERY_RATE = 0.5
"""Of the peak learning rate: the weights that stay are near where they shall be."""


def with_smaller_vocabulary(candidate: Candidate, *, words: Sequence[str], cache: Path) -> Candidate:
    """Only the entries that training rows and `words` take.

    Args:
        candidate: Before.
        words: That stay whole besides.
        cache: Folder for the rows as they are encoded now.

    Raises:
        UsageError: No column has a vocabulary, or it cannot be trimmed.
    """
    measured = candidate.measured
    data, before = measured.data, measured.modalities
    texts = {
        column.name: prepare.column_values(data.table, column.name, data.splits.train) for column in data.schema.columns
    }
    found = trim_vocabulary(before, measured.config, measured.learned.model.state_dict(), texts, words=words)
    part = "test" if len(data.splits.test) else "validation"
    told = {}
    for column, (was, now) in found.entries.items():
        lost = shredded(before[column], found.modalities[column], data.values(part, column))
        told[column] = {"entries": [was, now], "words": lost.words, "more": lost.more, "share": lost.share}
    measured.say.note("; ".join(_said_of_words(part, column, one) for column, one in told.items()))
    data, *rows = prepare.encode(data, found.modalities, cache=cache, say=measured.say)
    model = loaded(found.config, found.weights)
    learned = answered(model, rows[1], like=measured.learned)
    changed = replace(measured, data=data, modalities=found.modalities, config=found.config, learned=learned)
    return Candidate(changed, (rows[0], rows[1], rows[2]), {**candidate.facts, "vocabulary": told})


def _said_of_words(part: str, column: str, one: Mapping[str, Any]) -> str:
    was, now = one["entries"]
    return (
        f"{column!r}: {was:,} entries became {now:,}; {one['more']:,} of {one['words']:,} words of the {part} rows "
        f"({one['share']:.1%}) fall to more pieces".replace("%", " %")
    )


def pruned(candidate: Candidate, *, ratio: float, units: Sequence[str], folder: Path) -> Candidate:
    """Fewer units, and a short training for those that stay.

    Args:
        candidate: Before.
        ratio: Share of each kind of unit that goes.
        units: Kinds; see `compress.pruning.UNITS`.
        folder: Of the training's state.

    Raises:
        UsageError: The model has nothing of the kind, or the ratio is none.
    """
    smaller = cut(candidate, ratio=ratio, units=units)
    if ratio:
        return mended(smaller, folder=folder)
    same = smaller.measured.learned
    said = answered(same.model, smaller.rows[1], like=same)
    return Candidate(replace(smaller.measured, learned=said), smaller.rows, smaller.facts)


def cut(candidate: Candidate, *, ratio: float, units: Sequence[str]) -> Candidate:
    """Fewer units, those that stay as they were; what it says of validation rows is not asked yet.

    Args:
        candidate: Before.
        ratio: Share of each kind of unit that goes.
        units: Kinds; see `compress.pruning.UNITS`.

    Raises:
        UsageError: The model has nothing of the kind, or the ratio is none.
    """
    measured = candidate.measured
    require_prunable(measured.config)
    measured.say.phase("prune", f"reading what matters from the gradients of {IMPORTANCE_ROWS} rows at most")
    found = importance(measured.learned.model, _alone(candidate), _loss(measured.learned.model, objective_of(measured)))
    kept = {name: choose(one, ratio, units=units) for name, one in found.items()}
    config, weights = prune(measured.config, measured.learned.model.state_dict(), kept)
    model = loaded(config, weights)
    was, now = parameters(measured.learned.model), parameters(model)
    measured.say.note(f"{was:,} parameters became {now:,}")
    told = {"ratio": ratio, "units": list(units), "parameters": [was, now]}
    changed = replace(measured, config=config, learned=replace(measured.learned, model=model))
    return Candidate(changed, candidate.rows, {**candidate.facts, "pruning": told})


def mended(smaller: Candidate, *, folder: Path) -> Candidate:
    """What `cut` gave, after a short training.

    Args:
        smaller: What `cut` gave.
        folder: Of the training's state.
    """
    model = smaller.measured.learned.model
    objective = objective_of(smaller.measured)
    learned = recovered(smaller.measured, smaller.rows, model, objective=objective, folder=folder)
    told = {**smaller.facts["pruning"], "steps": learned.state.progress.step}
    changed = replace(smaller.measured, learned=learned)
    return Candidate(changed, smaller.rows, {**smaller.facts, "pruning": told})


def recovered(
    measured: Measured,
    rows: tuple[EncodedRows, EncodedRows, EncodedRows],
    model: SignalModel | FusedModel,
    *,
    objective: Objective,
    folder: Path,
) -> Learned:
    """The model after a short training on the same rows, chosen by the same validation rows."""
    recipe = recovery(measured.recipe, len(rows[0]))
    torch.set_num_threads(int(recipe.train.threads))
    return learn(
        model,
        rows[:2],
        recipe=recipe,
        schema=measured.data.schema,
        objective=objective,
        folder=folder,
        say=measured.say,
        batch_maps=hiding_of(recipe, measured.data.schema, measured.modalities),
    )


def recovery(recipe: Recipe, rows: int) -> Recipe:
    """The recipe of a short training of a model that was trained before.

    Args:
        recipe: Of the whole training.
        rows: That teach.
    """
    own = recipe.train
    passes = math.ceil(FEWEST_STEPS * own.batch_rows * own.accumulate / max(1, rows))
    return recipe.change(
        {
            "train": {
                "epochs": max(1, min(passes, int(own.epochs))),
                "learning_rate": RECOVERY_RATE * float(own.learning_rate),
                "freeze": min(1, int(own.freeze)),  # what lies below has lost units too
                "probe": False,  # the head is fitted already
                "cache": False,
                "seeds": 1,
                "early_stopping": 0,
                "time_limit": None,
            },
            "track": {"tensorboard": False, "wandb": False, "mlflow": False},
        }
    )


def objective_of(measured: Measured) -> Objective:
    """What the model was trained to minimise, without terms that read a teacher: there is none here."""
    terms = {
        name: term
        for name, term in measured.recipe.objective.items()
        if not str(term.get("name", "")).startswith("distil_")
    }
    return build_objective(
        terms, schema_targets=measured.data.schema.targets, class_weights=prepare.class_weights(measured.data)
    )


def _alone(candidate: Candidate) -> Iterator[Batch]:
    """Training rows, one a batch."""
    rows, measured = candidate.rows[0], candidate.measured
    order = stream(measured.recipe.seed, "importance").permutation(len(rows))[:IMPORTANCE_ROWS]
    generator = torch.Generator().manual_seed(derive_seed(measured.recipe.seed, "importance"))
    for row in np.sort(order):
        batch = rows.batch([int(row)]).map(torch.from_numpy)
        for change in hiding_of(measured.recipe, measured.data.schema, measured.modalities):
            batch = change(batch, generator)
        yield batch


def _loss(model: SignalModel | FusedModel, objective: Objective) -> Any:
    trained = Trainable(model, objective).eval()
    state = objective.init(trained.learner)
    return lambda batch: trained(batch, state, 0).total
