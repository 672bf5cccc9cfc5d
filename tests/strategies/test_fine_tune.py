"""Fine-tuning end to end: what it says, what it leaves, that it repeats itself to the bit."""

import json

import numpy as np
import pytest
import torch
from tests.strategies.conftest import tiny

from underlay.bundle import open_bundle, verify
from underlay.core import DataChanged, DataError, OutputExists, RecipeError, ResourceError, RunLocked
from underlay.data import encode_targets, open_table
from underlay.strategies import fine_tune
from underlay.strategies.run_folder import RunFolder
from underlay.train import run_lock


def digests(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".safetensors", ".jsonl")}


def test_a_run_leaves_a_verified_bundle_with_figures_baselines_and_a_report(tuned):
    fitted, events = tuned
    folder = fitted.bundle.path
    assert verify(folder).golden.difference < 1e-5
    assert set(fitted.bundle.metrics["label"]) >= {"accuracy", "macro_f1", "roc_auc", "ece", "n"}
    assert [opponent.name for opponent in fitted.report.targets[0].opponents] == [
        "Majority class",
        "TF-IDF + logistic regression",
    ]
    report = (folder.parent / "bundle.run" / "report.html").read_text(encoding="utf-8")
    assert "<svg" in report
    assert "snippets.csv" in report
    assert {event.data.get("name") for event in events if event.kind == "phase"} >= {"read", "train", "evaluate"}


def test_the_same_seed_gives_the_same_files_and_another_seed_other_weights(tuned, snippets, tmp_path):
    again = fine_tune(str(snippets), recipe=tiny(), out=tmp_path / "again")
    other = fine_tune(str(snippets), recipe=tiny(seed=1), out=tmp_path / "other")
    assert digests(again.bundle.path) == digests(tuned[0].bundle.path)
    assert digests(other.bundle.path) != digests(again.bundle.path)


@pytest.mark.parametrize("batch", [1, 64])
def test_the_bundle_answers_as_the_model_did_in_training_alone_and_in_a_batch(tuned, snippets, batch):
    fitted, _ = tuned
    table = open_table(snippets)
    texts = table.values("text")[:64]
    slices = [texts[start : start + batch] for start in range(0, len(texts), batch)]
    logits = np.concatenate([fitted.bundle.answer({"text": part}).logits["label"] for part in slices])
    # The training-time path, step by step: modality, collate with all the padding of 64 rows, model.
    from safetensors.torch import load_file

    from underlay.models import build

    model = build(fitted.bundle.config, seed=0).eval()
    model.load_state_dict(load_file(fitted.bundle.path / "model.safetensors"))
    modality = fitted.bundle.modalities["text"]
    padded = {"text": modality.collate([modality.encode(text) for text in texts])}
    with torch.inference_mode():
        expected = model({"text": {name: torch.from_numpy(array) for name, array in padded["text"].items()}})
    np.testing.assert_allclose(logits, expected.logits["label"].numpy(), atol=1e-5)


def test_figures_on_the_card_are_those_of_the_bundle_on_the_test_rows(tuned, snippets):
    fitted, _ = tuned
    test = json.loads((fitted.bundle.path / "metrics.json").read_text())["label"]
    assert test["n"] == fitted.report.data.rows["test"]
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] == pytest.approx(test["accuracy"]["value"])
    assert sum(fitted.report.data.rows.values()) == len(open_table(snippets))


def test_a_separate_test_file_is_the_one_that_is_measured_on(snippets, tmp_path):
    lines = snippets.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[:250]), encoding="utf-8")
    (tmp_path / "test.csv").write_text(lines[0] + "".join(lines[250:330]), encoding="utf-8")
    fitted = fine_tune(str(tmp_path / "train.csv"), recipe=tiny(), test=str(tmp_path / "test.csv"))
    table = open_table(tmp_path / "test.csv")
    assert fitted.report.data.rows["test"] == len(table)
    truth = encode_targets(table, fitted.bundle.schema.target).values
    said = fitted.bundle.predict_proba(table.values("text")).argmax(1)
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] == pytest.approx((said == truth).mean())


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("regression", [str(at % 7 + 0.5) for at in range(60)]),
        ("multilabel", ["a|b" if at % 3 else "b" if at % 2 else "a" for at in range(60)]),
        ("multiclass", [str(at % 3 + 9) for at in range(60)]),
    ],
)
def test_every_kind_of_target_trains_and_answers_in_its_own_units(tmp_path, task, labels):
    rows = [f"number {at} is a row about {label}" for at, label in enumerate(labels)]
    recipe = tiny(f"data.task={task}", "data.split.validation=0.2", "data.split.test=0.2")
    fitted = fine_tune((rows, labels), recipe=recipe, out=tmp_path / "bundle")
    answers = open_bundle(tmp_path / "bundle").predict(rows[:4])
    if task == "regression":
        assert all(-5 < answer < 15 for answer in answers)
        assert "rmse" in fitted.bundle.metrics[fitted.bundle.schema.target.name]
    elif task == "multilabel":
        assert all(set(answer) <= {"a", "b"} for answer in answers)
    else:
        assert fitted.bundle.labels == ("9", "10", "11")


