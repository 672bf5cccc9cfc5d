"""One training run with one seed: freeze, probe, cache, loop; gives back a model with its best weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from underlay.core import Batch, Model, Output, Rows, Schema, UsageError, ragged, stream
from underlay.models import FusedModel, SignalModel
from underlay.objectives import Objective, Step, build_objective
from underlay.strategies.fixed_heads import fit_fixed_heads, nothing_learns_below
from underlay.strategies.listening import Say
from underlay.strategies.recipe import Recipe
from underlay.strategies.resolve import PROBE_ROWS
from underlay.strategies.validation import validation_score
from underlay.train import (
    OPTIMIZERS,
    Asked,
    BatchMap,
    CachedRows,
    Callback,
    Checkpoints,
    EncodedRows,
    Features,
    HistoryFile,
    Loop,
    Mixing,
    MLflow,
    Observer,
    Plan,
    Ranks,
    RunState,
    TensorBoard,
    Trainable,
    UpperModel,
    WeightsAndBiases,
    cache_activations,
    fit_head,
    parameter_groups,
    sweep,
)

ALONE = Ranks()


@dataclass(frozen=True)
class Learned:
    """What one run gave.

    Args:
        model: With the weights of the best validation, in eval mode.
        state: Counters and history.
        validation_logits: By target, of the validation rows in their order, in scaled units; of a dense target an array
            a row, `[P, K]`, at the positions that have a label.
        validation_labels: By dense target: those labels, an array a row, `[P]`.
        averaged: The seeds whose weights were averaged; empty where one run is kept as it is.
    """

    model: SignalModel | FusedModel
    state: RunState
    validation_logits: dict[str, np.ndarray]
    validation_labels: dict[str, np.ndarray] = field(default_factory=dict)
    averaged: tuple[int, ...] = ()


def learn(
    model: SignalModel | FusedModel,
    rows: tuple[EncodedRows, EncodedRows],
    *,
    recipe: Recipe,
    schema: Schema,
    objective: Objective,
    folder: Path,
    say: Say,
    ranks: Ranks = ALONE,
    draw_from: Rows | None = None,
    callbacks: Sequence[Callback] = (),
    batch_maps: Sequence[BatchMap] = (),
    mixing: Mixing | None = None,
) -> Learned:
    """Train `model` on the first of `rows`, choosing by the second.

    Args:
        model: Weights loaded; changed in place.
        rows: Training and validation.
        recipe: Resolved.
        schema: Targets.
        objective: What is minimised.
        folder: Of this run's state.
        say: Told what happens.
        ranks: This process among those of the run.
        draw_from: What batches are drawn from in place of the training rows (augmented ones).
        callbacks: Further observers.
        batch_maps: Changes to batches.
        mixing: Makes mixtures of the rows of a batch.
    """
    accelerator = _accelerator(recipe.train.precision)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(folder / "checkpoints")
    freeze(model, int(recipe.train.freeze))
    model.eval()
    held_out: dict[str, Tensor] | None = None
    if recipe.train.probe and nothing_learns_below(model):
        say.phase("probe", f"fitting the head on fixed features of {len(rows[0]) + len(rows[1]):,} rows")
        held_out = fit_fixed_heads(model, rows, objective=objective, schema=schema, seed=recipe.seed, say=say)
    elif recipe.train.probe and not checkpoints.begun:
        say.phase("probe", "fitting the head on the frozen model")
        probe(model, rows[0], schema=schema, recipe=recipe, say=say, accelerator=accelerator)
    with ranks.main_first():
        learner, train, validation = _views(model, (draw_from or rows[0], rows[1]), recipe, folder, say)
    settings = recipe.train
    optimizer = OPTIMIZERS[settings.optimizer](
        parameter_groups(
            learner,
            layer_of=lambda name: model.layer_of(name.removeprefix("model.")),
            depth=model.depth,
            learning_rate=float(settings.learning_rate),
            head_factor=settings.head_factor,
            layer_decay=settings.layer_decay,
            weight_decay=settings.weight_decay,
        )
    )
    sweep_tokens = max(settings.batch_tokens, 8192)

    answered: list[tuple[list[float], Features]] = []

    def validate() -> tuple[list[float], dict[str, float]]:
        if held_out is not None:  # of heads that had not seen these rows
            return validation_score(schema, held_out, targets_of(validation))
        found = sweep(cast("Model", learner), validation, batch_tokens=sweep_tokens, device=accelerator.device)
        score, record = validation_score(schema, found.logits, targets_of(validation), asked=found.asked)
        answered[:] = [(score, found)]
        return score, record

    what = "a last pass over" if held_out is not None else "training on"
    say.phase("train", f"{what} {len(rows[0]):,} rows, choosing by {len(rows[1]):,}")
    state = Loop(
        Trainable(learner, objective, mixing),
        train,
        optimizer,
        learning_rate=float(settings.learning_rate),
        plan=_plan(recipe),
        validate=validate,
        checkpoints=checkpoints,
        callbacks=[*_trackers(recipe, folder), _Progress(say), *callbacks] if ranks.main else [],
        batch_maps=batch_maps,
        accelerator=accelerator,
    ).run()
    for refused in checkpoints.refused:
        say.warning(f"a damaged checkpoint was passed over: {refused}")
    model.to("cpu").eval()
    learner.eval()
    said: Features | None = None
    if held_out is not None:
        pass  # of heads that had not seen these rows
    elif answered and answered[0][0] == state.progress.best and accelerator.device.type == "cpu":
        said = answered[0][1]  # the last validation was the best: these very weights gave it
    else:
        said = sweep(cast("Model", learner), validation, batch_tokens=sweep_tokens)
    if said is None:
        return Learned(model, state, {target: values.numpy() for target, values in (held_out or {}).items()})
    labels = {target: ragged(row.long() for row in one.labels) for target, one in said.asked.items()}
    return Learned(model, state, logits_of(said), labels)


def logits_of(found: Features) -> dict[str, np.ndarray]:
    """What a sweep said of its rows, by target; of a dense one an array a row."""
    whole = {target: values.numpy() for target, values in found.logits.items()}
    return whole | {target: ragged(one.logits) for target, one in found.asked.items()}


def _accelerator(precision: str) -> Accelerator:
    """One of its own for each run: Accelerate keeps a state a process, and the next run may compute otherwise."""
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("train.precision is fp16 and there is no GPU", "bf16, fp32 and auto run on a CPU")
    AcceleratorState._reset_state()  # the processes of torchrun stay joined
    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no" if precision == "fp32" else precision)


def freeze(model: SignalModel | FusedModel, layers: int) -> None:
    """Stop the lowest `layers` from learning; 1 is the stem alone, and the heads learn however many they are."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(model.layer_of(name) >= min(layers, model.depth + 1))


