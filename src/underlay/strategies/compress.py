"""A bundle -> a smaller or faster one that has proved how little it lost: read top to bottom."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from underlay.bundle import Bundle, open_bundle
from underlay.bundle.refreshing import refresh
from underlay.bundle.sealing import refuse_existing
from underlay.bundle.torch_backend import TorchBackend
from underlay.compress import Exported, export
from underlay.compress.loss import Judge, Labelled
from underlay.compress.pruning import UNITS
from underlay.core import GateNotMet, Listener, UsageError, nearest
from underlay.models import Backbone, FusedModel, SignalModel
from underlay.strategies import prepare
from underlay.strategies.assembly import JOINT, Assembly, Branch
from underlay.strategies.checks import check_data
from underlay.strategies.comparison import Line, compared
from underlay.strategies.distil import distil
from underlay.strategies.learn import Learned
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.read_again import Sources, read_again, sources_of
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Lineage, Measured, release
from underlay.strategies.run_folder import RunFolder
from underlay.strategies.smaller import Candidate, answered, pruned, with_smaller_vocabulary
from underlay.strategies.students import student_recipe
from underlay.strategies.trial import Trial, Tried
from underlay.train import RunState
from underlay.train.checkpoints import Progress

MAX_DROP = 0.5
"""Points of a target's key metric that may be lost, where nothing else is said."""

JUDGED = 2_000
"""Validation rows on which a loss is measured at most: an interval of a point either way."""


@dataclass(frozen=True)
class Wanted:
    """What is to be tried, in this order.

    Args:
        distil: The student that learns from the bundle, as `student_recipe` reads it; None: no student.
        vocabulary: Leave out entries that the training rows do not take.
        words: That stay whole besides.
        prune: Share of the units that go; 0: none.
        units: Which units; see `compress.pruning.UNITS`.
        int8: Eight bits, in an ONNX graph.
    """

    distil: str | None = None
    vocabulary: bool = False
    words: tuple[str, ...] = ()
    prune: float = 0.0
    units: tuple[str, ...] = ("heads", "inner")
    int8: bool = False

    def __post_init__(self) -> None:
        if not (self.distil or self.vocabulary or self.prune or self.int8):
            raise UsageError(
                "nothing is asked for", "give one or more of --distil STUDENT, --vocabulary, --prune RATIO, --int8"
            )
        if not 0 <= self.prune < 1:
            raise UsageError(f"--prune {self.prune:g} is no share", "give the share that goes, as 0.3")
        if self.words and not self.vocabulary:
            raise UsageError("words are given and the vocabulary is not trimmed", "add --vocabulary")
        if stray := [unit for unit in self.units if unit not in UNITS]:
            raise UsageError(f"--units names {stray[0]!r}", nearest(stray[0], UNITS))


@dataclass(frozen=True)
class Compressed:
    """What came out.

    Args:
        bundle: Opened from where it stands.
        steps: As they were tried.
        lines: The original and the result, measured in the same run.
    """

    bundle: Bundle
    steps: tuple[Tried, ...]
    lines: tuple[Line, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "path": str(self.bundle.path),
            "steps": [step.to_dict() for step in self.steps],
            "bundles": [line.to_dict() for line in self.lines],
        }


