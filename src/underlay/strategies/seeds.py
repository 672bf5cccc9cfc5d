"""One recipe run with several seeds: the best run is kept, or the average of the weights of those that help."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import Tensor

from underlay.core import Model, Schema
from underlay.strategies.fixed_heads import nothing_learns_below
from underlay.strategies.learn import Learned, logits_of, targets_of
from underlay.strategies.listening import Say
from underlay.strategies.recipe import Recipe
from underlay.strategies.validation import validation_score
from underlay.train import EncodedRows, sweep


def run_seeds(
    recipe: Recipe,
    run: Callable[[Recipe, Path], Learned],
    *,
    validation: EncodedRows,
    schema: Schema,
    folder: Path,
    say: Say,
) -> Learned:
    """Run once for each seed; keep the run with the best validation, or a soup of them.

    Args:
        recipe: `train.seeds` says how many, `train.average` whether they are averaged.
        run: `(recipe with its seed, folder)` -> what it gave.
        validation: Rows that choose.
        schema: Targets.
        folder: Of the whole run's state.
        say: Told how the seeds compare.
    """
    if recipe.train.seeds == 1:
        return run(recipe, folder)
    seeds = range(recipe.seed, recipe.seed + recipe.train.seeds)
    learned = {seed: run(recipe.change({"seed": seed}), folder / f"seed-{seed}") for seed in seeds}
    scores = {seed: one.state.progress.best for seed, one in learned.items()}
    best_first = sorted(seeds, key=lambda seed: scores[seed], reverse=True)
    shown = ", ".join(f"{seed}: {score[0]:.4f}" for seed, score in scores.items())
    say.note(f"validation by seed: {shown}; seed {best_first[0]} is the best")
    best = learned[best_first[0]]
    if not recipe.train.average:
        return best
    if recipe.train.probe and nothing_learns_below(best.model):
        say.note("heads on fixed features have been fitted on all rows, so nothing is left that could judge an average")
        return best
    return soup({seed: learned[seed] for seed in best_first}, validation=validation, schema=schema, say=say)


def soup(learned: Mapping[int, Learned], *, validation: EncodedRows, schema: Schema, say: Say) -> Learned:
    """The average of the weights of the runs, each taken in where the average is then no worse on validation rows.

    It answers as fast as one of them. Runs that start from the same pretrained weights end near enough to one another
    to be averaged; of runs that start from nothing the average is worse, and the best one is what remains.

    Source: Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without
    increasing inference time, ICML 2022 (the greedy soup).

    Args:
        learned: By seed, the best first. The model of the first is changed in place.
        validation: Rows that choose.
        schema: Targets.
        say: Told which runs are in.
    """
    (first, best), *others = learned.items()
    weights: dict[int, Mapping[str, Tensor]] = {seed: one.model.state_dict() for seed, one in learned.items()}
    weights[first] = copied(weights[first])  # the other models stay as they are
    taken, kept = [first], best
    for seed, _ in others:
        best.model.load_state_dict(average([weights[one] for one in (*taken, seed)]))
        tried = judged(best, validation=validation, schema=schema)
        if tried.state.progress.best >= kept.state.progress.best:
            taken, kept = [*taken, seed], tried
    best.model.load_state_dict(average([weights[seed] for seed in taken]))
    if len(taken) == 1:
        say.note(f"no average with another seed is as good on validation rows: seed {first} alone is kept")
        return best
    named = ", ".join(map(str, sorted(taken)))
    say.note(f"the average of the weights of seeds {named} is kept: validation {kept.state.progress.best[0]:.4f}")
    return replace(kept, averaged=tuple(sorted(taken)))


def judged(learned: Learned, *, validation: EncodedRows, schema: Schema) -> Learned:
    """What `learned` would be with the weights its model has now."""
    found = sweep(cast("Model", learned.model), validation, batch_tokens=8192)
    score, _ = validation_score(schema, found.logits, targets_of(validation), asked=found.asked)
    state = replace(learned.state, progress=replace(learned.state.progress, best=score))
    return replace(learned, state=state, validation_logits=logits_of(found))


def average(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, summed in float64; whole numbers are the first's.

    >>> import torch
    >>> average([{"a": torch.tensor([1.0])}, {"a": torch.tensor([4.0])}])
    {'a': tensor([2.5000])}
    """
    return {
        name: sum(one[name].double() for one in weights).div(len(weights)).to(tensor.dtype)  # type: ignore[union-attr]
        if tensor.is_floating_point()
        else tensor
        for name, tensor in weights[0].items()
    }


def copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that a later load leaves as they are."""
    return {name: tensor.clone() for name, tensor in weights.items()}
