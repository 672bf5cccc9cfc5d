"""`underlay compress`: what comes out was measured on the rows the original was, or there is none."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.strategies.conftest import tiny

from underlay.bundle import Answers, open_bundle, verify
from underlay.bundle.layout import LABELS, REFERENCE
from underlay.bundle.manifest import read_sealed
from underlay.compress.loss import Judge, Labelled
from underlay.core import DataChanged, GateNotMet, OutputExists, Target, UsageError
from underlay.models import resolve
from underlay.strategies import Recipe, fine_tune, smaller
from underlay.strategies.compress import Wanted, compress

QUICK = {"seconds": 0.02}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory) -> Path:
    """A checkpoint of a small BERT with random weights and MiniLM's vocabulary, of which the rows take a tenth."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    folder = tmp_path_factory.mktemp("trunk")
    torch.manual_seed(0)
    config = transformers.BertConfig(**sizes, vocab_size=30522, max_position_embeddings=128, initializer_range=0.1)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(resolve("minilm").assets["tokenizer.json"])
    return folder


@pytest.fixture(scope="module")
def original(trunk: Path, snippets: Path, tmp_path_factory) -> Path:
    """The trunk fine-tuned for two epochs on few rows."""
    out = tmp_path_factory.mktemp("compress") / "original"
    fine_tune(str(snippets), recipe=tiny(f"model.trunk={trunk}", "model.options={}", "train.freeze=0"), out=out)
    return out


@pytest.fixture(scope="module")
def small(original, snippets, tmp_path_factory):
    """The same with a smaller vocabulary and fewer units, whatever it loses."""
    out = tmp_path_factory.mktemp("compress") / "small"
    wanted = Wanted(vocabulary=True, prune=0.5)
    return compress(original, out, wanted=wanted, source=str(snippets), max_drop=100, **QUICK)


def test_the_result_is_smaller_and_answers_its_golden_rows(original, small):
    assert verify(small.bundle.path).golden.difference <= 1e-5
    was, now = (
        sum(one["bytes"] for one in read_sealed(path)[0].files.values()) for path in (original, small.bundle.path)
    )
    assert now < was
    assert [line.bytes for line in small.lines] == [was, now]
    assert [step.kept for step in small.steps] == [True, True]


def test_the_result_names_its_parent_and_what_was_done(original, small):
    manifest, _ = read_sealed(small.bundle.path)
    assert manifest.parent == read_sealed(original)[0].seal
    done = {step["name"]: step["facts"] for step in small.bundle.provenance["compressed"]}
    assert done["pruning"]["parameters"][1] < done["pruning"]["parameters"][0]
    assert done["vocabulary"]["text"]["entries"][1] < done["vocabulary"]["text"]["entries"][0]
    assert 0 < done["vocabulary"]["text"]["share"] < 1
    assert "Made from the bundle" in small.bundle.card


def test_calibration_thresholds_and_reference_are_its_own(original, small):
    was, now = (read_sealed(path)[1] for path in (original, small.bundle.path))
    assert was[LABELS] != now[LABELS]
    assert was[REFERENCE] != now[REFERENCE]
    assert small.bundle.calibration["label"]["temperature"] > 0


def test_figures_are_those_of_the_same_test_rows(original, small):
    was = open_bundle(original).metrics["label"]["n"]
    assert small.bundle.metrics["label"]["n"] == was
    for line, path in zip(small.lines, (original, small.bundle.path), strict=True):
        name, found = line.figures["label"]
        assert found.value == pytest.approx(open_bundle(path).metrics["label"][name]["value"])


@pytest.mark.parametrize("points", [-1, float("nan"), 101])
def test_a_bound_that_is_no_number_of_points_is_refused(points, original, tmp_path):
    with pytest.raises(UsageError, match="points of a hundred are lost"):
        compress(original, tmp_path / "out", wanted=Wanted(vocabulary=True), max_drop=points)
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_it_was_trained_on_is_refused(original, snippets, tmp_path):
    changed = tmp_path / "snippets.csv"
    lines = snippets.read_text(encoding="utf-8").splitlines(keepends=True)
    changed.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(DataChanged, match="can no longer be told apart"):
        compress(original, tmp_path / "out", wanted=Wanted(vocabulary=True), source=str(changed), **QUICK)


