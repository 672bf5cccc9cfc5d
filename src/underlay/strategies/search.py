"""A bundle -> the first combination of steps that holds every target: read top to bottom."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from underlay.bundle import Bundle, open_bundle
from underlay.bundle.machine import cores, machine_fingerprint, versions
from underlay.bundle.sealing import refuse_existing
from underlay.compress.loss import Judge, require_points
from underlay.core import Event, GateNotMet, Interrupted, Listener, UsageError
from underlay.data import open_table
from underlay.evaluate import Contender, Search, Targets, closest, costs, recommendation, told_of, value_of
from underlay.strategies.bench import Bench
from underlay.strategies.bodies import Bodies
from underlay.strategies.candidate import torch_model, validation_rows
from underlay.strategies.chains import Chain, chains
from underlay.strategies.comparison import Line, compared
from underlay.strategies.listening import Say
from underlay.strategies.offers import offer_of
from underlay.strategies.quantised import released
from underlay.strategies.read_again import read_again, sources_of
from underlay.strategies.release import Lineage, release
from underlay.strategies.run_folder import RunFolder
from underlay.strategies.search_state import RECORDS, Record, SearchState
from underlay.strategies.teaching import seal_of
from underlay.train import run_lock


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Args:
        bundle: The chosen one, opened from where it stands.
        search: All that was tried.
        lines: The original and the result on test rows, measured in the same run.
    """

    bundle: Bundle
    search: Search
    lines: tuple[Line, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        found = self.search
        shown = [{**asdict(one), "verdict": one.verdict(found.targets)} for one in found.contenders]
        return {
            "path": str(self.bundle.path),
            "chosen": found.chosen,
            "targets": asdict(found.targets),
            "original": asdict(found.original),
            "candidates": shown,
            "recommendation": list(found.words),
            "bundles": [line.to_dict() for line in self.lines],
        }


def search(
    folder: str | Path,
    out: str | Path,
    *,
    targets: Targets,
    words: Sequence[str] = (),
    source: Any = None,
    test: Any = None,
    unlabelled: Any = None,
    force: bool = False,
    seconds: float = 2.0,
    listener: Listener | None = None,
) -> Found:
    """Try combinations of steps, the cheapest to compute first, and publish the first that holds all targets.

    Losses are measured on validation rows, times in turns with the original; test rows are read once, for the chosen
    one. What is measured is kept in `OUT.run`, so that the same search goes on where it was stopped, and one with other
    targets measures only what is missing.

    Args:
        folder: A bundle that PyTorch runs.
        out: Where the result will stand, with its report in `OUT.run`.
        targets: What it has to hold.
        words: That stay whole where the vocabulary gets smaller.
        source: The data it was trained on; None: the one it names.
        test: Test data of its own, where it was measured on such.
        unlabelled: Further rows that students learn from, without labels.
        force: Whether what stands at `out` goes, and what was measured before.
        seconds: How long each candidate is timed, and the original beside it.
        listener: Told what happens.

    Raises:
        GateNotMet: `targets`: no candidate holds them; no bundle was written.
        UsageError: The data is not found, there is nothing to try, or a target is no bound.
        DataChanged: The data is not what it was.
        Interrupted: By a signal; what was measured is kept.
    """
    require_bounds(targets)
    final, say = RunFolder.at(out), Say(listener)
    refuse_existing(final.out, force=force)
    original = open_bundle(folder)
    torch_model(original)
    sources = sources_of(original, source, test=test)
    final.open(resume=False, force=force)
    with run_lock(final.state):
        say.phase("read", "reading the data again")
        key = {**_identity(original, unlabelled, final.state / "cache"), "points": targets.points, "words": list(words)}
        begun = (final.state / "search" / RECORDS).exists()
        state = SearchState.at(final.state / "search", key)
        if begun and not state.records:
            say.note(f"what {state.folder} held was of other data, bounds or another machine: nothing is taken from it")
        data = read_again(original, sources, cache=state.folder / "cache", say=Say(None))
        quiet = Say(_only_progress(listener))
        bodies = Bodies(state.folder, original, data, sources, quiet, tuple(words), unlabelled)
        judge = Judge.of(original, validation_rows(data))
        bench = Bench(judge, data, bodies, state, targets, seconds)
        order = chains(offer_of(original, targets, say=say))
        if not order:
            raise UsageError(
                "nothing is known that makes this bundle smaller or faster", "try another trunk: fit again"
            )
        try:
            chosen, tried = first_that_holds(order, bench, say)
        except Interrupted as stop:
            raise Interrupted(
                stop.exit_code - 128,
                f"stopped; {len(state.records)} candidates are measured",
                "run it again: it goes on from there",
            ) from None
        found = Search(targets, len(judge.labelled), bench.original, tuple(one.contender for one in tried))
        if chosen is None:
            state.drop_models()
            raise GateNotMet(
                " ".join(closest(found)),
                f"no bundle was written; {state.folder} keeps what was measured",
                code="targets",
            )
        found = replace(found, chosen=chosen.name)
        found = replace(found, words=recommendation(found))
        bundle = _publish(chosen, found, bench, final, force=force)
        say.phase("time", f"timing {original.path} and {bundle.path}")
        lines = compared([original, bundle], data, seconds=seconds)
        if targets.ms is not None and lines[1].speed.one_p50 > targets.ms:
            say.warning(f"measured again, a row takes {lines[1].speed.one_p50:.2f} ms: the target is within the noise")
        shutil.rmtree(state.folder, ignore_errors=True)
        return Found(bundle, found, lines)


def require_bounds(targets: Targets) -> None:
    """Pass targets that can be held.

    Raises:
        UsageError: There is none, or one is no number above 0.

    >>> require_bounds(Targets(0.5, ms=-1))
    Traceback (most recent call last):
    underlay.core.errors.UsageError: --target-ms -1 cannot be held — give a number above 0
    """
    require_points(targets.points)
    bounds = {"--target-ms": targets.ms, "--target-mb": targets.megabytes}
    if all(bound is None for bound in bounds.values()):
        raise UsageError("there is no target", f"give one or both of {', '.join(bounds)}")
    for flag, bound in bounds.items():
        if bound is not None and not (0 < bound < float("inf")):
            raise UsageError(f"{flag} {bound:g} cannot be held", "give a number above 0")


def first_that_holds(order: Sequence[Chain], bench: Bench, say: Say) -> tuple[Chain | None, list[Record]]:
    """The first chain that holds all targets, or None, and every record up to it.

    Args:
        order: In which they are tried.
        bench: Measures them.
        say: Told of each.
    """
    first = bench.original
    figures = "; ".join(map(value_of, first.lost))
    say.note(f"{bench.judge.bundle.path}: {figures}, {costs(first)}")
    say.phase("search", f"trying up to {len(order)} combinations, what trains nothing first")
    tried: list[Record] = []
    for place, chain in enumerate(order):
        record = bench.known(chain)
        before = record is not None
        if record is None:
            why = bench.hopeless(chain)
            record = Record(Contender(chain.name, why=why)) if why else bench.measure(chain)
            if not why:
                bench.state.keep(record)
        tried.append(record)
        one = record.contender
        again = " (measured before)" if before else ""
        verdict = f": {one.verdict(bench.targets)}" if one.measured else ""
        say.note(f"{place + 1}/{len(order)} {chain.name}{again}: {told_of(one)}{verdict}")
        say.progress("candidates", done=place + 1, total=len(order))
        if not one.misses(bench.targets):
            return chain, tried
        bench.bodies.keep_only(order[place + 1 :], order[: place + 1])
    return None, tried


def _publish(chosen: Chain, found: Search, bench: Bench, final: RunFolder, *, force: bool) -> Bundle:
    """The chosen one as a bundle with a report of its own."""
    record = bench.state.records[chosen.name]
    seal = seal_of(bench.judge.bundle)
    losses = [asdict(one) for one in record.contender.lost]
    steps = [{"name": name, "kept": True, "facts": record.facts.get(name, {})} for name in chosen.steps]
    facts = {"compressed": [*steps[:-1], {**steps[-1], "losses": losses}], "targets": asdict(found.targets)}
    told = (
        f"Made from the bundle {seal[:12]} by {chosen.name}, the first of {len(found.contenders)} candidates that held "
        f"every target. {found.words[1]}"
    )
    candidate = bench.bodies.candidate(chosen)
    measured = replace(candidate.measured, lineage=Lineage(seal, facts, told, found))
    if not chosen.bits:
        return release(measured, final, force=force)[0]
    return released(bench.path(chosen), record.told, measured, final, force=force)


def _identity(original: Bundle, unlabelled: Any, cache: Path) -> dict[str, Any]:
    """All that decides what is measured, but for the settings."""
    more = None if unlabelled is None else open_table(unlabelled, cache=cache).digest
    return {
        "original": seal_of(original),
        "unlabelled": more,
        "machine": machine_fingerprint(),
        "cores": cores(),
        "versions": versions(),
    }


def _only_progress(listener: Listener | None) -> Listener | None:
    """Of what makes a candidate, the live bar and the warnings: its other lines would bury the candidates."""

    def hear(event: Event) -> None:
        if listener is not None and event.kind in ("progress", "warning"):
            listener(event)

    return None if listener is None else hear
