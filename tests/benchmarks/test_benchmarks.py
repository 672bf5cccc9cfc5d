"""What turns measurements into claims: records, thresholds, the rules of a race, the page, and a peer that runs."""

import doctest
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.command import CommandFailed, Fitted, find_metrics, recipe_digest, recipe_file
from benchmarks.goals import GOALS
from benchmarks.record import Results, read_all, read_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import (
    audio,
    compress,
    datasets,
    events,
    image,
    memory,
    page,
    presets,
    quality,
    series,
    serving,
    small_rivals,
    speed_vs_trainer,
    three_arms,
)
from underlay.strategies.recipe import Recipe

ROOT = Path(__file__).parent.parent.parent
P8, P12, P2 = (next(goal for goal in GOALS if goal.benchmark == name) for name in ("P8-full", "P12", "P2-short"))


def record(benchmark="P8-full", value=0.9, name="accuracy", date="2026-01-01", **cell):
    machine = {"cpu": "x", "cores": 2, "flags": [], "memory_gib": 24}
    return {
        "benchmark": benchmark, "cell": cell, "values": {name: value}, "machine": machine, "versions": {}, "date": date
    }  # fmt: skip


@pytest.fixture
def results(tmp_path):
    return Results("trial", tmp_path / "results", tmp_path / "drafts")


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_in_the_docstrings_run(path):
    if path.stem in ("__main__", "peer_litserve"):  # the latter runs in an environment of its own
        return
    assert doctest.testmod(importlib.import_module(f"benchmarks.{path.stem}".removesuffix(".__init__"))).failed == 0


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_one(path):
    assert Recipe.load(path).seed == 0


def test_every_experiment_has_its_recipe_and_every_goal_a_known_benchmark():
    recipes = {experiment.recipe for experiment in quality.EXPERIMENTS.values()}
    recipes |= {race.recipe for race in speed_vs_trainer.RACES.values()}
    recipes |= {task.recipe for tasks in (image.TASKS, audio.TASKS, small_rivals.TASKS) for task in tasks.values()}
    assert all(recipe_file(name).exists() for name in recipes)
    races = {f"{row}-{race}" for row in ("P2", "P2b") for race in speed_vs_trainer.RACES}
    demos = {f"demo-{preset}" for preset in presets.PRESETS}
    known = {
        *quality.EXPERIMENTS,
        *races,
        *demos,
        *image.TASKS,
        *audio.TASKS,
        series.BENCHMARK,
        events.BENCHMARK,
        *compress.BENCHMARKS.values(),
        *serving.BENCHMARKS,
        *small_rivals.TASKS,
        *memory.TASKS,
        "P13-chain",
        "P1-short",
        "P1-256",
        "P12",
        "P24",  # needs a GPU
    }
    assert {goal.benchmark for goal in GOALS} <= known


def test_a_record_says_how_it_was_measured_and_is_found_by_its_cell(results):
    results.append("P8-full", {"seed": 0, "recipe": "a"}, {"accuracy": 0.9})
    entry = results.find("P8-full", {"recipe": "a", "seed": 0})
    assert entry is not None
    assert {"command", "machine", "versions", "commit", "date"} <= set(entry)
    assert str(ROOT) not in json.dumps(entry)
    assert results.find("P8-full", {"seed": 0, "recipe": "b"}) is None
    assert results.find("P8-10", {"seed": 0, "recipe": "a"}) is None


def test_development_cells_are_kept_apart_from_claims(results):
    results.append("P4", {"seed": 0, "development": {"rows": 10}}, {"accuracy": 0.5})
    assert read_all(results.folder) == []
    assert results.find("P4", {"seed": 0, "development": {"rows": 10}}) is not None


def test_a_line_cut_off_by_a_kill_is_dropped_and_nothing_else(results):
    cell = {"seed": 0}
    results.append("P4", cell, {"accuracy": 0.5})
    with results.path(cell).open("a", encoding="utf-8") as file:
        file.write('{"benchmark": "P4", "ce')
    assert len(read_lines(results.path(cell))) == 1
    results.append("P4", {"seed": 1}, {"accuracy": 0.6})
    assert [entry["cell"]["seed"] for entry in read_lines(results.path(cell))] == [0, 1]


