"""From series of every form to a bundle that answers them, resumed, verified, and with bad rows among the good."""

import csv
import json

import numpy as np
import pytest
from tests.strategies.conftest import flags, start, tiny

import underlay
from underlay.bundle import open_bundle, verify
from underlay.core import UsageError
from underlay.data import open_table
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.evaluation import evaluate

KERNELS = ("model.trunk=minirocket", "model.options={width: 840}", "train.epochs=auto")
INCEPTION = ("model.trunk=inception", "model.options={width: 8, depth: 1, modules: 2, kernels: [3, 5, 9]}")


def italian(count):
    """Rows of 24 hours each."""
    table = open_table("sample:italy-power")
    values, labels = (table.values(name, list(range(count))) for name in ("series", "label"))
    return [{"series": value, "label": label} for value, label in zip(values, labels, strict=True)]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    events = []
    out = tmp_path_factory.mktemp("run") / "bundle"
    return fine_tune("sample:gunpoint", recipe=tiny(*KERNELS), out=out, listener=events.append), events


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "bundle"
    recipe = tiny(*INCEPTION, "train.augment=0.5", "train.repeat=10", "train.learning_rate=0.01")
    return fine_tune(italian(300), recipe=recipe, out=out)


def test_fixed_kernels_answer_nearly_all_series(tuned):
    fitted, events = tuned
    said = "\n".join(event.text for event in events)
    assert "read as series" in said
    assert "fitting the head on fixed features of 180 rows" in said
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] >= 0.95
    names = [opponent.name for opponent in fitted.report.targets[0].opponents]
    assert names == ["Majority class", "MiniROCKET + logistic regression"]
    assert fitted.recipe.train.probe is True
    assert (fitted.recipe.train.epochs, fitted.recipe.train.repeat) == (1, 1)


def test_series_need_no_setting_at_all(tmp_path):
    fitted = fine_tune("sample:basic-motions", recipe=Recipe.load(overrides=["train.threads=1"]), out=tmp_path / "b")
    assert fitted.bundle.provenance["backbone"]["name"] == "minirocket"
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] >= 0.75  # of 8 rows


def test_an_inception_trunk_learns_from_augmented_rows_drawn_several_times(learned):
    assert learned.bundle.metrics["label"]["accuracy"]["value"] >= 0.7  # of 30 rows
    assert learned.bundle.provenance["rows"]["train"] == 240
    assert learned.bundle.provenance["steps"] == 2 * 10 * 240 // 32


def test_the_bundle_verifies_and_answers_every_form_of_a_series_alike(tuned):
    bundle = open_bundle(tuned[0].bundle.path)
    assert verify(bundle.path).golden.difference < 1e-5
    value = open_table("sample:gunpoint").values("series", [7])[0]
    forms = [value, np.array(value), json.dumps(value), [value], {"time": list(range(150)), "value": value}]
    answers = bundle.answer({"series": forms})
    assert not answers.problems
    assert np.ptp(answers.logits["label"], axis=0).max() < 1e-5
    bad = bundle.answer({"series": ["x", value, [None], None]}).problems
    assert {row: problem.code for row, problem in bad.items()} == {
        0: "not_series",
        2: "all_missing",
        3: "missing_series",
    }


@pytest.mark.parametrize("settings", [KERNELS, (*INCEPTION, "train.augment=0.5", "train.repeat=2")])
def test_a_run_that_was_stopped_ends_with_the_same_weights(settings, tmp_path):
    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 4:
            raise KeyboardInterrupt

    recipe = tiny(*settings)
    whole = fine_tune("sample:gunpoint", recipe=recipe, out=tmp_path / "whole")
    out = tmp_path / "bundle"
    with pytest.raises(KeyboardInterrupt):
        fine_tune("sample:gunpoint", recipe=recipe, out=out, listener=stop)
    assert not out.exists()
    fine_tune("sample:gunpoint", recipe=recipe, out=out, resume=True)
    for name in ("model.safetensors", "golden.jsonl"):
        assert (out / name).read_bytes() == (whole.bundle.path / name).read_bytes()


def test_validation_rows_take_part_in_the_fit_and_are_judged_by_heads_that_had_not_seen_them(tmp_path):
    rng = np.random.default_rng(0)
    rows = [{"series": rng.normal(size=40).tolist(), "label": "ab"[at % 2]} for at in range(200)]  # nothing to learn
    fitted = fine_tune(rows, recipe=tiny(*KERNELS, "data.split.validation=0.4"), out=tmp_path / "b")
    judged = [record["accuracy"] for record in fitted.bundle.history if "epoch" in record]
    assert max(judged) < 0.75
    answers = fitted.bundle.answer({"series": [row["series"] for row in rows]}).predictions["label"]
    right = np.mean([answer == row["label"] for answer, row in zip(answers, rows, strict=True)])
    assert right > 0.85  # all but the test rows were learned by heart
    assert fitted.bundle.metrics["label"]["log_loss"]["value"] < 1.5  # and yet it does not claim to be sure