def compress(
    folder: str | Path,
    out: str | Path,
    *,
    wanted: Wanted,
    source: Any = None,
    test: Any = None,
    unlabelled: Any = None,
    max_drop: float = MAX_DROP,
    force: bool = False,
    seconds: float = 2.0,
    listener: Listener | None = None,
) -> Compressed:
    """Make a bundle smaller, measure it on the rows the original was measured on, publish it.

    A step that loses more than `max_drop` points on the validation rows is not kept. Calibration, thresholds, golden
    rows and the reference for drift are those of the new model.

    Args:
        folder: A bundle that PyTorch runs.
        out: Where the new one will stand, with its report in `OUT.run`.
        wanted: The steps.
        source: The data it was trained on; None: the one it names.
        test: Test data of its own, where it was measured on such.
        unlabelled: Further rows that the student learns from, without labels.
        max_drop: Points of each target's key metric that may be lost, of all steps together.
        force: Whether what stands at `out` goes.
        seconds: How long each bundle is timed.
        listener: Told what happens.

    Raises:
        GateNotMet: `max_drop`: no step keeps within it; nothing was written.
        UsageError: A step does not fit the bundle, or the data is not found.
        DataChanged: The data is not what it was.
    """
    if unlabelled is not None and wanted.distil is None:
        raise UsageError("unlabelled rows are for a student", "add --distil STUDENT")
    final, say = RunFolder.at(out), Say(listener)
    refuse_existing(final.out, force=force)
    original = open_bundle(folder)
    _model(original)
    with TemporaryDirectory(prefix="underlay-") as place:
        cache = Path(place) / "cache"
        say.phase("read", "reading the data again")
        sources = sources_of(original, source, test=test)
        data = read_again(original, sources, cache=cache, say=Say(None))
        candidate = start(original, data, cache=cache, say=say)
        judge = Judge.of(original, _validation(candidate.measured.data))
        trial = Trial(judge, max_drop, say)
        if wanted.distil is not None:
            student = taught(original, sources, wanted.distil, unlabelled=unlabelled, place=Path(place), say=say)
            candidate = trial.tried("distillation", candidate, student)
        if wanted.vocabulary:
            say.phase("vocabulary", "leaving out entries that no training row takes")
            step = partial(with_smaller_vocabulary, words=wanted.words, cache=cache)
            candidate = trial.tried("vocabulary", candidate, step(candidate))
        if wanted.prune:
            smaller = pruned(candidate, ratio=wanted.prune, units=wanted.units, folder=Path(place) / "pruning")
            candidate = trial.tried("pruning", candidate, smaller)
        graph = _in_eight_bits(candidate, trial, Path(place)) if wanted.int8 else None
        trial.require()
        measured = replace(candidate.measured, lineage=_lineage(original, trial))
        final.open(resume=False, force=force)
        if graph is None:
            bundle, _ = release(measured, final, force=force)
        else:
            bundle = _released(graph, measured, final, force=force)
        say.phase("time", f"timing {original.path} and {bundle.path}")
        return Compressed(bundle, tuple(trial.steps), compared([original, bundle], data, seconds=seconds))


def taught(
    teacher: Bundle, sources: Sources, student: str, *, unlabelled: Any = None, place: Path, say: Say
) -> Candidate:
    """A student of the bundle, split as that was: the rows it is judged by taught neither of them.

    Args:
        teacher: The original.
        sources: Where its data is.
        student: As `student_recipe` reads it.
        unlabelled: Further rows, which the teacher alone teaches.
        place: Folder of its run.
        say: Told what it learns.
    """
    known = Recipe.check(teacher.provenance["recipe"])
    same = {"seed": known.seed, "data": known.data.model_dump(mode="json"), "track": {"tensorboard": False}}
    recipe = student_recipe(student).change({**same, "train": {"threads": known.train.threads}})
    made = distil(
        teacher,
        sources.training,
        student=recipe,
        unlabelled=unlabelled,
        out=place / "student",
        test=sources.test,
        listener=say.listener,
    )
    data = read_again(made.bundle, sources, cache=place / "cache", say=Say(None))
    candidate = start(made.bundle, data, cache=place / "cache", say=say)
    parameters = sum(one.numel() for one in candidate.measured.learned.model.parameters())
    return replace(candidate, facts={"distillation": {"student": student, "parameters": parameters}})


def start(bundle: Bundle, data: Prepared, *, cache: Path, say: Say) -> Candidate:
    """The bundle as it is, with the rows it was trained on.

    Args:
        bundle: Run by PyTorch.
        data: Read again.
        cache: Folder for the encoded rows.
        say: Told of rows that are set aside.
    """
    model = _model(bundle)
    recipe = Recipe.check(bundle.provenance["recipe"])
    data, *rows = prepare.encode(data, bundle.modalities, cache=cache, say=say)
    quiet = recipe.change({"data": {"suspects": False, "strict": False}})
    checked = check_data(data, bundle.modalities, rows[0], quiet, say=Say(None))
    known = bundle.provenance
    progress = Progress(
        step=int(known.get("steps", 0)),
        history=list(known.get("history", [])),
        best_step=int(known.get("best_step", 0)),
        stopped=str(known.get("stopped", "")),
    )
    learned = answered(model, rows[1], like=Learned(model, RunState(progress, {}, {}), {}))
    assembly = _assembly(bundle, model)
    measured = Measured(data, bundle.modalities, assembly, bundle.config, learned, recipe, checked, {}, say)
    return Candidate(measured, (rows[0], rows[1], rows[2]))


