"""Several signals at once: runs end to end under every fusion, resumed to the bit, and what each input contributes."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.strategies.conftest import start

from underlay.bundle import open_bundle, verify
from underlay.cli.options import input_columns
from underlay.core import RecipeError, UsageError
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.evaluation import evaluate
from underlay.strategies.release import read_report
from underlay.strategies.run_folder import RunFolder

SETTINGS = (
    "data.target=kept",
    "data.columns={review: text, '*': table}",
    "model.branches={text: convolution}",
    "train.epochs=8",
    "train.learning_rate=0.005",
    "train.checkpoint_every=2",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)
FUSIONS = ("late", "gated", "cross", "joint")


def recipe(*more: str) -> Recipe:
    return Recipe.load(overrides=[*SETTINGS, *more])


def flags(*more: str) -> list[str]:
    return [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".safetensors", ".jsonl")}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A thing is kept where two of three hold: the review is kind, the price low, the shop in the north."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "review", "price", "shop", "noise", "kept"])
        for at in range(400):
            kind, price, north = rng.random() < 0.5, float(rng.lognormal(3, 1)), rng.random() < 0.5
            words = f"a {rng.choice(['fine', 'lovely'] if kind else ['poor', 'broken'])} thing, number {at}"
            kept = "yes" if kind + (price < 20) + north >= 2 else "no"
            cell = "" if rng.random() < 0.05 else f"{price:.2f}"
            writer.writerow([at, words, cell, "north" if north else "south", f"{rng.normal():.3f}", kept])
    return path


@pytest.fixture(scope="module")
def tuned(shop, tmp_path_factory):
    return {
        fusion: fine_tune(
            str(shop), recipe=recipe(f"model.fusion={fusion}"), out=tmp_path_factory.mktemp(fusion) / "bundle"
        )
        for fusion in FUSIONS
    }


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_learns_from_text_numbers_and_categories_and_its_bundle_verifies(tuned, shop, fusion):
    fitted = tuned[fusion]
    assert fitted.recipe.model.fusion == fusion
    assert fitted.recipe.data.columns == {
        "review": "text",
        "price": "table",
        "shop": "table",
        "noise": "table",
    }
    assert verify(fitted.bundle.path).golden.difference < 1e-5
    assert ("branches" in fitted.bundle.config) == (fusion != "joint")
    again = evaluate(open_bundle(fitted.bundle.path), str(shop)).to_dict()
    assert again["n"] == 400
    assert again["metrics"]["accuracy"]["low"] > 0.6  # half of the rows are of either label


@pytest.mark.parametrize("fusion", FUSIONS)
def test_rows_are_answered_alike_alone_among_others_and_in_any_order(tuned, fusion):
    bundle = tuned[fusion].bundle
    rows = {
        "review": ["a fine thing", "a poor thing of many more words than the first has", "lovely"],
        "price": [3.5, None, "1e9"],
        "shop": ["north", "never seen", ""],
        "noise": [0, 0.1, None],
    }
    whole = bundle.predict_proba(rows)
    alone = [bundle.predict_proba({name: [cells[at]] for name, cells in rows.items()})[0] for at in range(3)]
    turned = bundle.predict_proba({name: cells[::-1] for name, cells in rows.items()})
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    np.testing.assert_allclose(turned[::-1], whole, atol=1e-5)


def test_a_bad_cell_spoils_its_row_alone_and_its_column_is_named(tuned):
    rows = {"review": ["fine", "fine"], "price": [1, "cheap"], "shop": ["north"] * 2, "noise": [0, 0]}
    problems = tuned["late"].bundle.answer(rows).problems
    assert list(problems) == [1]
    assert problems[1].message.startswith("column 'price': a number is needed; found 'cheap'")


def test_the_report_the_metrics_and_the_terminal_say_what_each_input_contributes(tuned):
    fitted = tuned["late"]
    examined = fitted.report.targets[0]
    worth = {one.column: one.gap.value for one in examined.contributions}
    assert set(worth) == {"review", "price", "shop", "noise"}
    assert min(worth["review"], worth["price"], worth["shop"]) > worth["noise"]
    assert list(worth.values()) == sorted(worth.values(), reverse=True)
    metrics = json.loads((fitted.bundle.path / "metrics.json").read_text())["kept"]
    figure = metrics["accuracy without review"]
    assert set(figure) == {"value", "low", "high"}  # as every figure, so that older readers show it
    assert metrics["accuracy"]["value"] - figure["value"] == pytest.approx(worth["review"])
    page = (fitted.bundle.path.parent / "bundle.run" / "report.html").read_text(encoding="utf-8")
    assert "What each input contributes" in page
    again = read_report(RunFolder(fitted.bundle.path))
    assert again is not None
    assert again.targets[0].contributions == examined.contributions


def test_a_contribution_is_the_bundle_answering_the_neutral_value(tuned, shop):
    fitted = tuned["late"]
    with shop.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in ("review", "price", "shop", "noise")}
    truth = np.array([row["kept"] for row in rows])
    modality = fitted.bundle.modalities["shop"]
    neutral = [modality.without(value, modality.parts(value)) for value in columns["shop"]]
    assert neutral == [None] * 400
    whole = np.mean(np.array(fitted.bundle.predict(columns)) == truth)
    without = np.mean(np.array(fitted.bundle.predict({**columns, "shop": neutral})) == truth)
    assert whole > without + 0.05


def test_one_input_has_no_contributions_and_every_mistake_shows_all_inputs(tuned, snippets, tmp_path):
    small = Recipe.load(overrides=["model.trunk=convolution", *SETTINGS[3:]])
    alone = fine_tune(str(snippets), recipe=small, out=tmp_path / "bundle")
    assert alone.report.targets[0].contributions == ()
    assert not any("without" in name for name in alone.bundle.metrics["label"])
    mistakes = [mistake for one in tuned.values() for mistake in one.report.targets[0].mistakes]
    assert mistakes
    for mistake in mistakes:
        assert [line.partition(": ")[0] for line in mistake.value.split("\n")] == ["review", "price", "shop", "noise"]


def test_slices_by_length_are_of_the_inputs_that_differ_in_it(tuned):
    by = {part.by for part in tuned["late"].report.targets[0].slices}
    assert by <= {"length of review", "seen in training"}


@pytest.mark.parametrize("fusion", ["gated", "cross"])
def test_a_killed_fused_run_with_branch_dropout_is_finished_by_resume_with_the_same_bits(shop, tmp_path, fusion):
    settings = flags(f"model.fusion={fusion}", "model.branch_dropout=0.3", "train.augment=0.3")
    outcomes = []
    for place in ("whole", "killed"):
        folder = tmp_path / place
        folder.mkdir()
        process = start("fit", str(shop), "--out", "bundle", *settings, folder=folder)
        assert process.stdout is not None
        if place == "killed":
            for line in process.stdout:
                if "epoch 1" in line:
                    process.send_signal(signal.SIGKILL)
                    break
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            process = start("fit", str(shop), "--out", "bundle", "--resume", *settings, folder=folder)
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said
        outcomes.append((contents(folder / "bundle"), (folder / "bundle.run" / "history.jsonl").read_bytes()))
    assert outcomes[0] == outcomes[1]


def test_flags_of_any_kind_go_together_and_a_column_is_read_one_way(shop, tmp_path):
    assert input_columns({"text": ["a"], "table": ["b", "*"], "image": ["c"]}) == {
        "a": "text", "b": "table", "*": "table", "c": "image",
    }  # fmt: skip
    with pytest.raises(UsageError, match="--text and --table both name 'a'"):
        input_columns({"text": ["a"], "table": ["a"]})
    words = ["fit", str(shop), "--text", "review", "--table", "*", "--out", "b", *flags("data.columns=null")]
    done = subprocess.run(
        [sys.executable, "-m", "underlay", *words], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "'*' takes 3 columns: 'price', 'shop', 'noise'; it leaves 'order_id' (a key)" in done.stderr
    assert "what each input contributes" in done.stdout
    assert "underlay predict b FILE" in done.stdout


def test_a_table_alone_stands_on_the_tabular_trunk_and_data_check_reads_it(shop, tmp_path, underlay):
    numbers = recipe("data.columns={price: table, shop: table}", "model.branches={}", "train.epochs=1")
    fitted = fine_tune(str(shop), recipe=numbers, out=tmp_path / "bundle")
    assert fitted.recipe.model.trunk == "tabular"
    assert fitted.report.targets[0].opponents[1].name == "scaled columns + logistic regression"
    done = underlay("data", "check", str(shop), "--target", "kept", "--table", "*", "--json")
    assert done.returncode == 0, done.stderr
    columns = {column["name"]: column["modality"] for column in json.loads(done.stdout)["schema"]["columns"]}
    assert columns == {"price": "table", "shop": "table", "noise": "table"}


def test_a_column_of_two_categories_has_golden_rows_enough(tmp_path):
    rows = {"shop": ["north", "south"] * 40, "kept": ["yes", "no"] * 40}
    small = recipe("data.columns={shop: table}", "model.branches={}")
    fitted = fine_tune(rows, recipe=small, out=tmp_path / "bundle")
    assert verify(fitted.bundle.path).golden.rows >= 8
    assert fitted.bundle.predict(["north", "south"]) == ["yes", "no"]


def test_options_of_a_modality_and_an_unknown_branch_are_checked(shop, tmp_path):
    with pytest.raises(RecipeError, match="table has no option 'bin'"):
        fine_tune(str(shop), recipe=recipe("model.read={table: {bin: 3}}"), out=tmp_path / "a")
    with pytest.raises(RecipeError, match=r"model\.branches names 'image'"):
        fine_tune(str(shop), recipe=recipe("model.branches={image: convolution}"), out=tmp_path / "b")
