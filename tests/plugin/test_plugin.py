"""A modality that the package knows nothing of takes every road that text takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import ROOT
from tests.plugin.steps import WAYS, Steps
from tests.strategies.conftest import kill_at, tiny

import underlay
from underlay.bundle import open_bundle, verify
from underlay.strategies import fine_tune
from underlay.strategies.evaluation import evaluate

COLUMNS = "data.columns={walk: steps}"
SETTINGS = (
    COLUMNS,
    "data.target=side",
    "model.options={width: 16, depth: 1, kernels: [3]}",
    "train.epochs=4",
    "train.learning_rate=0.02",
    "train.checkpoint_every=2",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)


def walks(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Walks that end above or below where they began."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < count:
        walk = [WAYS[int(at)] for at in rng.integers(4, size=int(rng.integers(3, 20)))]
        height = walk.count("U") - walk.count("D")
        if height:
            rows.append({"walk": walk, "side": "above" if height > 0 else "below"})
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("walks") / "walks.jsonl"
    path.write_text("\n".join(map(json.dumps, walks(240))), encoding="utf-8")
    return path


def recipe(*more: str):
    return underlay.strategies.Recipe.load(overrides=[*SETTINGS, *more])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".safetensors", ".jsonl")}


def command(*words: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.plugin.command", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def run_without_it(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "underlay", *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=100
    )


def said_by(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def flags(*more: str) -> list[str]:
    return [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def tuned(data, tmp_path_factory):
    events: list[object] = []
    out = tmp_path_factory.mktemp("run") / "bundle"
    return fine_tune(str(data), recipe=recipe(), out=out, listener=events.append), events


def test_the_package_does_not_know_the_plug_in():
    named = [path for path in (ROOT / "src").rglob("*.py") if "steps.v1" in path.read_text(encoding="utf-8")]
    assert named == []


def test_it_is_fitted_measured_and_reported_beside_its_own_baseline(tuned):
    fitted, events = tuned
    assert fitted.bundle.metrics["side"]["accuracy"]["value"] > 0.7
    assert [opponent.name for opponent in fitted.report.targets[0].opponents] == [
        "Majority class",
        "step counts + logistic regression",
    ]
    page = (fitted.bundle.path.parent / "bundle.run" / "report.html").read_text(encoding="utf-8")
    page = page[: page.index("<summary>The resolved recipe")]  # whose keys are the same for all
    for word in ("tokens", "a text", "texts", "TF-IDF"):
        assert word not in page
    assert any("read as steps" in event.text for event in events)
    assert not [event.text for event in events if event.kind in ("note", "warning") and "text" in event.text]


def test_its_bundle_verifies_predicts_and_evaluates(tuned, tmp_path):
    bundle = open_bundle(tuned[0].bundle.path)
    assert isinstance(bundle.modalities["walk"], Steps)
    assert verify(bundle.path).golden.difference < 1e-5
    rows = walks(120, seed=1)
    said = bundle.predict([row["walk"] for row in rows])
    truth = [row["side"] for row in rows]
    right = np.mean([one == other for one, other in zip(said, truth, strict=True)])
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    measured = evaluate(bundle, str(tmp_path / "more.jsonl")).to_dict()
    assert measured["metrics"]["accuracy"]["value"] == pytest.approx(right)
    problem = bundle.answer({"walk": [["U"], "up", None]}).problems
    assert sorted(problem) == [1, 2]
    assert problem[1].code == "not_steps"


def test_slices_and_mistakes_are_of_walks(tuned):
    examined = tuned[0].report.targets[0]
    assert {part.by for part in examined.slices} == {"length"}
    told = {" ".join(row["walk"]) for row in walks(240)}
    assert all(mistake.value in told for mistake in examined.mistakes)


def test_its_options_are_read_from_the_recipe_and_augmentation_is_its_own(data, tmp_path):
    fitted = fine_tune(
        str(data), recipe=recipe("model.read={steps: {most: 6}}", "train.augment=0.5"), out=tmp_path / "bundle"
    )
    assert fitted.bundle.modalities["walk"].most == 6
    with pytest.raises(underlay.core.RecipeError, match="steps has no option 'least'"):
        fine_tune(str(data), recipe=recipe("model.read={steps: {least: 6}}"), out=tmp_path / "other")


def test_any_trunk_carries_it_and_it_stands_beside_text(tmp_path):
    rows = [{**row, "note": f"a note of row {at}"} for at, row in enumerate(walks(80))]
    table = {name: [row[name] for row in rows] for name in ("walk", "note", "side")}
    both = "data.columns={walk: steps, note: text}"
    small = {"width": 16, "depth": 1, "heads": 2, "inner": 32}
    shared = tiny(both, "data.target=side", "model.trunk=auto", "train.epochs=1", "model.options={}")
    for fusion, more in (("gated", {"branches": {"text": "convolution"}}), ("joint", {"options": small})):
        fitted = fine_tune(table, recipe=shared.change({"model": {"fusion": fusion, **more}}), out=tmp_path / fusion)
        assert verify(fitted.bundle.path).golden.difference < 1e-5
        assert fitted.recipe.model.fusion == fusion


def test_the_command_line_takes_it_all_the_way(data, tmp_path):
    said = said_by(command("fit", str(data), "--out", "bundle", *flags(), folder=tmp_path))
    assert "input: 'walk', read as steps" in said
    assert "some text" not in said
    said = said_by(command("predict", "bundle", str(data), "--scores", "--out", "answers.jsonl", folder=tmp_path))
    answers = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(answers) == 240
    assert json.loads(answers[0])["prediction"] in ("above", "below")
    assert "golden" in said_by(command("verify", "bundle", folder=tmp_path))
    refused = run_without_it("verify", "bundle", folder=tmp_path)
    assert refused.returncode == 4
    assert "no modality named 'steps.v1'" in refused.stderr
    assert "Accuracy" in said_by(command("evaluate", "bundle", str(data), folder=tmp_path))


@pytest.mark.parametrize("phase", ["encoding", "training on", "measuring"])
def test_a_killed_run_is_finished_by_resume_with_the_same_bits(data, tuned, tmp_path, phase):
    process = command("fit", str(data), "--out", "bundle", *flags(), folder=tmp_path)
    kill_at(process, phase)
    said_by(command("fit", str(data), "--out", "bundle", "--resume", *flags(), folder=tmp_path))
    assert contents(tmp_path / "bundle") == contents(tuned[0].bundle.path)
    undisturbed = tuned[0].bundle.path.parent / "bundle.run" / "history.jsonl"
    assert (tmp_path / "bundle.run" / "history.jsonl").read_bytes() == undisturbed.read_bytes()