@pytest.mark.row("D19")
def test_an_existing_bundle_a_file_and_foreign_files_are_never_overwritten(tuned, snippets, tmp_path):
    fitted, _ = tuned
    before = digests(fitted.bundle.path)
    with pytest.raises(OutputExists, match="already holds a bundle"):
        fine_tune(str(snippets), recipe=tiny(), out=fitted.bundle.path)
    assert digests(fitted.bundle.path) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputExists, match="is a file"):
        fine_tune(str(snippets), recipe=tiny(), out=tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(OutputExists, match="not a bundle"):
            fine_tune(str(snippets), recipe=tiny(), out=tmp_path / "folder", force=force)
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "mine"


def test_resuming_a_finished_run_changes_nothing(tuned, snippets):
    fitted, _ = tuned
    before = digests(fitted.bundle.path)
    said = []
    again = fine_tune(str(snippets), recipe=tiny(), out=fitted.bundle.path, resume=True, listener=said.append)
    assert digests(fitted.bundle.path) == before
    assert again.report == fitted.report
    assert any("finished" in event.text for event in said)


@pytest.mark.row("D20")
def test_a_second_trainer_on_the_same_run_is_refused(snippets, tmp_path):
    run = RunFolder.at(tmp_path / "bundle")
    run.open(resume=False, force=False)
    with run_lock(run.state), pytest.raises(RunLocked, match="is working on"):
        fine_tune(str(snippets), recipe=tiny(), out=tmp_path / "bundle")


@pytest.mark.row("D14")
def test_a_file_that_changes_while_training_stops_the_run_before_a_bundle_is_published(snippets, tmp_path):
    source = tmp_path / "moving.csv"
    source.write_bytes(snippets.read_bytes())

    def touch(event):
        if event.kind == "phase" and event.data["name"] == "train":
            source.write_bytes(snippets.read_bytes() + b"one more,negative\n")

    with pytest.raises(DataChanged):
        fine_tune(str(source), recipe=tiny(), out=tmp_path / "bundle", listener=touch)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.row("D14")
def test_a_run_is_not_resumed_on_other_data(snippets, tmp_path):
    source = tmp_path / "moving.csv"
    source.write_bytes(snippets.read_bytes())

    def stop(event):
        if event.kind == "phase" and event.data["name"] == "evaluate":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(str(source), recipe=tiny(), out=tmp_path / "bundle", listener=stop)
    source.write_bytes(snippets.read_bytes() + b"one more,negative\n")
    with pytest.raises(DataChanged, match="not what this run began with"):
        fine_tune(str(source), recipe=tiny(), out=tmp_path / "bundle", resume=True)


@pytest.mark.row("D17")
def test_a_run_without_enough_disk_is_refused_before_its_first_step(tmp_path):
    run = RunFolder.at(tmp_path / "bundle")
    run.open(resume=False, force=False)
    with pytest.raises(ResourceError, match=r"needs .* MB .* MB are free") as refused:
        run.require_space(10**18)
    assert refused.value.exit_code == 5


@pytest.mark.row("D02")
def test_one_class_only_is_refused_and_a_class_with_one_row_is_trained_and_said(tmp_path):
    with pytest.raises(DataError):
        fine_tune(([f"row {at}" for at in range(20)], ["same"] * 20), recipe=tiny(), out=tmp_path / "one")
    texts = [f"row number {at} with some words" for at in range(61)]
    labels = [["a", "b"][at % 2] for at in range(60)] + ["rare"]
    said = []
    fitted = fine_tune((texts, labels), recipe=tiny(), out=tmp_path / "rare", listener=said.append)
    assert "rare" in fitted.bundle.labels
    told = [str(event.data) + event.text for event in said]
    assert any("rare" in line for line in told)


@pytest.mark.row("D15")
def test_impossible_settings_are_named_all_at_once():
    with pytest.raises(RecipeError) as refused:
        tiny("train.epochs=0", "train.learning_rate=-1", "seed=18446744073709551616", "train.epohcs=3")
    text = str(refused.value)
    for part in ("train.epochs", "train.learning_rate", "seed", "'train.epohcs'", "did you mean 'epochs'"):
        assert part in text
    assert refused.value.exit_code == 2


@pytest.mark.row("D16")
@pytest.mark.parametrize(
    "text",
    [
        "model: !!python/object/apply:os.system ['true']",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "- a list",
        "seed: [unclosed",
    ],
)
def test_a_recipe_that_is_more_than_plain_data_is_refused(tmp_path, text):
    from underlay.strategies import Recipe

    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError):
        Recipe.load(tmp_path / "recipe.yaml")


def test_a_resolved_recipe_reads_back_as_itself_and_repeats_the_run(tuned, snippets, tmp_path):
    from underlay.strategies import Recipe

    (tmp_path / "resolved.yaml").write_text(tuned[0].recipe.to_yaml(), encoding="utf-8")
    read = Recipe.load(tmp_path / "resolved.yaml")
    assert read == tuned[0].recipe
    assert "auto" not in [value for value in read.train.model_dump().values() if isinstance(value, str)]
    again = fine_tune(str(snippets), recipe=read, out=tmp_path / "again")
    assert digests(again.bundle.path) == digests(tuned[0].bundle.path)


def test_augmentation_several_seeds_windows_and_the_recurrent_trunk_run_from_a_recipe(snippets, tmp_path):
    recipe = tiny(
        "model.trunk=recurrent",
        "model.options={width: 16, depth: 1}",
        "model.long=windows",
        "model.max_length=16",
        "train.augment=0.5",
        "train.seeds=2",
        "train.epochs=1",
    )
    said = []
    fitted = fine_tune(str(snippets), recipe=recipe, out=tmp_path / "bundle", listener=said.append)
    assert any("validation by seed" in event.text for event in said)
    assert fitted.bundle.predict(["word " * 80])[0] in fitted.bundle.labels
