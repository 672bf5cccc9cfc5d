"""P2, P2b: our whole command against the peer's bare training, to the same test accuracy, A B C A B C.

A pair: (A) `underlay fit`, wall clock, gives a time and a test accuracy; (B, C) the peer trains until its accuracy
curve, examined with its clock stopped, first reaches that accuracy, at most for its `EPOCHS`. The ratio is the peer's
seconds over ours; where the peer never gets there its whole run stands for it, so the ratio is a lower bound. The curve
is read on the test part, which can only favour the peer: it stops at its best moment.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.command import fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, Cut, DataAbsent, held_out, imdb_short, movie_snippets, sample
from benchmarks.peer_linear import fit_linear
from benchmarks.record import Results

RESULTS = Results("speed_vs_trainer")
EPOCHS = 3
"""The Trainer's default."""
RATES = (5e-5, 1e-4, 2e-4)
"""Learning rates that the tuned peer tries on validation."""
ROWS = ("P2", "P2b")
"""Against the Trainer's defaults, and against the tuned one."""
CLOSE = 0.005
"""A cheaper schedule is preferred within this of the best validation accuracy."""


@dataclass(frozen=True)
class Race:
    """One comparison.

    Args:
        cut: The rows, the same for every arm and pair.
        length: Longest text, in tokens.
        recipe: Ours.
        schedules: Epochs that the tuned peer tries on validation.
        points: Examinations of the peer's curve in an epoch.
    """

    cut: Callable[[], Cut]
    length: int
    recipe: str
    schedules: tuple[int, ...]
    points: int


RACES: Mapping[str, Race] = {
    "short": Race(movie_snippets, 128, "speed_short", (1, 2), 4),
    "imdb": Race(imdb_short, 256, "speed_imdb", (1,), 3),
}


@dataclass(frozen=True)
class Peer:
    """Settings of a Trainer run."""

    sampling: str
    learning_rate: float = 5e-5
    epochs: int = EPOCHS
    batch: int = 32
    bf16: bool = False


DEFAULTS = Peer("random")
"""Rate, schedule, epochs and order as the Trainer has them; 32 rows a batch, which is faster here than its 8."""