def probe(
    model: SignalModel | FusedModel,
    rows: EncodedRows,
    *,
    schema: Schema,
    recipe: Recipe,
    say: Say,
    accelerator: Accelerator,
) -> None:
    """Fit the heads alone on features of at most `PROBE_ROWS` rows, for fine-tuning to start from.

    The features come in the precision of the training: a start need not be exact.
    """
    order = stream(recipe.seed, "probe").permutation(len(rows))[:PROBE_ROWS]
    chosen = rows.select(rows.rows[np.sort(order)])
    with accelerator.autocast():
        found = sweep(
            model,
            chosen,
            batch_tokens=8192,
            progress=lambda done, total: say.progress("probe", done=done / total),
            hidden=any(target.dense for target in schema.targets),
        )
    known = targets_of(chosen)
    for target in schema.targets:
        term = build_objective(None, schema_targets=[target])
        seen = found.asked.get(target.name)
        features, labels = (found.features, torch.from_numpy(known[target.name])) if seen is None else _positions(seen)

        def loss(
            logits: Tensor,
            name: str = target.name,
            term: Objective = term,
            features: Tensor = features,
            labels: Tensor = labels,
        ) -> Tensor:
            output = Output(features, features, {name: logits})
            return term(term.init(model), Step(Batch({}, {name: labels}), features, output, model, 0)).total

        torch.manual_seed(recipe.seed)
        fit_head(model.head(target.name), features, loss)


