"""A bundle -> a smaller or faster one that has proved how little it lost: read top to bottom."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from underlay.bundle import Bundle, open_bundle
from underlay.bundle.sealing import refuse_existing
from underlay.compress import MAX_DROP, Exported
from underlay.compress.loss import Judge, require_points
from underlay.compress.pruning import UNITS
from underlay.compress.sparse import KINDS
from underlay.core import GateNotMet, Listener, UsageError, nearest
from underlay.strategies.bodies import taught
from underlay.strategies.candidate import Candidate, parameters, sealed, start, torch_model, validation_rows
from underlay.strategies.comparison import Line, compared
from underlay.strategies.listening import Say
from underlay.strategies.quantised import in_words, quantised, released
from underlay.strategies.read_again import read_again, sources_of
from underlay.strategies.release import Lineage, release
from underlay.strategies.run_folder import RunFolder
from underlay.strategies.smaller import pruned, with_smaller_vocabulary
from underlay.strategies.sparsified import sparsified
from underlay.strategies.teaching import seal_of
from underlay.strategies.trial import Trial, Tried


@dataclass(frozen=True)
class Wanted:
    """What is to be tried, in this order.

    Args:
        distil: The student that learns from the bundle, as `student_recipe` reads it; None: no student.
        vocabulary: Leave out entries that the training rows do not take.
        words: That stay whole besides.
        prune: Share of the units that go; 0: none.
        units: Which units; see `compress.pruning.UNITS`.
        sparsity: Share of the single weights of the trunks that become zero; 0: none.
        by: What they are ranked by; see `compress.sparse.KINDS`.
        int8: Eight bits, in an ONNX graph.
        static: Ranges of its activations are fixed on training rows; else each position has its own.
    """

    distil: str | None = None
    vocabulary: bool = False
    words: tuple[str, ...] = ()
    prune: float = 0.0
    units: tuple[str, ...] = ("heads", "inner")
    sparsity: float = 0.0
    by: str = KINDS[0]
    int8: bool = False
    static: bool = False

    def __post_init__(self) -> None:
        if not (self.distil or self.vocabulary or self.prune or self.sparsity or self.int8):
            raise UsageError(
                "nothing is asked for",
                "give --target-ms MS or --target-mb MB, or one or more of --distil STUDENT, --vocabulary, "
                "--prune RATIO, --sparsity RATIO, --int8",
            )
        if not 0 <= self.prune < 1:
            raise UsageError(f"--prune {self.prune:g} is no share", "give the share that goes, as 0.3")
        if not 0 <= self.sparsity < 1:
            raise UsageError(f"--sparsity {self.sparsity:g} is no share", "give the share of weights that goes, as 0.5")
        if self.by not in KINDS:
            raise UsageError(f"--by names {self.by!r}", nearest(self.by, KINDS))
        if self.words and not self.vocabulary:
            raise UsageError("words are given and the vocabulary is not trimmed", "add --vocabulary")
        if self.static and not self.int8:
            raise UsageError("--static is about eight bits", "add --int8")
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
        UsageError: A step does not fit the bundle, the data is not found, or `max_drop` is no number of points.
        DataChanged: The data is not what it was.
    """
    require_points(max_drop)
    if unlabelled is not None and wanted.distil is None:
        raise UsageError("unlabelled rows are for a student", "add --distil STUDENT")
    final, say = RunFolder.at(out), Say(listener)
    refuse_existing(final.out, force=force)
    original = open_bundle(folder)
    torch_model(original)
    with TemporaryDirectory(prefix="underlay-") as place:
        cache = Path(place) / "cache"
        say.phase("read", "reading the data again")
        sources = sources_of(original, source, test=test)
        data = read_again(original, sources, cache=cache, say=Say(None))
        candidate = start(original, data, cache=cache, say=say)
        judge = Judge.of(original, validation_rows(candidate.measured.data))
        trial = Trial(judge, max_drop, say)
        if wanted.distil is not None:
            made = taught(
                original, sources, wanted.distil, out=Path(place) / "student", unlabelled=unlabelled, listener=listener
            )
            student = start(made, read_again(made, sources, cache=cache, say=Say(None)), cache=cache, say=say)
            known = {"student": wanted.distil, "parameters": parameters(student.measured.learned.model)}
            candidate = trial.tried("distillation", candidate, replace(student, facts={"distillation": known}))
        if wanted.vocabulary:
            say.phase("vocabulary", "leaving out entries that no training row takes")
            step = partial(with_smaller_vocabulary, words=wanted.words, cache=cache)
            candidate = trial.tried("vocabulary", candidate, step(candidate))
        if wanted.prune:
            smaller = pruned(candidate, ratio=wanted.prune, units=wanted.units, folder=Path(place) / "pruning")
            candidate = trial.tried("pruning", candidate, smaller)
        if wanted.sparsity:
            place_of = Path(place) / "sparsity"
            sparse = sparsified(candidate, ratio=wanted.sparsity, kind=wanted.by, folder=place_of)
            candidate = trial.tried("sparsity", candidate, sparse)
        graph = _in_eight_bits(candidate, trial, Path(place), static=wanted.static) if wanted.int8 else None
        trial.require()
        measured = replace(candidate.measured, lineage=_lineage(original, trial))
        final.open(resume=False, force=force)
        if graph is None:
            bundle, _ = release(measured, final, force=force)
        else:
            bundle = released(graph.path, in_words(graph), measured, final, force=force)
        say.phase("time", f"timing {original.path} and {bundle.path}")
        return Compressed(bundle, tuple(trial.steps), compared([original, bundle], data, seconds=seconds))


def _in_eight_bits(candidate: Candidate, trial: Trial, place: Path, *, static: bool) -> Exported | None:
    """The candidate as a graph of eight bits; None where that loses too much."""
    folder = sealed(replace(candidate.measured, lineage=_lineage(trial.judge.bundle, trial)), place / "fp32")
    left, listener = max(0.0, trial.max_drop - trial.lost), trial.say.listener
    try:
        found = quantised(
            folder, place / "int8", candidate.measured.data, static=static, max_drop=left, listener=listener
        )
    except GateNotMet as error:
        trial.note("int8", (), {"why": error.what})
        return None
    facts = {} if found.eight_bits is None else found.eight_bits.to_dict()
    return found if trial.note("int8", trial.judge.losses_of(open_bundle(found.path)), facts) else None


def _lineage(original: Bundle, trial: Trial) -> Lineage:
    kept = [step for step in trial.steps if step.kept]
    seal = seal_of(original)
    lost = "; ".join(
        f"{step.name} ({', '.join(f'{one.points:+.2f} points of {one.metric}' for one in step.losses)})"
        for step in kept
    )
    told = f"Made from the bundle {seal[:12]} by {lost}; points lost on validation rows, against that bundle."
    return Lineage(seal, {"compressed": [step.to_dict() for step in kept]}, told)
