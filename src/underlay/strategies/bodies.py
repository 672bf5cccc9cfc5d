"""Models that PyTorch runs, each made from another one by one step, as bundles on disk."""

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from underlay.bundle import Bundle, open_bundle
from underlay.compress.vocabulary import TABLE
from underlay.core import Listener
from underlay.models import build
from underlay.strategies.candidate import Candidate, parameters, sealed, start
from underlay.strategies.chains import Chain
from underlay.strategies.distil import distil
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.read_again import Sources
from underlay.strategies.recipe import Recipe
from underlay.strategies.release import Lineage
from underlay.strategies.smaller import cut, mended, with_smaller_vocabulary
from underlay.strategies.students import LAYERS, student_recipe
from underlay.strategies.teaching import seal_of

STEPS = "made_by"
"""Under this name the provenance of a body says what was done."""


def taught(
    teacher: Bundle,
    sources: Sources,
    student: str,
    *,
    out: Path,
    unlabelled: Any = None,
    listener: Listener | None = None,
) -> Bundle:
    """A student of the bundle, split as that was: the rows it is judged by taught neither of them.

    An interrupted run beside `out` goes on.

    Args:
        teacher: The original.
        sources: Where its data is.
        student: As `student_recipe` reads it.
        out: Where it will stand, with its run beside it.
        unlabelled: Further rows, which the teacher alone teaches.
        listener: Told what it learns.
    """
    known = Recipe.check(teacher.provenance["recipe"])
    same = {"seed": known.seed, "data": known.data.model_dump(mode="json"), "track": {"tensorboard": False}}
    recipe = student_recipe(student).change({**same, "train": {"threads": known.train.threads}})
    return distil(
        teacher,
        sources.training,
        student=recipe,
        unlabelled=unlabelled,
        out=out,
        test=sources.test,
        resume=True,
        force=True,
        listener=listener,
    ).bundle


class TooLarge(Exception):
    """A model that is not trained, since its numbers alone are more than it may have.

    Args:
        count: Of its parameters.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@dataclass(frozen=True)
class Bodies:
    """Where bodies are made and kept.

    Args:
        folder: Of theirs; the original stands elsewhere.
        original: What they are made from.
        data: What it was trained on.
        sources: Where that is.
        say: Told of what takes long.
        words: That stay whole in a smaller vocabulary.
        unlabelled: Further rows for students.
    """

    folder: Path
    original: Bundle
    data: Prepared
    sources: Sources
    say: Say
    words: tuple[str, ...] = ()
    unlabelled: Any = None

    def path(self, chain: Chain) -> Path:
        """Where the body of a chain stands, or will."""
        if chain.body == Chain():
            assert self.original.path is not None  # it was opened from there
            return self.original.path
        return self.folder / folder_of(chain.body)

    def stands(self, chain: Chain) -> bool:
        """Whether it does."""
        return (self.path(chain) / "manifest.json").exists()

    def facts(self, chain: Chain) -> Mapping[str, Any]:
        """What each step of a body that stands has done, JSON data."""
        if chain.body == Chain():
            return {}
        known = open_bundle(self.path(chain), replay=False)
        student = {"distillation": {"student": chain.student}} if chain.student else {}
        return {**student, **known.provenance.get(STEPS, {})}

    def candidate(self, chain: Chain) -> Candidate:
        """The body of a chain as what a release is made from.

        Raises:
            UsageError: A step does not fit the bundle.
        """
        self.make(chain)
        bundle = self.original if chain.body == Chain() else open_bundle(self.path(chain), replay=False)
        return start(bundle, self.data, cache=self.folder / "cache", say=self.say)

    def make(self, chain: Chain, *, most: int | None = None) -> None:
        """Have the body of a chain on disk, and what it is made from.

        Args:
            chain: Its form does not matter.
            most: Parameters of a model that is worth training; None: any number.

        Raises:
            TooLarge: It is not worth training.
            UsageError: A step does not fit the bundle.
        """
        body, before = chain.body, chain.body.before
        if before is None or self.stands(body):
            return
        threads = torch.get_num_threads()
        try:
            if body == Chain(body.student):
                self._require_worth(body.student, most)
                taught(
                    self.original,
                    self.sources,
                    body.student,
                    out=self.path(body),
                    unlabelled=self.unlabelled,
                    listener=self.say.listener,
                )
                return
            made = self._step(body, self.candidate(before), most)
            facts = {STEPS: {**self.facts(before), **made.facts}}
            parent = seal_of(self.original)
            sealed(replace(made.measured, lineage=Lineage(parent, facts, "")), self.path(body))
        finally:
            torch.set_num_threads(threads)  # training may have used others, and times are compared

    def _require_worth(self, student: str, most: int | None) -> None:
        """Pass a student that may become small enough by a smaller vocabulary; of another trunk nothing is known.

        Raises:
            TooLarge: All else of it is too large already.
        """
        word, _, count = student.partition(":")
        if most is None or word != LAYERS:
            return
        config = {**self.original.config, "trunk": {**self.original.config["trunk"], "depth": int(count)}}
        named = build(config, seed=0).named_parameters()
        least = sum(one.numel() for name, one in named if not name.endswith(TABLE))
        if least > most:
            raise TooLarge(least)

    def keep_only(self, later: Collection[Chain], tried: Collection[Chain]) -> None:
        """Remove what nothing is made from any more: bodies of no later chain, and the graphs made from them.

        Args:
            later: Chains that are still to be tried.
            tried: Chains whose graphs may stand beside the bodies.
        """
        bodies = {body for chain in later for body in chain.needs} | {Chain()}
        kept = {folder_of(chain) for chain in (*bodies, *(one for one in tried if one.body in bodies))}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.is_dir() and path.name.removesuffix(".run") not in kept | {"cache"}:
                shutil.rmtree(path, ignore_errors=True)

    def _step(self, body: Chain, before: Candidate, most: int | None) -> Candidate:
        """The body by its last step."""
        if not body.prune:
            return with_smaller_vocabulary(before, words=self.words, cache=self.folder / "cache")
        smaller = cut(before, ratio=body.prune, units=body.units)
        count = parameters(smaller.measured.learned.model)
        if most is not None and count > most:
            raise TooLarge(count)
        # An interrupted training goes on from its checkpoint: what was cut is the same again.
        return mended(smaller, folder=self.folder / f"{folder_of(body)}.run")


def folder_of(chain: Chain) -> str:
    """A name for the file system.

    >>> folder_of(Chain("layers:3", vocabulary=True, bits="static"))
    'student-layers-3-vocabulary-int8-static'
    """
    return "-".join("".join(letter if letter.isalnum() else " " for letter in chain.name).split())
