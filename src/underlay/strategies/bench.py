"""Measures candidates against the original, and says which are not worth measuring."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from underlay.bundle import Bundle, open_bundle
from underlay.compress.loss import Judge, Loss
from underlay.compress.measuring import measure_bundles
from underlay.core import GateNotMet, UsageError
from underlay.evaluate import METRICS, Contender, Lost, Targets
from underlay.strategies.bodies import Bodies, TooLarge, folder_of
from underlay.strategies.candidate import parameters, torch_model
from underlay.strategies.chains import Chain
from underlay.strategies.comparison import TIMED, bytes_of
from underlay.strategies.prepared import Prepared
from underlay.strategies.quantised import in_words, quantised
from underlay.strategies.search_state import Record, SearchState


@dataclass(frozen=True)
class Bench:
    """Measures candidates.

    Args:
        judge: The original, and validation rows.
        data: What it was trained on.
        bodies: Makes models.
        state: Keeps what was measured.
        targets: Decide what is not worth measuring.
        seconds: How long each is timed.
    """

    judge: Judge
    data: Prepared
    bodies: Bodies
    state: SearchState
    targets: Targets
    seconds: float

    @property
    def original(self) -> Contender:
        """The original, measured once."""
        known = self.state.records.get(Chain().name)
        if known is None:
            known = self._record(Chain(), self.judge.bundle)
            self.state.keep(known)
        return known.contender

    def path(self, chain: Chain) -> Path:
        """Where the candidate stands, or will."""
        return self.state.folder / folder_of(chain) if chain.bits else self.bodies.path(chain)

    def known(self, chain: Chain) -> Record | None:
        """What was measured before; not of one that holds the targets and no longer stands."""
        record = self.state.records.get(chain.name)
        gone = not (self.bodies.stands(chain) and (self.path(chain) / "manifest.json").exists())
        return None if record is None or (gone and not record.contender.misses(self.targets)) else record

    def hopeless(self, chain: Chain) -> str:
        """Why a candidate is not worth measuring; empty where it may be.

        Eight bits give back no quality, nor does a smaller vocabulary of a student; ranges that are fixed save time
        and nothing else.
        """
        body = self._contender(chain.body)
        needs = body if chain.bits else self._contender(Chain(chain.student)) if chain.student else None
        if needs is not None and needs.name != chain.name:
            if not needs.measured:
                return needs.why
            if "loses too much" in needs.misses(self.targets):
                return f"{needs.name} alone loses too much"
        trimmed = self._contender(Chain(vocabulary=True))
        idle = trimmed is not None and trimmed.measured and trimmed.bytes >= self.original.bytes
        if idle and chain.vocabulary and not chain.prune and chain != Chain(vocabulary=True):
            return "the training rows take nearly every entry of the vocabulary"
        if chain.bits == "static":
            plain = self._contender(replace(chain, bits="dynamic"))
            if plain is not None and plain.misses(self.targets) != ("too slow",):
                return (
                    f"fixed ranges save time alone; {plain.name}: {plain.verdict(self.targets)}"
                    if plain.measured
                    else plain.why
                )
        return self._too_large(chain) if chain.bits else ""

    def measure(self, chain: Chain) -> Record:
        """Make a candidate and measure it."""
        try:
            self.bodies.make(chain, most=self._most)
            told, facts = "", {}
            if chain.bits:
                body = self._contender(chain.body)
                left = max(0.0, self.targets.points - max(0.0, 0.0 if body is None else body.points))
                shutil.rmtree(self.path(chain), ignore_errors=True)
                made = quantised(
                    self.bodies.path(chain),
                    self.path(chain),
                    self.data,
                    static=chain.bits == "static",
                    max_drop=left,
                    listener=self.bodies.say.listener,
                )
                told = in_words(made)
                facts = {"int8": {} if made.eight_bits is None else made.eight_bits.to_dict()}
            return self._record(chain, open_bundle(self.path(chain), replay=False), facts, told)
        except TooLarge as large:
            why = f"not trained: {large.count:,} parameters are more than {self.targets.megabytes:g} MB"
            return Record(Contender(chain.name, why=why), lasting=False)
        except (GateNotMet, UsageError) as error:
            return Record(Contender(chain.name, why=error.what))

    @property
    def _most(self) -> int | None:
        """Parameters beyond which no form of a model is small enough: each takes a byte at least."""
        return None if self.targets.megabytes is None else int(self.targets.megabytes * 1e6)

    def _contender(self, chain: Chain) -> Contender | None:
        if chain == Chain():
            return self.original
        known = self.state.records.get(chain.name)
        return None if known is None else known.contender

    def _too_large(self, chain: Chain) -> str:
        if self._most is None or self.targets.megabytes is None or not self.bodies.stands(chain):
            return ""
        body = self.judge.bundle if chain.body == Chain() else open_bundle(self.bodies.path(chain), replay=False)
        count = parameters(torch_model(body))
        if count <= self._most:
            return ""
        return f"{count:,} parameters are more than {self.targets.megabytes:g} MB, at a byte each"

    def _record(self, chain: Chain, bundle: Bundle, facts: Mapping[str, Any] | None = None, told: str = "") -> Record:
        losses = self.judge.losses_of(bundle)
        columns = {name: values[:TIMED] for name, values in self.judge.labelled.columns.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        was, now = measure_bundles({"original": self.judge.bundle, "candidate": bundle}, rows, seconds=self.seconds)
        done = {**self.bodies.facts(chain), **(facts or {})}
        shown = Contender(
            chain.name,
            tuple(map(lost_of, losses)),
            bytes_of(bundle),
            now.one_p50,
            now.one_p99,
            now.rows_per_second,
            was.one_p50,
        )
        return Record(shown, done, told)


def lost_of(loss: Loss) -> Lost:
    """A loss with the figure's own interval: that of the original, less what is lost at least and at most."""
    higher = METRICS[loss.metric].higher
    ends = [loss.was - points / 100 if higher else loss.was * (1 + points / 100) for points in (loss.low, loss.high)]
    low, high = min(*ends, loss.now), max(*ends, loss.now)
    return Lost(loss.target, loss.metric, loss.now, low, high, loss.points, loss.low, loss.high)