def test_another_recipe_or_override_is_another_cell(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("train: {epochs: 1}", encoding="utf-8")
    first = recipe_digest(file)
    assert recipe_digest(file, ["train.epochs=2"]) != first
    file.write_text("train: {epochs: 2}", encoding="utf-8")
    assert recipe_digest(file) != first


def test_the_page_averages_folds_within_seeds_and_gives_a_t_interval():
    by_seed = [(0.8, 1.0), (0.91, 0.93), (0.93, 0.95)]
    records = [record(value=v, seed=s, fold=f) for s, values in enumerate(by_seed) for f, v in enumerate(values)]
    figure = page.figure(records, P8)
    assert figure is not None
    assert (figure.value, figure.count) == (pytest.approx(0.92), 3)
    assert figure.high - figure.value == pytest.approx(4.3027 * 0.02 / 3**0.5, rel=1e-3)
    begun = page.figure([*records, record(value=0.1, seed=3, fold=0)], P8)
    assert begun == figure  # one fold of two says nothing of its seed yet


def test_the_page_counts_the_newest_recipe_and_no_development_run():
    records = [
        record(value=0.5, seed=0, recipe="old"),
        record(value=0.93, seed=0, recipe="new"),
        record(value=0.99, seed=0, development={"rows": 5}),
    ]
    figure = page.figure(records, P8)
    assert figure is not None
    assert (figure.value, figure.count) == (0.93, 1)


@pytest.mark.parametrize(
    ("goal", "value", "expected"),
    [(P8, 0.93, "**goal met**"), (P8, 0.92, "floor met"), (P8, 0.9, "**missed**"),
     (P12, 9.0, "**goal met**"), (P12, 29.0, "floor met"), (P12, 31.0, "**missed**")],
)  # fmt: skip
def test_the_verdict_knows_which_way_is_better(goal, value, expected):
    assert page.verdict(goal, page.Figure(value, value, value, 3)) == expected


def test_a_speed_is_the_median_over_pairs_and_an_empty_table_says_so():
    records = [record("P2-short", value, "ratio", pair=pair) for pair, value in enumerate([1.0, 9.0, 2.0])]
    assert page.figure(records, P2) == page.Figure(2.0, 1.0, 9.0, 3)
    assert "2.00x | 1.00x to 9.00x | 3 | floor met" in page.page(records)
    assert page.page([]).count("not measured") == len(GOALS)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_the_threshold_is_the_best_of_all_on_validation(rows):
    outside = np.array([row[2] for row in rows])
    right = np.array([row[1] for row in rows]) & ~outside
    # Distinct confidences: between equal ones no threshold can pass.
    confidence = np.array([row[0] + position / 100 for position, row in enumerate(rows)]) / 10

    def score(threshold):
        accepted = confidence >= threshold
        return int((np.where(outside, ~accepted, right & accepted)).sum())

    best = max(score(threshold) for threshold in [0.0, *(confidence + 1e-9)])
    assert score(quality.best_threshold(confidence, right, outside)) == best


def test_the_peer_is_timed_at_the_first_moment_it_is_as_good():
    curve = [(10.0, 4, 0.7), (20.0, 8, 0.82), (30.0, 12, 0.8)]
    assert speed_vs_trainer.time_to(0.8, curve, 31.0) == (20.0, True)
    assert speed_vs_trainer.time_to(0.83, curve, 31.0) == (31.0, False)


def test_figures_are_found_at_any_depth_and_their_absence_is_said():
    figures = {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}
    assert find_metrics({"metrics": figures}) == figures
    assert find_metrics({"metrics": {"label": {"test": figures}}}) == figures
    with pytest.raises(CommandFailed, match="no test figures"):
        find_metrics({"metrics": {}})


def test_cuts_keep_train_and_test_apart_and_depend_on_the_seed_alone(monkeypatch, tmp_path):
    (tmp_path / "banking77").mkdir()
    labels = [f"intent {i % 4}" for i in range(80)]
    table = {"text": [f"text {i}" for i in range(80)], "label": labels, "split": ["train"] * 60 + ["test"] * 20}
    pd.DataFrame(table).to_parquet(tmp_path / "banking77" / "data.parquet")
    monkeypatch.setenv("UNDERLAY_DATA", str(tmp_path))
    cut = datasets.banking77(seed=1, per_class=5)
    assert set(cut.train.label.value_counts()) == {5}
    assert not set(cut.train.text) & set(cut.test.text)
    assert cut.train.equals(datasets.banking77(seed=1, per_class=5).train)
    assert not cut.train.equals(datasets.banking77(seed=2, per_class=5).train)
    inner = datasets.held_out(cut, 0, share=0.2)
    assert set(inner.train.text) | set(inner.test.text) == set(cut.train.text)
    assert not set(inner.train.text) & set(inner.test.text)


def test_without_the_data_a_benchmark_is_skipped_and_says_so():
    environment = {key: value for key, value in os.environ.items() if key != "UNDERLAY_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", "P7"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "P7: skipped: UNDERLAY_DATA is not set" in done.stdout


@pytest.mark.slow
def test_the_peer_trains_the_same_weights_and_reports_its_curve(tmp_path):
    rows = pd.DataFrame({"text": ["a fine film", "a dull film"] * 32, "label": ["positive", "negative"] * 32})
    rows.to_parquet(tmp_path / "rows.parquet")
    words = ["--train", tmp_path / "rows.parquet", "--test", tmp_path / "rows.parquet", "--work", tmp_path]
    words += ["--epochs", 4, "--sampling", "group_by_length", "--learning-rate", 2e-4, "--target", 0.99]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peer_trainer", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["accuracy"] == 1.0
    assert answer["tokens"] == 64 * 5
    assert 0 < answer["curve"][-1][0] <= answer["seconds"]


def test_the_plain_loop_takes_the_learning_rate_that_validation_rows_choose(results, tmp_path, monkeypatch):
    rows = pd.DataFrame({"image": [b"a", b"b"] * 30, "label": ["x", "y"] * 30})
    asked = []

    def run_peer(module, train, test, *, words, seed):
        rate = float(words[words.index("--learning-rate") + 1])
        asked.append((rate, len(pd.read_parquet(train)), len(pd.read_parquet(test))))
        return {"peer_accuracy": {0.1: 0.5, 0.2: 0.8, 0.4: 0.7}[rate], "peer_seconds": 2.0}

    fitted = Fitted(tmp_path / "b", 1.0, {"accuracy": {"value": 0.9, "low": 0.8, "high": 1.0}}, {})
    monkeypatch.setattr(three_arms, "run_peer", run_peer)
    monkeypatch.setattr(three_arms, "fit", lambda *words, **more: fitted)
    monkeypatch.setattr(three_arms, "WORK", tmp_path)
    comparison = three_arms.Comparison(
        results=results,
        column="image",
        tasks={
            "P22": three_arms.Task(
                lambda: datasets.Cut(rows, rows[:10], column="image"), "cifar10", (), (0.1, 0.2, 0.4), 18
            )
        },
        peer="none",
        classical=lambda train, test: {"linear_accuracy": 0.85},
        held_out=datasets.held_out,
    )
    comparison.main(["--seeds", "0", "1"])
    assert asked[:3] == [(0.1, 18, 6), (0.2, 18, 6), (0.4, 18, 6)]  # validation rows alone, once
    assert asked[3:] == [(0.2, 60, 10)] * 2
    cells = read_lines(results.folder / "trial.jsonl")
    assert [one["values"]["peer_swept"] for one in cells] == [{"0.1": 0.5, "0.2": 0.8, "0.4": 0.7}] * 2
    assert cells[0]["values"]["gain"] == pytest.approx(0.05)


@pytest.mark.timeout(120)
def test_the_plain_network_on_recordings_learns_tones_and_is_as_large_as_ours(tmp_path):
    pytest.importorskip("soundfile", reason="the extra audio is not installed")
    from benchmarks.datasets import wav_file

    rng = np.random.default_rng(0)
    pitches = {"low": 300, "high": 2_000}
    rows = []
    for label, hertz in list(pitches.items()) * 24:
        time = np.arange(2_000) / 8_000
        sound = 0.3 * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time) + 0.01 * rng.standard_normal(2_000)
        rows.append({"audio": wav_file((sound * 32_767).astype("<i2").tobytes(), 8_000), "label": label})
    pd.DataFrame(rows[:32]).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame(rows[32:]).to_parquet(tmp_path / "test.parquet")
    words = ("--epochs", "30")
    peer = audio.COMPARISON.peer
    found = three_arms.run_peer(peer, tmp_path / "train.parquet", tmp_path / "test.parquet", words=words, seed=0)
    assert found["peer_accuracy"] > 0.9
    assert 400_000 < found["peer_parameters"] < 560_000  # the default trunk of recordings has 480 000
    frames = [pd.DataFrame(part).assign(group=list(range(8)) * (len(part) // 8)) for part in (rows[:32], rows[32:])]
    assert audio.fit_classical(*frames)["linear_accuracy"] > 0.9