def test_a_head_on_fixed_features_is_fitted_with_the_objective_of_the_recipe(tuned, tmp_path):
    focal = tiny(*KERNELS, "objective={task: {name: focal, gamma: 5}}")
    fitted = fine_tune("sample:gunpoint", recipe=focal, out=tmp_path / "b")
    first, other = (open_bundle(one.bundle.path) for one in (tuned[0], fitted))
    values = {"series": open_table("sample:gunpoint").values("series", list(range(20)))}
    assert np.abs(first.answer(values).logits["label"] - other.answer(values).logits["label"]).max() > 0.1


def test_the_command_answers_every_good_row_and_exits_with_three(tuned, tmp_path):
    rows = open_table("sample:gunpoint").values("series", [0, 1, 2])
    cells = [json.dumps(rows[0]), "[1, 2", json.dumps(rows[1]), "", "[[1, 2], [3, 4]]", json.dumps(rows[2]), "[null]"]
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["series", "note"], *([cell, number] for number, cell in enumerate(cells))])
    process = start("predict", str(tuned[0].bundle.path), "in.csv", "--out", "out.csv", folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 3, said
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    assert [bool(row["prediction"]) for row in answers] == [True, False, True, False, False, True, False]
    assert [bool(row["error"]) for row in answers] == [not row["prediction"] for row in answers]
    process = start("predict", str(tuned[0].bundle.path), cells[0], folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert (process.returncode, said.split("\t")[0] in "12") == (0, True), said


def wide(path, rows):
    table = open_table("sample:italy-power")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"t{at}" for at in range(24)), "label"])
        for row in rows:
            writer.writerow([*table.values("series", [row])[0], table.values("label", [row])[0]])
    return path


def test_a_column_a_moment_is_gathered_for_fitting_predicting_and_evaluating(tmp_path):
    source, other = wide(tmp_path / "a.csv", range(200)), wide(tmp_path / "b.csv", range(200, 230))
    process = start("fit", "a.csv", "--out", "bundle", *flags(*KERNELS), folder=tmp_path)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "24 columns 't0' to 't23' read as series" in said
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.provenance["recipe"]["data"]["series"] == {"wide": ["t"]}
    process = start("predict", "bundle", "b.csv", "--out", "out.jsonl", folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 30
    found = evaluate(bundle, str(other))
    assert found.rows == 30
    assert found.examined[0].metrics["accuracy"].value > 0.8
    assert source.exists()


def test_columns_that_are_read_as_a_table_are_not_gathered(tmp_path):
    wide(tmp_path / "a.csv", range(120))
    fitted = fine_tune(
        str(tmp_path / "a.csv"),
        recipe=tiny("data.columns={t0: table, t1: table}", "model.trunk=tabular", "model.options={}", "train.epochs=1"),
        out=tmp_path / "b",
    )
    assert [column.name for column in fitted.bundle.schema.columns] == ["t0", "t1"]
    assert fitted.recipe.data.series is False


def test_rows_of_one_id_become_one_series(tmp_path):
    table = open_table("sample:italy-power")
    with (tmp_path / "long.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["day", "hour", "demand", "label"])
        for day in range(120):
            label = table.values("label", [day])[0]
            writer.writerows([day, hour, one, label] for hour, one in enumerate(table.values("series", [day])[0]))
    settings = "data.series={id: day, time: hour, value: demand}"
    fitted = fine_tune(str(tmp_path / "long.csv"), recipe=tiny(*KERNELS, settings), out=tmp_path / "b")
    assert sum(fitted.bundle.provenance["rows"].values()) == 120
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] > 0.7


def test_two_columns_of_series_stand_on_one_trunk_that_learns(tmp_path):
    table = open_table("sample:gunpoint")
    rows = [
        {"left": row[:75], "right": row[75:], "label": label}
        for row, label in zip(table.values("series"), table.values("label"), strict=True)
    ]
    recipe = tiny("model.trunk=auto", INCEPTION[1], "train.repeat=1", "data.columns={left: series, right: series}")
    fitted = fine_tune(rows, recipe=recipe, out=tmp_path / "b")
    assert fitted.bundle.provenance["backbone"]["name"] == "inception"
    with pytest.raises(UsageError, match="stands on computed features of one column"):
        fine_tune(rows, recipe=recipe.change({"model": {"trunk": "minirocket", "options": {}}}), out=tmp_path / "c")


def test_python_takes_arrays(tmp_path):
    table = open_table("sample:basic-motions")
    values = np.array(table.values("series"))
    labels = table.values("label")
    settings = [f"{name}" for name in KERNELS]
    bundle = underlay.fit((values, labels), out=tmp_path / "b", settings=[*settings, "train.threads=1"])
    assert list(bundle.predict(list(values[:3]))) == labels[:3]