def test_the_data_is_found_beside_the_bundle(original, snippets, tmp_path):
    shutil.copytree(original, tmp_path / "bundle")
    with pytest.raises(UsageError, match=r"snippets\.csv, which is neither in this folder nor beside"):
        compress(tmp_path / "bundle", tmp_path / "out", wanted=Wanted(vocabulary=True), **QUICK)
    shutil.copy(snippets, tmp_path / "snippets.csv")
    found = compress(tmp_path / "bundle", tmp_path / "out", wanted=Wanted(vocabulary=True), max_drop=100, **QUICK)
    assert found.bundle.path == tmp_path / "out"


def test_what_stands_there_is_not_replaced_unasked(original, small):
    with pytest.raises(OutputExists):
        compress(original, small.bundle.path, wanted=Wanted(vocabulary=True))


@pytest.mark.parametrize("wanted", [{}, {"prune": 1.0}, {"prune": 0.5, "words": ("a",)},
                                    {"sparsity": 1.0}, {"sparsity": 0.5, "by": "size"}])  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(wanted):
    with pytest.raises(UsageError):
        Wanted(**wanted)


def test_a_compressed_bundle_is_compressed_again(small, snippets, tmp_path):
    again = compress(
        small.bundle.path, tmp_path / "out", wanted=Wanted(prune=0.3), source=str(snippets), max_drop=100, **QUICK
    )
    assert again.lines[1].bytes < again.lines[0].bytes
    assert again.bundle.predict(["a quiet film"])


def test_eight_bits_come_last_and_are_measured_by_themselves(original, snippets, tmp_path):
    pytest.importorskip("onnxruntime")
    wanted = Wanted(vocabulary=True, int8=True)
    found = compress(original, tmp_path / "out", wanted=wanted, source=str(snippets), max_drop=100, **QUICK)
    assert [step.name for step in found.steps if step.kept] == ["vocabulary", "int8"]
    assert read_sealed(found.bundle.path)[0].parent == read_sealed(original)[0].seal
    assert verify(found.bundle.path).golden.difference <= 1e-3
    assert "an ONNX graph of eight bits" in found.bundle.card
    assert "whose figures are above" not in found.bundle.card
    with pytest.raises(UsageError, match="holds a graph already"):
        compress(found.bundle.path, tmp_path / "again", wanted=wanted)
    name, figure = found.lines[1].figures["label"]
    assert found.bundle.metrics["label"][name]["value"] == pytest.approx(figure.value)
    assert np.isfinite(found.bundle.predict_proba(["a quiet film"])).all()


def test_a_student_is_taught_on_the_rows_its_teacher_learned_from(original, snippets, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text("text\n" + "a quiet film\nthe story was loud\n" * 20, encoding="utf-8")
    with pytest.raises(UsageError, match="for a student"):
        compress(original, tmp_path / "out", wanted=Wanted(prune=0.25), unlabelled=str(more))
    wanted = Wanted(distil="layers:1", prune=0.25)
    found = compress(
        original,
        tmp_path / "out",
        wanted=wanted,
        source=str(snippets),
        unlabelled=str(more),
        max_drop=100,
        **QUICK,
    )
    assert [step.name for step in found.steps] == ["distillation", "pruning"]
    assert found.bundle.config["trunk"]["depth"] == 1
    assert found.bundle.provenance["rows"] == open_bundle(original).provenance["rows"]
    assert read_sealed(found.bundle.path)[0].parent == read_sealed(original)[0].seal


def test_the_command_shows_what_was_lost_and_what_was_gained(original, snippets, underlay, tmp_path):
    pressed = underlay("compress", str(original), "--vocabulary", "--data", str(snippets), "--max-drop", "100",
                       "--out", "small", "--json")  # fmt: skip
    assert pressed.returncode == 0, pressed.stderr
    told = json.loads(pressed.stdout)
    assert [step["name"] for step in told["steps"]] == ["vocabulary"]
    assert told["bundles"][1]["bytes"] < told["bundles"][0]["bytes"]
    assert "fall to more pieces" in pressed.stderr
    again = underlay("compress", str(original), "--vocabulary", "--data", str(snippets), "--out", "small")
    assert again.returncode == 2


@pytest.mark.parametrize("words", [["--vocabulary", "--max-drop", "nan"], ["--vocabulary", "--max-drop", "101"],
                                   ["--vocabulary", "--max-drop", "-1"], ["--static", "--vocabulary"],
                                   ["--prune", "0.3", "--words", "words.txt"],
                                   ["--prune", "0.3", "--units", "head"]])  # fmt: skip
def test_the_command_refuses_what_would_do_nothing_before_it_reads(words, original, underlay):
    refused = underlay("compress", str(original), *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("underlay: usage: --")
    assert words[-2] in refused.stderr


@pytest.mark.parametrize("trunk", ["sasrec", "bert4rec"])
def test_a_model_of_what_happens_next_is_pruned(trunk, tmp_path):
    names, rng = "abcdefgh", np.random.default_rng(0)
    rows = [[names[(start + at) % 8] for at in range(12)] for start in rng.integers(8, size=40)]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"item": row}) + "\n" for row in rows), encoding="utf-8")
    overrides = [f"model.trunk={trunk}", "model.options={width: 32, depth: 1, heads: 2, inner: 64}", "train.epochs=2",
                 "train.repeat=20", "train.threads=1", "train.precision=fp32", "track.tensorboard=false",
                 "train.learning_rate=0.01", "data.columns={item: events}"]  # fmt: skip
    fine_tune(str(path), recipe=Recipe.load(overrides=overrides), out=tmp_path / "bundle")
    found = compress(
        tmp_path / "bundle", tmp_path / "out", wanted=Wanted(prune=0.5), source=str(path), max_drop=100, **QUICK
    )
    assert found.bundle.config["trunk"]["heads"] == 1
    (loss,) = found.steps[0].losses
    assert loss.now >= 0.5
    assert verify(tmp_path / "out").golden.difference <= 1e-5