def _positions(asked: Asked) -> tuple[Tensor, Tensor]:
    """Vectors and labels of the positions asked, one under the other."""
    return torch.cat(asked.hidden), torch.cat(asked.labels).long()


def _views(
    model: SignalModel | FusedModel, rows: tuple[Rows, Rows], recipe: Recipe, folder: Path, say: Say
) -> tuple[nn.Module, Rows, Rows]:
    """The module that learns and the rows it reads: all of the model, or the layers above a cache."""
    start = min(int(recipe.train.freeze) - 1, model.depth)
    if not recipe.train.cache or start < 1 or isinstance(model, FusedModel):
        return model, rows[0], rows[1]
    if any(parameter.requires_grad for parameter in model.stems.parameters()):
        say.note("the frozen layers are not kept on disk: the stem below them starts from nothing and learns")
        return model, rows[0], rows[1]
    say.phase("cache", f"computing the {start} frozen layers once")
    cached: list[CachedRows] = []
    for part, chosen in zip(("train", "validation"), rows, strict=True):
        cached.append(
            cache_activations(
                model,
                chosen,
                stop=start,
                folder=folder / f"activations-{part}",
                batch_tokens=8192,
                progress=lambda done, total: say.progress("cache", done=done / total),
            )
        )
    return UpperModel(model, start), cached[0], cached[1]


def _plan(recipe: Recipe) -> Plan:
    settings = recipe.train
    return Plan(
        seed=recipe.seed,
        epochs=int(settings.epochs),
        batch_tokens=settings.batch_tokens,
        batch_rows=settings.batch_rows,
        accumulate=settings.accumulate,
        schedule=settings.schedule,
        warmup=settings.warmup,
        clip=settings.clip,
        early_stopping=int(settings.early_stopping),
        checkpoint_every=settings.checkpoint_every,
        nan_retries=settings.nan_retries,
        time_limit=settings.time_limit,
        keep=settings.keep,
    )


def targets_of(rows: Rows) -> dict[str, np.ndarray]:
    """The targets of the rows, as the loss sees them."""
    chosen = rows.rows if isinstance(rows, CachedRows) else rows
    assert isinstance(chosen, EncodedRows)
    return {name: values[chosen.rows] for name, values in chosen.targets.items()}


def tracked_name(folder: Path, *, seed: int) -> str:
    """What trackers show: the bundle's name and the seed.

    >>> tracked_name(Path("models/reviews.run"), seed=0)
    'reviews-0'
    """
    place = folder.resolve()
    run = place if place.name.endswith(".run") else place.parent  # each of several seeds has a folder in the run's
    return f"{run.name.removesuffix('.run')}-{seed}"


def _trackers(recipe: Recipe, folder: Path) -> list[Callback]:
    config: Mapping[str, Any] = recipe.model_dump(mode="json")["train"]
    name = tracked_name(folder, seed=recipe.seed)
    trackers: list[Callback] = [HistoryFile(folder / "history.jsonl")]
    if recipe.track.tensorboard:
        trackers.append(TensorBoard(folder / "tensorboard"))
    if recipe.track.wandb:
        trackers.append(WeightsAndBiases(folder / "wandb", name=name, config=config))
    if recipe.track.mlflow:
        trackers.append(MLflow(folder / "mlflow", name=name, config=config))
    return trackers


class _Progress(Observer):
    """Passes every step on to whoever listens."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def on_step(self, step: int, record: Mapping[str, float]) -> bool:
        """Tell loss, rate and time left."""
        self.say.progress("train", step=step, **record)
        return False

    def on_record(self, record: Mapping[str, float]) -> None:
        """Tell each validation."""
        if "epoch" in record:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in ("step", "epoch"))
            self.say.note(f"epoch {int(record['epoch'])}: validation {shown}")