def run_peer(peer: Peer, race: Race, train: Path, test: Path, *, seed: int, target: float | None) -> dict[str, Any]:
    """The peer in a process of its own.

    Raises:
        RuntimeError: It failed.
    """
    words = [sys.executable, "-m", "benchmarks.peer_trainer", "--train", train, "--test", test, "--work", WORK]
    words += ["--length", race.length, "--batch", peer.batch, "--learning-rate", peer.learning_rate]
    words += ["--epochs", peer.epochs, "--sampling", peer.sampling, "--seed", seed, "--points", race.points]
    words += ["--bf16"] if peer.bf16 else []
    words += [] if target is None else ["--target", target]
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise RuntimeError(f"the peer ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def tuned(track: "Track", cut: Cut) -> Peer:
    """The peer's best learning rate and fewest epochs, swept once on rows held out of the training part.

    The winner is tried in bf16 too, and runs in it where that is faster and as accurate.
    """
    train, test = held_out(cut, 0).write(WORK / f"speed-{track.name}-sweep")

    def swept(peer: Peer) -> dict[str, Any]:
        measure = partial(run_peer, peer, track.race, train, test, seed=0, target=None)
        return track.arm("sweep", asdict(peer), measure)

    tried = [Peer("group_by_length", rate, epochs) for rate in RATES for epochs in track.race.schedules]
    best = choose([(peer, float(swept(peer)["accuracy"])) for peer in tried])
    half = replace(best, bf16=True)
    as_accurate = swept(half)["accuracy"] >= swept(best)["accuracy"] - CLOSE
    return half if as_accurate and swept(half)["seconds"] < swept(best)["seconds"] else best


def choose(found: list[tuple[Peer, float]]) -> Peer:
    """The fewest epochs within `CLOSE` of the best accuracy, then the most accurate.

    >>> found = [(Peer("random", 1e-4, 1), 0.84), (Peer("random", 1e-4, 3), 0.843), (Peer("random", 2e-5, 1), 0.80)]
    >>> choose(found).epochs
    1
    """
    best = max(accuracy for _, accuracy in found)
    close = [(peer.epochs, -accuracy, peer.learning_rate, peer) for peer, accuracy in found if accuracy >= best - CLOSE]
    return min(close, key=lambda entry: entry[:3])[3]


def time_to(target: float, curve: list[tuple[float, int, float]], whole: float) -> tuple[float, bool]:
    """Seconds at which the curve first reaches `target`, and whether it does.

    >>> time_to(0.8, [(10, 5, 0.7), (20, 10, 0.85)], 20)
    (20.0, True)
    >>> time_to(0.9, [(10, 5, 0.7), (20, 10, 0.85)], 20)
    (20.0, False)
    """
    reached = [seconds for seconds, _, accuracy in curve if accuracy >= target]
    return (float(reached[0]), True) if reached else (float(whole), False)


@dataclass(frozen=True)
class Track:
    """Where and on what the arms of a race run.

    Args:
        name: Of the race.
        race: It.
        train: Rows to learn from, on disk.
        test: Rows to be measured on.
        marks: What tells a development run from a real one.
    """

    name: str
    race: Race
    train: Path
    test: Path
    marks: Mapping[str, Any]

    def arm(self, which: str, cell: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """One arm's values, measured unless they are known."""
        key = {"arm": which, **cell, **self.marks}
        benchmark = f"speed-{self.name}"
        entry = RESULTS.find(benchmark, key) or RESULTS.append(benchmark, key, measure())
        return dict(entry["values"])

    def ours(self, seed: int, recipe: Path, overrides: list[str]) -> dict[str, float]:
        """Our whole command."""
        out = WORK / f"speed-{self.name}-bundle"
        fitted = fit(self.train, self.test, recipe=recipe, out=out, seed=seed, overrides=overrides)
        remove(fitted)
        return {"seconds": fitted.seconds, "accuracy": fitted.metrics["accuracy"]["value"]}

    def linear(self) -> dict[str, float]:
        """TF-IDF and logistic regression."""
        return asdict(fit_linear(pd.read_parquet(self.train), pd.read_parquet(self.test)))

    def against(self, row: str, peer: Peer, mine: Mapping[str, float], cell: Mapping[str, Any]) -> None:
        """The peer to our accuracy, and the ratio of the times."""
        cell = {**cell, **asdict(peer)}
        target, pair = mine["accuracy"], cell["pair"]
        measure = partial(run_peer, peer, self.race, self.train, self.test, seed=pair, target=target)
        theirs = self.arm(row, cell, measure)
        seconds, reached = time_to(target, theirs["curve"], theirs["seconds"])
        values = {
            "ratio": seconds / mine["seconds"],
            "our_seconds": mine["seconds"],
            "our_accuracy": target,
            "peer_seconds": seconds,
            "peer_best_accuracy": max(point[2] for point in theirs["curve"]),
            "peer_reached": reached,
        }
        key = {**cell, **self.marks}
        if RESULTS.find(f"{row}-{self.name}", key) is None:
            RESULTS.append(f"{row}-{self.name}", key, values)


def measure_pair(track: Track, cut: Cut, pair: int, overrides: list[str], rows: list[str]) -> None:
    """A, B, C and the linear arm: what is missing of them."""
    recipe = recipe_file(track.race.recipe)
    cell = {"pair": pair, "recipe": recipe_digest(recipe, overrides)}
    # The tuned peer's sweep is no part of the pair.
    rivals = {row: DEFAULTS if row == "P2" else tuned(track, cut) for row in rows}
    mine = track.arm("underlay", cell, partial(track.ours, pair, recipe, overrides))
    for row, peer in rivals.items():
        track.against(row, peer, mine, cell)
    track.arm("linear", {"pair": pair}, track.linear)


def main(words: list[str] | None = None) -> None:
    """Run the pairs that are missing.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold IMDb.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("races", nargs="*", default=list(RACES), help=f"of {', '.join(RACES)}")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--against", nargs="+", choices=ROWS, default=list(ROWS), dest="rows_of_goals")
    parser.add_argument("--rows", type=int, help="development: so many training rows, kept apart from the real figures")
    parser.add_argument("--test-rows", type=int, help="development: so many test rows")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of our recipe")
    options = parser.parse_args(words)
    limits = {"rows": options.rows, "test_rows": options.test_rows, "set": options.set or None}
    limits = {key: value for key, value in limits.items() if value}
    marks = {"development": limits} if limits else {}
    for name in options.races:
        cut = RACES[name].cut()
        cut = Cut(sample(cut.train, options.rows, 0), sample(cut.test, options.test_rows, 0))
        track = Track(name, RACES[name], *cut.write(WORK / f"speed-{name}"), marks)
        for pair in range(options.pairs):
            measure_pair(track, cut, pair, options.set, options.rows_of_goals)
            print(f"speed {name}: pair {pair} done", flush=True)


if __name__ == "__main__":
    try:
        main()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