@pytest.fixture(scope="module")
def sure(tmp_path_factory) -> Path:
    """A model that is always right: one word of each text decides."""
    folder, rng = tmp_path_factory.mktemp("sure"), np.random.default_rng(0)
    others = ["film", "story", "actor", "plot", "scene", "movie", "the", "a", "of", "and"]
    with (folder / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for row in range(240):
            words = [*rng.choice(others, 6), "fine" if row % 2 else "dull"]
            file.write(f"{' '.join(rng.permutation(words))},{'good' if row % 2 else 'bad'}\n")
    recipe = tiny("model.trunk=transformer", "model.options={width: 32, depth: 1, heads: 2, inner: 32}",
                  "train.learning_rate=0.005", "train.epochs=6", "data.suspects=false")  # fmt: skip
    tuned = fine_tune(str(folder / "rows.csv"), recipe=recipe, out=folder / "bundle")
    assert tuned.bundle.metrics["label"]["accuracy"]["value"] == 1.0
    wide = recipe.change({"model": {"options": {"width": 64, "depth": 1, "heads": 2, "inner": 64}}})
    fine_tune(str(folder / "rows.csv"), recipe=wide, out=folder / "wide")
    return folder


def flipped(weights):
    """The labels in another order."""
    return {name: one.flip(0) if name.startswith("heads.") else one for name, one in weights.items()}


def shifted(weights):
    """The table of words one row off."""
    return {name: one.roll(1, 0) if name.endswith("words.weight") else one for name, one in weights.items()}


def scaled(weights):
    """One scale lost."""
    return {name: one * 0 if name == "stems.text.norm.weight" else one for name, one in weights.items()}


@pytest.mark.parametrize("broken", [flipped, shifted, scaled])
def test_a_step_that_breaks_the_model_is_not_kept(broken, sure, tmp_path, monkeypatch):
    whole = smaller.loaded
    monkeypatch.setattr(smaller, "loaded", lambda config, weights: whole(config, broken(weights)))
    with pytest.raises(GateNotMet, match="no step loses at most"):
        compress(
            sure / "bundle", tmp_path / "out", wanted=Wanted(vocabulary=True), source=str(sure / "rows.csv"), **QUICK
        )
    assert not list(tmp_path.iterdir())


def test_the_same_step_unbroken_is_kept(sure, tmp_path):
    wanted = Wanted(vocabulary=True, prune=0.5)
    found = compress(sure / "bundle", tmp_path / "out", wanted=wanted, source=str(sure / "rows.csv"), **QUICK)
    assert [step.kept for step in found.steps] == [True, True]
    assert found.bundle.metrics["label"]["accuracy"]["value"] == 1.0


@pytest.mark.parametrize("kind", ["magnitude", "movement"])
def test_single_weights_become_zero_and_the_bundle_is_no_smaller_for_it(kind, sure, tmp_path):
    wanted = Wanted(sparsity=0.6, by=kind)
    found = compress(sure / "wide", tmp_path / "out", wanted=wanted, source=str(sure / "rows.csv"), **QUICK)
    told = found.bundle.provenance["compressed"][0]["facts"]
    assert told["zeros"] / told["weights"] == pytest.approx(0.6, abs=0.01)
    assert told["packed"][1] < told["packed"][0]
    assert found.lines[1].bytes == pytest.approx(found.lines[0].bytes, rel=0.02)
    weights = found.bundle.backend.model.state_dict()
    assert sum(int((one == 0).sum()) for one in weights.values() if one.ndim == 2) >= told["zeros"]
    assert found.bundle.metrics["label"]["accuracy"]["value"] >= 0.95
    assert verify(tmp_path / "out").golden.difference <= 1e-5


def test_a_step_that_loses_too_much_is_left_out_and_the_others_stay(sure, tmp_path, monkeypatch):
    def broken(candidate, **_):
        measured = candidate.measured
        weights = flipped(measured.learned.model.state_dict())
        learned = smaller.answered(smaller.loaded(measured.config, weights), candidate.rows[1], like=measured.learned)
        return replace(candidate, measured=replace(measured, learned=learned))

    monkeypatch.setattr("underlay.strategies.compress.pruned", broken)
    wanted = Wanted(vocabulary=True, prune=0.5)
    found = compress(sure / "bundle", tmp_path / "out", wanted=wanted, source=str(sure / "rows.csv"), **QUICK)
    assert [(step.name, step.kept) for step in found.steps] == [("vocabulary", True), ("pruning", False)]
    assert [step["name"] for step in found.bundle.provenance["compressed"]] == ["vocabulary"]
    assert found.bundle.metrics["label"]["accuracy"]["value"] == 1.0


def rows_of(task):
    """Rows whose answer one word, or each word, decides."""
    rng = np.random.default_rng(1)
    for row in range(120):
        word = ("fine", "dull")[row % 2]
        words = [*rng.choice(["film", "story", "actor", "plot", "the"], 4).tolist(), word]
        text = " ".join(words)
        if task == "tagging":
            yield {"words": words, "label": ["O"] * 4 + [word]}
        elif task == "multilabel":
            yield {"text": text, "label": [word, "film"] if "film" in words else [word]}
        else:
            yield {"text": text, "label": 10.0 + 5 * (row % 2) + float(rng.random())}


@pytest.mark.parametrize("task", ["regression", "multilabel", "tagging"])
def test_every_task_is_compressed_and_calibrated_again(task, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(task)), encoding="utf-8")
    recipe = tiny("model.trunk=transformer", "model.options={width: 32, depth: 1, heads: 2, inner: 32}",
                  "train.learning_rate=0.005", "train.epochs=4", "data.suspects=false", "data.target=label",
                  f"data.task={task}")  # fmt: skip
    original = fine_tune(str(path), recipe=recipe, out=tmp_path / "bundle").bundle
    assert original.schema.target.task == task
    wanted = Wanted(vocabulary=True, prune=0.5)
    found = compress(tmp_path / "bundle", tmp_path / "out", wanted=wanted, source=str(path), max_drop=20, **QUICK)
    assert [step.kept for step in found.steps] == [True, True]
    assert found.bundle.calibration.keys() == original.calibration.keys()
    assert found.bundle.config["trunk"]["heads"] == 1
    assert verify(tmp_path / "out").golden.difference <= 1e-5


def test_each_model_is_judged_by_its_own_thresholds():
    """Scores that moved together with the threshold lose nothing."""
    target = Target("moods", "multilabel", ("calm", "loud"))
    rows = [0.1, 0.3, 0.6, 0.9] * 10
    labelled = Labelled(
        {"value": rows}, {"moods": np.array([[value > 0.5, value > 0.2] for value in rows], np.float32)}
    )

    def answering(shift, thresholds):
        scores = np.array([[value, value] for value in rows], np.float32) + shift
        answers = Answers({"moods": scores}, {"moods": scores}, {"moods": [()] * 40}, {"moods": np.ones(40)}, {})
        return SimpleNamespace(
            schema=SimpleNamespace(targets=(target,)),
            rules={"moods": SimpleNamespace(thresholds=thresholds)},
            answer=lambda columns: answers,
        )

    judge = Judge.of(answering(0.0, (0.5, 0.2)), labelled)
    (same,) = judge.losses_of(answering(0.05, (0.55, 0.25)))
    (worse,) = judge.losses_of(answering(0.05, (0.95, 0.25)))
    assert (same.was, same.now, same.points) == (1.0, 1.0, 0.0)
    assert worse.points > 5
