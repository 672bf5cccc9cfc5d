"""Fine-tuning, from a data source to a bundle that stands on disk: read top to bottom."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from underlay.bundle import Bundle, open_bundle
from underlay.core import Listener, Modality, Rows
from underlay.data import column_rows
from underlay.evaluate import ReportData
from underlay.objectives import Objective, build_objective
from underlay.strategies import prepare
from underlay.strategies.assembly import Assembly, assemble
from underlay.strategies.checks import check_data
from underlay.strategies.hiding import hiding_of
from underlay.strategies.learn import learn
from underlay.strategies.listening import Say
from underlay.strategies.mixing import mixing_of
from underlay.strategies.precision import precision_of
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Measured, read_report, release
from underlay.strategies.resolve import device_of, resolve_recipe
from underlay.strategies.run_folder import RunFolder
from underlay.strategies.seeds import run_seeds
from underlay.strategies.suited import suited
from underlay.train import AugmentedRows, BatchMap, Callback, EncodedRows, Ranks, RepeatedRows, run_lock


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning gave.

    Args:
        bundle: Opened from where it stands.
        report: What the report shows; None where a finished run was resumed and its report is gone.
        recipe: Resolved.
        seconds: By phase.
    """

    bundle: Bundle
    report: ReportData | None
    recipe: Recipe
    seconds: Mapping[str, float] = field(default_factory=dict)


def fine_tune(
    source: Any,
    *,
    recipe: Recipe | None = None,
    out: str | Path | None = None,
    test: Any = None,
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
    objective: Objective | None = None,
    callbacks: Sequence[Callback] = (),
    batch_maps: Sequence[BatchMap] = (),
) -> FineTuned:
    """Fine-tune on `source`, measure on test rows, publish the bundle.

    Args:
        source: A path, `sample:NAME`, a data frame, or `(values, labels)`.
        recipe: Everything that decides the run; defaults where None.
        out: Where the bundle will stand, with its run state in `OUT.run`; a temporary folder where None.
        test: Test data of its own.
        resume: Go on from the newest valid checkpoint of an unfinished run.
        force: Replace what stands at `out`.
        listener: Told what happens.
        objective: What is minimised, in place of the recipe's.
        callbacks: Observers.
        batch_maps: Changes to batches.

    Raises:
        UnderlayError: Anything a person can act on; see `core/errors.py`.
    """
    ranks = Ranks.join()
    say, run, clock = Say(listener if ranks.main else None), RunFolder.at(out), Clock()
    if resume and run.finished:
        return finished(run, say)
    if ranks.main:
        run.open(resume=resume, force=force)
    ranks.wait()
    with run_lock(run.state) if ranks.main else nullcontext():
        begun = run.recipe if resume else None
        if resume:
            say.note(f"going on with the run in {run.state}" if begun else "no checkpoint yet: starting afresh")
        recipe = begun or recipe or Recipe()
        with clock("read"), ranks.main_first():
            say.phase("read", "reading")
            data = prepare.read(source, recipe, test=test, cache=run.state / "cache", say=say)
            run.require_same_data(data.digests)
            assembly = assemble(recipe, data.schema, suited(data, recipe, say=say))
        with clock("encode"), ranks.main_first():
            say.phase("encode", "encoding")
            kept = run.modalities if begun else None
            modalities = prepare.fit_modalities(data, assembly, recipe, kept=kept, say=say)
            data, *rows = prepare.encode(data, modalities, cache=run.state / "cache", say=say)
        with clock("check"):
            say.phase("check", "checking")
            checked = check_data(data, modalities, rows[0], recipe, say=say)
        config = assembly.configure(modalities, data.schema, recipe)
        batch_maps = (*hiding_of(recipe, data.schema, modalities), *batch_maps)
        mixing = mixing_of(recipe, assembly, config, schema=data.schema)
        if begun is None and ranks.main:
            resolved = resolve_run(recipe, data, assembly, modalities, rows[0], processes=ranks.count)
            resolved = with_precision(resolved, lambda seed: assembly.build(config, seed=seed), data, rows[0])
            run.keep(resolved, {"data": data.digests, "trunks": dict(assembly.reasons)}, modalities)
        ranks.wait()
        recipe = run.recipe or recipe
        assembly = replace(assembly, reasons=run.kept("trunks") or {})
        torch.set_num_threads(int(recipe.train.threads))
        run.require_space(bytes_needed(assembly, recipe, rows))
        objective = objective or build_objective(
            recipe.objective, schema_targets=data.schema.targets, class_weights=prepare.class_weights(data)
        )
        with clock("train"):
            learned = run_seeds(
                recipe,
                lambda seeded, folder: learn(
                    assembly.build(config, seed=seeded.seed),
                    (rows[0], rows[1]),
                    recipe=seeded,
                    schema=data.schema,
                    objective=objective,
                    folder=folder,
                    say=say,
                    ranks=ranks,
                    draw_from=drawn(recipe, rows[0], partial(column_rows, data.table)),
                    callbacks=callbacks,
                    batch_maps=batch_maps,
                    mixing=mixing,
                ),
                validation=rows[1],
                schema=data.schema,
                folder=run.state,
                say=say,
            )
        data.table.require_unchanged()
        measured = Measured(data, modalities, assembly, config, learned, recipe, checked, clock.seconds, say)
        bundle, report = release(measured, run, force=force) if ranks.main else (None, None)
        ranks.wait()
        return FineTuned(bundle or open_bundle(run.out), report, recipe, clock.seconds)