def _model(bundle: Bundle) -> SignalModel | FusedModel:
    """What answers.

    Raises:
        UsageError: A graph does.
    """
    if not isinstance(bundle.backend, TorchBackend):
        raise UsageError(f"{bundle.path} holds a graph already", "compress the bundle that `fit` wrote")
    return bundle.backend.model


def _validation(data: Prepared) -> Labelled:
    """Validation rows with what is true of them."""
    columns = {column.name: data.values("validation", column.name) for column in data.schema.columns}
    truths = {target.name: data.truth("validation", target.name) for target in data.schema.targets}
    return Labelled(columns, truths).first(JUDGED)


def _in_eight_bits(candidate: Candidate, trial: Trial, place: Path) -> Exported | None:
    """The candidate as a graph of eight bits; None where that loses too much."""
    data = candidate.measured.data
    run = RunFolder(place / "fp32")
    run.state.mkdir(parents=True)
    release(replace(candidate.measured, lineage=_lineage(trial.judge.bundle, trial)), run, force=False)
    seen = {column.name: data.values("train", column.name)[:JUDGED] for column in data.schema.columns}
    try:
        found = export(
            run.out,
            place / "int8",
            int8=True,
            max_drop=trial.max_drop - trial.lost,
            columns=seen,
            labelled=_validation(data),
            listener=trial.say.listener or (lambda event: None),
        )
    except GateNotMet as error:
        trial.note("int8", (), {"why": error.what})
        return None
    facts = {} if found.eight_bits is None else found.eight_bits.to_dict()
    return found if trial.note("int8", trial.judge.losses_of(open_bundle(found.path)), facts) else None


def _released(exported: Exported, measured: Measured, final: RunFolder, *, force: bool) -> Bundle:
    """The graph, calibrated and measured by what it says itself."""
    data, learned, graph = measured.data, measured.learned, open_bundle(exported.path, replay=False)
    answers = graph.answer({column.name: data.values("validation", column.name) for column in data.schema.columns})
    own = {target.name: answers.logits[target.name] for target in data.schema.targets if not target.dense}
    said = replace(learned, validation_logits={**learned.validation_logits, **own})
    sealing = partial(refresh, source=graph, notes=_told(exported))
    bundle, _ = release(replace(measured, learned=said), final, force=force, sealing=sealing)
    return bundle


def _told(exported: Exported) -> str:
    """What the card says of the graph."""
    compared = exported.on_data or exported.parity
    return (
        "It answers from an ONNX graph of eight bits. Against the same model in fp32, on "
        f"{compared.rows} rows, scores differed by up to {compared.difference:.1e} and {compared.decisions} of "
        f"{compared.decided} decisions changed."
    )


def _lineage(original: Bundle, trial: Trial) -> Lineage:
    kept = [step for step in trial.steps if step.kept]
    seal = original.manifest.seal if original.manifest is not None else ""
    lost = "; ".join(
        f"{step.name} ({', '.join(f'{one.points:+.2f} points of {one.metric}' for one in step.losses)})"
        for step in kept
    )
    told = f"Made from the bundle {seal[:12]} by {lost}; points lost on validation rows, against that bundle."
    return Lineage(seal, {"compressed": [step.to_dict() for step in kept]}, told)


def _assembly(bundle: Bundle, model: SignalModel | FusedModel) -> Assembly:
    """The trunks as the bundle names them; their weights are in it."""
    known = bundle.provenance.get("backbone", {})
    trunk = bundle.config.get("trunk", {})
    backbone = Backbone(
        str(known.get("name", "")), trunk, digest=known.get("digest"), credit=str(known.get("credit", ""))
    )
    kind = bundle.schema.columns[0].modality
    return Assembly((Branch(kind, model.columns, backbone),), JOINT, dict(known.get("why", {})))
