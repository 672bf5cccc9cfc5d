"""Distillation, from a teacher bundle to a student's: fine-tuning in which the teacher's answers are learned besides.

Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from underlay.bundle import Bundle
from underlay.core import Listener, UsageError
from underlay.objectives import build_objective
from underlay.strategies import prepare
from underlay.strategies.checks import check_data
from underlay.strategies.fine_tune import (
    Clock,
    FineTuned,
    bytes_needed,
    drawn,
    finished,
    resolve_run,
    with_precision,
)
from underlay.strategies.learn import learn
from underlay.strategies.listening import Say
from underlay.strategies.mixing import mixing_of
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Lineage, Measured, release
from underlay.strategies.run_folder import RunFolder
from underlay.strategies.seeds import run_seeds
from underlay.strategies.students import Student
from underlay.strategies.teacher_terms import require_same_labels, with_teacher_terms
from underlay.strategies.teaching import seal_of, teach
from underlay.train import Callback, Ranks, run_lock


def distil(
    teacher: Bundle | Sequence[Bundle],
    source: Any,
    *,
    student: Recipe,
    unlabelled: Any = None,
    out: str | Path | None = None,
    test: Any = None,
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
    callbacks: Sequence[Callback] = (),
) -> FineTuned:
    """Fine-tune a student on labels and on what the teacher says, measure it on test rows, publish its bundle.

    What the recipe leaves open is the teacher's: targets, task, columns, and the way each column is read (tokenizer and
    length), unless `model.read` or `model.max_length` says otherwise, or the student's trunk comes with a tokenizer.
    `model.trunk: teacher` with `model.options: {layers: N}` starts from N of the teacher's own layers; `student_recipe`
    makes such recipes from a word. Without an objective the recipe gets the usual loss on labels and `distil_logits`
    beside it; one with terms of its own has to name at least one that reads the teacher.

    Args:
        teacher: A bundle that stands on disk, or several: of these the mean of their calibrated log-probabilities
            teaches.
        source: Labelled rows, as `fine_tune` reads them; split as the recipe says.
        student: Recipe of the student; `student_recipe("bag")`.
        unlabelled: Further rows without labels, which the teacher alone teaches; in the form of `source`.
        out: Where the bundle will stand, with its run state in `OUT.run`; a temporary folder where None.
        test: Test data of its own.
        resume: Go on from the newest valid checkpoint of an unfinished run, with the answers the teacher gave then.
        force: Replace what stands at `out`.
        listener: Told what happens.
        callbacks: Observers.

    Raises:
        UsageError: `other_labels`: the data's labels are not the teacher's in the same order; the target has a label
            a unit; a term asks for vectors that several teachers, or one without PyTorch, do not give.
        UnderlayError: Anything else a person can act on, as `fine_tune`.
    """
    teachers = (teacher,) if isinstance(teacher, Bundle) else tuple(teacher)
    if Ranks.join().count > 1:
        raise UsageError("distillation runs in one process; torchrun started several", "start it without torchrun")
    say, run, clock = Say(listener), RunFolder.at(out), Clock()
    if resume and run.finished:
        return finished(run, say)
    run.open(resume=resume, force=force)
    with run_lock(run.state):
        cache, begun = run.state / "cache", run.recipe if resume else None
        chosen = Student.of(begun or student, teachers)
        with clock("read"):
            say.phase("read", "reading")
            data = prepare.read(source, chosen.recipe, test=test, cache=cache, say=say)
            run.require_same_data({**data.digests, "teacher": " ".join(map(seal_of, teachers))})
            require_same_labels(teachers, data.schema)
            recipe = with_teacher_terms(chosen.recipe, data.schema)
            assembly = chosen.assemble(recipe, data, say=say)
        with clock("encode"):
            say.phase("encode", "encoding")
            kept = run.modalities if begun else chosen.reading(data.schema, assembly, say=say)
            modalities = prepare.fit_modalities(data, assembly, recipe, kept=kept, say=say)
            data, *rows = prepare.encode(data, modalities, cache=cache, say=say)
        with clock("check"):
            say.phase("check", "checking")
            checked = check_data(data, modalities, rows[0], recipe, say=say)
        with clock("teach"):
            say.phase("teach", "asking the teacher")
            config = chosen.configure(assembly, modalities, data.schema, recipe)
            lesson = teach(
                teachers, data, rows[0], recipe=recipe, config=config, unlabelled=unlabelled, cache=cache, say=say
            )
            run.require_same_data(lesson.digests)
        mixing = mixing_of(recipe, assembly, config, schema=data.schema)
        if begun is None:
            resolved = resolve_run(recipe, data, assembly, modalities, lesson.rows)
            resolved = with_precision(resolved, lambda seed: chosen.build(assembly, config, seed=seed), data, rows[0])
            run.keep(resolved, {"data": lesson.digests, "trunks": dict(assembly.reasons)}, modalities)
        recipe = run.recipe or recipe
        assembly = replace(assembly, reasons=run.kept("trunks") or {})
        torch.set_num_threads(int(recipe.train.threads))
        run.require_space(bytes_needed(assembly, recipe, (lesson.rows, *rows[1:])))
        objective = build_objective(
            recipe.objective, schema_targets=data.schema.targets, class_weights=prepare.class_weights(data)
        )
        with clock("train"):
            learned = run_seeds(
                recipe,
                lambda seeded, folder: learn(
                    chosen.build(assembly, config, seed=seeded.seed, taught_width=lesson.width),
                    (lesson.rows, rows[1]),
                    recipe=seeded,
                    schema=data.schema,
                    objective=objective,
                    folder=folder,
                    say=say,
                    draw_from=drawn(recipe, lesson.rows, lesson.values),
                    callbacks=callbacks,
                    mixing=mixing,
                ),
                validation=rows[1],
                schema=data.schema,
                folder=run.state,
                say=say,
            )
        data.table.require_unchanged()
        chosen.dismiss(learned.model)
        lineage = Lineage(lesson.seals[0], lesson.facts, lesson.told)
        measured = Measured(data, modalities, assembly, config, learned, recipe, checked, clock.seconds, say, lineage)
        bundle, report = release(measured, run, force=force)
        return FineTuned(bundle, report, recipe, clock.seconds)