def finished(run: RunFolder, say: Say) -> FineTuned:
    """What a run that has ended gave."""
    say.note(f"{run.out} is finished; nothing to do")
    bundle = open_bundle(run.out)
    return FineTuned(bundle, read_report(run), Recipe.check(bundle.provenance["recipe"]))


def with_precision(recipe: Recipe, build: Callable[[int], Any], data: Prepared, rows: EncodedRows) -> Recipe:
    """The recipe with the dtype that is faster on this machine, where it leaves that open.

    Args:
        recipe: Resolved but for that.
        build: Gives the model that is timed, of a seed.
        data: The rows.
        rows: Of training, encoded.
    """
    if recipe.train.precision != "auto":
        return recipe
    timed = build(recipe.seed)
    chosen = precision_of(timed, rows, schema=data.schema, recipe=recipe, device=device_of())
    return recipe.change({"train": {"precision": chosen}})


class Clock:
    """Seconds by phase.

    >>> clock = Clock()
    >>> with clock("read"):
    ...     pass
    >>> list(clock.seconds)
    ['read']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the body's time to `name`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


def resolve_run(
    recipe: Recipe,
    data: Prepared,
    assembly: Assembly,
    modalities: Mapping[str, Modality],
    rows: EncodedRows,
    *,
    processes: int = 1,
) -> Recipe:
    """The recipe of a run on these rows, every automatic choice but the precision made.

    Args:
        recipe: As the user gave it.
        data: Read and split.
        assembly: The trunks.
        modalities: Fitted, by column.
        rows: That teach.
        processes: That share this machine's cores.
    """
    longest = max(int(modality.facts().get("max_length", 0)) for modality in modalities.values())
    return resolve_recipe(
        recipe.change({"data": {"series": False, "events": None, **(data.table.gathered or {})}}),
        schema=data.schema,
        assembly=assembly,
        lengths=rows.lengths,
        max_length=longest,
        device=device_of(),
        processes=processes,
    )


def drawn(recipe: Recipe, rows: EncodedRows, values: Callable[[str, np.ndarray], Sequence[Any]]) -> Rows | None:
    """What batches are drawn from where the recipe asks for augmentation, or for each row more than once.

    Args:
        recipe: Resolved.
        rows: That teach.
        values: (column, row numbers of the store) -> raw values.
    """
    changed = None if recipe.train.augment == 0 else AugmentedRows(rows, values, recipe.train.augment)
    times = int(recipe.train.repeat)
    return changed if times == 1 else RepeatedRows(changed or rows, times)


def bytes_needed(assembly: Assembly, recipe: Recipe, rows: Iterable[EncodedRows]) -> int:
    """Two checkpoints (weights, best weights, two moments), the bundle twice, and the activation cache."""
    weights = assembly.weights_bytes
    cache = sum(int(part.lengths.sum()) for part in rows) * int(assembly.backbones[0].trunk.get("width", 256)) * 2
    return 2 * 4 * weights + 2 * weights + (cache if recipe.train.cache else 0)
