"""P23: the next film of MovieLens latest-small, beside popularity, item-kNN, and ALS and BPR of `implicit`.

The last rating of each user is asked, the one before it chooses, the others teach; every film but those a user has
rated is ranked, none is sampled. Films that nobody had rated before count as misses for all. The peers are tuned on the
validation items and then fitted on training and validation together; Underlay learns from the training part alone and
sees the validation item in the history it is asked with. Its recipe was chosen by validation figures.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import peer_recommenders
from benchmarks.command import CommandFailed, find_metrics, recipe_digest, recipe_file
from benchmarks.datasets import WORK, read
from benchmarks.peer_recommenders import histories, tuned
from benchmarks.record import Results

RESULTS = Results("events")
BENCHMARK = "P23"
SEEDS = range(3)
RECIPE = "events"
ORDER = {"train": 0, "validation": 1, "test": 2}


def ratings() -> pd.DataFrame:
    """The ratings of each user in order, with the part that each belongs to.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold them.
        ValueError: The last rating by time is not the one that the data names as the test.
    """
    rows = read("movielens_latest_small", "ratings")
    rows = rows.assign(order=rows.split.map(ORDER)).sort_values(["user_id", "timestamp", "order"], kind="stable")
    if not (rows.groupby("user_id").tail(1).split == "test").all():
        raise ValueError("the last rating of a user is not the test rating")
    return rows.reset_index(drop=True)


def fitted(rows: pd.DataFrame, *, seed: int) -> dict[str, Any]:
    """Ours: the command as a user types it, and the test figures it reports; a run that was stopped goes on.

    Raises:
        CommandFailed: It did not end well.
    """
    folder = WORK / BENCHMARK
    folder.mkdir(parents=True, exist_ok=True)
    table, out = folder / "ratings.parquet", folder / f"bundle-{recipe_digest(recipe_file(RECIPE))}-{seed}"
    rows[["user_id", "item_id", "timestamp"]].to_parquet(table, index=False)
    words = ["fit", str(table), "--events", "item_id", "--group", "user_id", "--time", "timestamp"]
    words += ["--recipe", str(recipe_file(RECIPE)), "--seed", str(seed), "--out", str(out), "--resume", "--json", "-q"]
    done = subprocess.run([sys.executable, "-m", "underlay", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(f"underlay {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    metrics = find_metrics(json.loads((out / "metrics.json").read_text(encoding="utf-8")))
    found = {f"{name} {end}": metrics[name][end] for name in ("ndcg@10", "hr@10") for end in ("value", "low", "high")}
    report = json.loads((out.with_name(f"{out.name}.run") / "report.json").read_text(encoding="utf-8"))
    found["seconds"] = sum(phase["seconds"] for phase in report["phases"])
    found["validation"] = max(value for _, value in report["learning"]["validation"])
    return found


def peers_of(rows: pd.DataFrame, *, seed: int) -> dict[str, dict[str, Any]]:
    """The figures of the peers, kept: a benchmark that was stopped does not tune them again."""
    kept = WORK / BENCHMARK / f"peers-{seed}-{digest_of_peers()}.json"
    if not kept.exists():
        found = tuned(histories(rows.user_id.to_numpy(), rows.item_id.to_numpy(), rows.split.to_numpy()), seed=seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found), encoding="utf-8")
    known: dict[str, dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return known


def digest_of_peers() -> str:
    """Changes with the code and the grids of the peers."""
    return sha256(Path(peer_recommenders.__file__).read_bytes()).hexdigest()[:12]


def measure_cell(seed: int, *, again: bool = False) -> Mapping[str, Any]:
    """One seed: ours and the peers; from the result file if it is there.

    Raises:
        DataAbsent: The set is not there.
    """
    cell = {"seed": seed, "recipe": recipe_digest(recipe_file(RECIPE))}
    known = RESULTS.find(BENCHMARK, cell)
    if known is not None and not again:
        return dict(known["values"])
    rows = ratings()
    ours = fitted(rows, seed=seed)
    peers = peers_of(rows, seed=seed)
    best = max(float(one["ndcg@10"]) for one in peers.values())
    values = {
        "ndcg": ours["ndcg@10 value"],
        "hr": ours["hr@10 value"],
        "gain": ours["ndcg@10 value"] / best - 1,
        "hr_gain": ours["hr@10 value"] / max(float(one["hr@10"]) for one in peers.values()) - 1,
        "ours": ours,
        "peers": peers,
    }
    RESULTS.append(BENCHMARK, cell, values)
    return values


def main(words: list[str] | None = None) -> None:
    """Measure the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="only these")
    parser.add_argument("--again", action="store_true", help="measure cells that are there")
    options = parser.parse_args(words)
    found = [measure_cell(seed, again=options.again) for seed in options.seeds]
    for seed, values in zip(options.seeds, found, strict=True):
        shown = ", ".join(f"{name} {one['ndcg@10']:.4f}/{one['hr@10']:.4f}" for name, one in values["peers"].items())
        print(f"{BENCHMARK} seed {seed}: ours {values['ndcg']:.4f}/{values['hr']:.4f} ({values['gain']:+.1%}); {shown}")
    print(f"{BENCHMARK} mean gain over the best peer in NDCG@10: {np.mean([one['gain'] for one in found]):+.1%}")


if __name__ == "__main__":
    main()
