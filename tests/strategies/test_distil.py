"""A student learns from its teacher, whatever trunks both stand on, and repeats itself bit for bit."""

import json

import numpy as np
import pytest
import torch
from tests.strategies.conftest import tiny
from tests.strategies.test_resume import same_files, stop_at

import underlay
from underlay.bundle import open_bundle, verify
from underlay.core import CheckpointRefused, DataChanged, RecipeError, UsageError
from underlay.data import open_table
from underlay.objectives import logits_column
from underlay.strategies import Recipe, fine_tune, teaching
from underlay.strategies.distil import distil
from underlay.strategies.positions import hidden_of
from underlay.strategies.stacked import Stacked
from underlay.strategies.students import TEACHER, Student, student_recipe
from underlay.strategies.teaching import kept
from underlay.train import Observer

QUICK = ("data.suspects=false", "train.threads=1", "train.precision=fp32", "track.tensorboard=false")
SHORT = (*QUICK, "train.epochs=1", "train.repeat=1", "train.early_stopping=0")


def invented(count, seed):
    """Words that share no piece of meaning in their letters."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghiklmnoprstuv"), 6)) for _ in range(count)]


WORDS = {label: invented(40, seed) for seed, label in enumerate(("good", "bad", "so"))}
FILLER = invented(40, 9)


def sentences(count, seed, labels=("bad", "good")):
    """Texts of six words, two of which say the label, each by itself."""
    rng = np.random.default_rng(seed)
    found = [labels[at % len(labels)] for at in range(count)]
    texts = [" ".join(rng.permutation([*rng.choice(FILLER, 4), *rng.choice(WORDS[label], 2)])) for label in found]
    return texts, found


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A small transformer that has seen enough of those texts to know their words."""
    texts, labels = sentences(600, 0)
    recipe = Recipe.load(
        overrides=[
            "model.trunk=transformer",
            "model.options={width: 32, depth: 3, heads: 2, inner: 32}",
            "train.epochs=4",
            "train.repeat=3",
            *QUICK,
        ]
    )
    out = tmp_path_factory.mktemp("teacher") / "teacher"
    teacher = fine_tune({"text": texts, "label": labels}, recipe=recipe, out=out).bundle
    fresh, truth = sentences(200, 99)
    assert np.mean(np.array(teacher.predict(fresh)) == truth) > 0.9, "else there is nothing to learn from it"
    return teacher


def right(bundle, seed=99, count=400):
    texts, labels = sentences(count, seed)
    return float(np.mean(np.array(bundle.predict(texts)) == labels))


def few(count=40):
    texts, labels = sentences(count, 5)
    return {"text": texts, "label": labels}


@pytest.mark.parametrize("student", ["bag", "convolution"])
def test_a_student_with_a_teacher_beats_the_same_student_without_on_few_labels(planted, student, tmp_path):
    settings = ["train.epochs=4", "train.early_stopping=0", *QUICK]
    recipe = student_recipe(student, settings=settings)
    if student == "convolution":
        recipe = recipe.change({"model": {"options": {"width": 32, "depth": 1, "kernels": [3, 5]}}})
    recipe = recipe.change({"data": {"split": {"test": 0.0}}})
    alone = fine_tune(few(24), recipe=recipe, out=tmp_path / "alone").bundle
    more = {"text": sentences(600, 7)[0]}
    taught = distil(planted, few(24), student=recipe, unlabelled=more, out=tmp_path / "taught").bundle
    assert right(taught) > right(alone) + 0.1, (right(taught), right(alone))
    assert right(taught) > 0.85


def test_the_child_names_its_parent_says_it_in_its_card_and_replays(planted, tmp_path):
    tuned = distil(planted, few(), student=student_recipe("bag", settings=SHORT), out=tmp_path / "s")
    again = open_bundle(tmp_path / "s")
    seal = planted.manifest.seal
    assert again.manifest.parent == seal
    assert again.provenance["teachers"] == [seal]
    assert f"Distilled: this student learned from labels and from what `teacher` (`{seal[:12]}`" in again.card
    assert verify(tmp_path / "s").golden.rows > 0
    assert tuned.recipe.objective == {
        "task": {"name": "cross_entropy", "target": "label", "weight": 0.5},
        "distil": {"name": "distil_logits", "target": "label", "weight": 0.5},
    }
    assert again.modalities["text"].state() == planted.modalities["text"].state(), "read as the teacher reads"


def test_without_layers_of_its_own_the_student_starts_from_the_teachers_evenly_spaced(planted):
    student = Student.of(student_recipe("layers:2"), [planted])
    data = type("Data", (), {"schema": planted.schema})()
    assembly = student.assemble(student.recipe, data, say=None)
    config = student.configure(assembly, planted.modalities, planted.schema, student.recipe)
    model = student.build(assembly, config, seed=0)
    own, known = model.state_dict(), planted.backend.model.state_dict()
    assert model.depth == 2
    for name, tensor in own.items():
        source = name.replace("trunk.layers.1.", "trunk.layers.2.")
        assert torch.equal(tensor, known[source]), name
    assert any(not torch.equal(known[name.replace(".1.", ".2.")], known[name]) for name in own if "layers.1." in name)


def test_layers_of_the_teacher_make_a_bundle_with_its_tokenizer(planted, tmp_path):
    tuned = distil(planted, few(), student=student_recipe("layers:1", settings=SHORT), out=tmp_path / "s")
    assert tuned.bundle.config["trunk"]["depth"] == 1
    assert tuned.recipe.model.trunk == TEACHER
    assert tuned.bundle.modalities["text"].state() == planted.modalities["text"].state()
    assert right(tuned.bundle) > 0.6
    assert not any("to_teacher" in name for name in tuned.bundle.backend.model.state_dict())


@pytest.mark.parametrize(
    ("student", "objective"),
    [
        ("bag", "{distil: {name: distil_hidden}, task: {}}"),
        ("layers:2", "{distil: {name: distil_hidden, at: positions}, soft: {name: distil_logits}}"),
        ("layers:2", "{distil: {name: distil_hidden, at: layers}, soft: {name: distil_logits}}"),
        ("bag", "{distil: {name: distil_relations, kind: angle}, task: {}}"),
    ],
)
def test_vectors_are_learned_too(planted, student, objective, tmp_path):
    """The loss of the term falls: a projection, or positions, that do not belong together would not let it."""
    settings = (*QUICK, f"objective={objective}", "train.epochs=3", "train.early_stopping=0", "train.repeat=6")
    parts = []

    class Parts(Observer):
        def on_step(self, step, record):
            parts.append(record["loss"])
            return False

    recipe = student_recipe(student, settings=settings)
    tuned = distil(planted, few(), student=recipe, out=tmp_path / "s", callbacks=[Parts()])
    assert np.mean(parts[-3:]) < np.mean(parts[:3])
    assert set(tuned.bundle.backend.model.state_dict()) == {
        name for name, _ in tuned.bundle.backend.model.named_parameters()
    }


def test_the_vectors_at_positions_are_the_teachers_own_row_by_row(planted, tmp_path):
    texts = [*sentences(7, 2)[0], "", sentences(1, 3)[0][0]]
    encoded = Stacked((open_table({"text": texts}),)).encoded(planted.modalities, tmp_path)
    asked = np.array([8, 1, 7, 4])  # one cannot be read
    column, model = hidden_of(planted, encoded, asked, tmp_path / "h", tokens=64), planted.backend.model
    found = column[np.array([1, 7, 8, 0])]
    for row, vectors in zip((1, 8), found[[0, 2]], strict=True):
        inputs = encoded.batch([row]).map(torch.from_numpy).inputs
        with torch.no_grad():
            own = model(inputs).hidden[0].numpy()
        np.testing.assert_allclose(vectors[: len(own)], own, atol=2e-3)  # half precision
        assert np.isnan(vectors[len(own) :]).all()
    assert np.isnan(found[[1, 3]]).all(), "one that cannot be read and one that was not asked for"


def test_each_layer_of_a_student_learns_from_the_one_that_stands_as_high(planted, tmp_path):
    """Three layers teach two: the first answers to the teacher's second, the last to its last."""
    texts = sentences(5, 2)[0]
    encoded = Stacked((open_table({"text": texts}),)).encoded(planted.modalities, tmp_path)
    config = {**planted.config, "trunk": {**planted.config["trunk"], "depth": 2}}
    assert planted.config["trunk"]["depth"] == 3
    assert teaching._answering(planted, config) == {"teacher.hidden.1": 2}
    column = hidden_of(planted, encoded, np.arange(5), tmp_path / "h", tokens=64, stop=2)
    inputs = encoded.batch([3]).map(torch.from_numpy).inputs
    with torch.no_grad():
        own = planted.backend.model.lower(inputs, 2)[0].numpy()
    np.testing.assert_allclose(column[np.array([3])][0], own, atol=2e-3)
    with pytest.raises(UsageError, match="the student has 4 layers and the teacher 3"):
        teaching._answering(planted, {**config, "trunk": {**config["trunk"], "depth": 4}})


@pytest.mark.parametrize("objective", ["{}", "{distil: {name: distil_hidden}, task: {}}"])
def test_a_run_that_goes_on_gives_the_same_bits_and_asks_the_teacher_no_more(planted, objective, tmp_path, monkeypatch):
    recipe = student_recipe(
        "bag", settings=(*QUICK, "train.epochs=3", "train.early_stopping=0", f"objective={objective}")
    )
    more = {"text": sentences(60, 8)[0]}
    given = {"student": recipe, "unlabelled": more}
    whole = distil(planted, few(), **given, out=tmp_path / "whole").bundle
    with pytest.raises(KeyboardInterrupt):
        distil(planted, few(), **given, out=tmp_path / "cut", listener=stop_at(5))
    for asking in ("_answers", "_features"):
        monkeypatch.setattr(teaching, asking, lambda *given: pytest.fail("the teacher was asked again"))
    cut = distil(planted, few(), **given, out=tmp_path / "cut", resume=True).bundle
    assert same_files(whole, cut, "model.safetensors", "config.json")


def test_a_resumed_run_refuses_another_teacher_and_other_unlabelled_rows(planted, tmp_path):
    recipe = student_recipe("bag", settings=(*QUICK, "train.epochs=3", "train.early_stopping=0"))
    with pytest.raises(KeyboardInterrupt):
        distil(planted, few(), student=recipe, out=tmp_path / "s", listener=stop_at(3))
    other = fine_tune(few(), recipe=tiny(*SHORT), out=tmp_path / "other").bundle
    for changed in ({"teacher": other}, {"unlabelled": {"text": sentences(20, 9)[0]}}):
        with pytest.raises(DataChanged, match=f"the {next(iter(changed))} data is not what this run began with"):
            distil(
                changed.get("teacher", planted),
                few(),
                student=recipe,
                unlabelled=changed.get("unlabelled"),
                out=tmp_path / "s",
                resume=True,
            )


def test_answers_that_were_changed_on_disk_are_refused(tmp_path):
    first = kept(tmp_path / "t", lambda: {"a": np.arange(3.0)})
    assert kept(tmp_path / "t", lambda: pytest.fail("asked again"))["a"].tolist() == first["a"].tolist() == [0, 1, 2]
    file = tmp_path / "t" / "0.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointRefused, match=r"what the teacher said .* is not what was written") as refused:
        kept(tmp_path / "t", dict)
    assert "--force" in refused.value.do


def test_several_teachers_teach_the_mean_of_their_calibrated_log_probabilities(planted, tmp_path):
    other = fine_tune(few(), recipe=tiny(*SHORT, seed=3), out=tmp_path / "other").bundle
    recipe = student_recipe("bag", settings=SHORT)
    tuned = distil([planted, other], few(), student=recipe, out=tmp_path / "s")
    assert tuned.bundle.manifest.parent == planted.manifest.seal
    assert tuned.bundle.provenance["teachers"] == [planted.manifest.seal, other.manifest.seal]
    folder = next((tmp_path / "s.run" / "cache").glob("taught-*"))
    entries = json.loads((folder / "taught.json").read_text())
    said = np.load(folder / entries[logits_column("label")]["file"])
    texts = few()["text"]
    both = np.mean([np.log(one.predict_proba(texts)) for one in (planted, other)], axis=0)
    for row in said:  # rows of the training part, in whatever order
        assert np.abs(both - row).max(1).min() < 1e-5
    with pytest.raises(UsageError, match="a term compares vectors and there are 2 teachers"):
        vectors = student_recipe("bag", settings=(*SHORT, "objective={x: {name: distil_hidden}}"))
        distil([planted, other], few(), student=vectors, out=tmp_path / "v")


def test_labels_in_another_order_are_refused_with_both(planted, tmp_path):
    texts, labels = sentences(40, 5, labels=("bad", "good", "so"))
    with pytest.raises(UsageError, match=r"in the data and binary \['bad', 'good'\] for the teacher") as refused:
        distil(planted, {"text": texts, "label": labels}, student=student_recipe("bag"), out=tmp_path / "s")
    assert refused.value.code == "other_labels"
    turned = type(planted.schema.target)("label", "binary", ("good", "bad"))
    schema = type(planted.schema)(planted.schema.columns, (turned,))
    from dataclasses import replace

    with pytest.raises(UsageError, match=r"\['bad', 'good'\] in the data and binary \['good', 'bad'\]"):
        distil(replace(planted, schema=schema), few(), student=student_recipe("bag"), out=tmp_path / "t")


@pytest.mark.parametrize(
    ("student", "settings", "message"),
    [
        ("layers:9", (), "the teacher has 3 layers, 9 are asked for — take 1 to 3"),
        (
            "bag",
            ("objective={task: {name: cross_entropy}}",),
            "reads a teacher; add one of distil_hidden, distil_logits",
        ),
        ("bag", ("objective={x: {name: distil_hidden, at: positions}}", "train.augment=0.5"), "train.augment changes"),
        ("layers:2", ("model.read={text: {vocabulary: 400}}",), "leave data.columns and model.read out"),
        (
            "convolution",
            ("objective={x: {name: distil_hidden, at: positions}}", "model.max_length=16"),
            "student and teacher do not read alike",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(planted, student, settings, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        distil(planted, few(), student=student_recipe(student, settings=(*SHORT, *settings)), out=tmp_path / "s")


def test_a_student_named_wrongly_is_refused():
    for word in ("layers:", "layers:0", "layers:two"):
        with pytest.raises(UsageError, match="write layers:3"):
            student_recipe(word)
    with pytest.raises(RecipeError):
        student_recipe("bag", settings=["train.epoch=1"])


def test_unlabelled_rows_that_are_held_out_do_not_teach(planted, tmp_path):
    notes = []
    data = few()
    recipe = student_recipe("bag", settings=SHORT)
    tuned = distil(
        planted,
        data,
        student=recipe,
        unlabelled={"text": [*data["text"], " ".join(WORDS["good"][:3]), None]},
        out=tmp_path / "s",
        listener=notes.append,
    )
    rows = tuned.bundle.provenance["rows"]
    wanted = len(data["text"]) - rows["validation"] - rows["test"] + 1
    assert tuned.bundle.provenance["unlabelled"]["rows"] == wanted
    assert any(f"{wanted} of them unlabelled" in event.text for event in notes)


def test_numbers_and_many_labels_are_taught_too(tmp_path):
    texts, labels = sentences(120, 0)
    stars = [str(1.0 + 3 * (label == "good") + 0.1 * (at % 3)) for at, label in enumerate(labels)]
    keys = [";".join(sorted({label, "x" if at % 3 else "y"})) for at, label in enumerate(labels)]
    for target, values, task in (("stars", stars, "regression"), ("keys", keys, "multilabel")):
        source = {"text": texts, target: values}
        settings = (*SHORT, f"data.target={target}", f"data.task={task}")
        longer = (*settings, "train.repeat=10", "train.learning_rate=0.003")
        teacher = fine_tune(source, recipe=tiny(*longer), out=tmp_path / f"{target}-teacher").bundle
        recipe = student_recipe("bag", settings=(*SHORT, "objective={only: {name: distil_logits}}", "train.repeat=30"))
        more = {"text": sentences(60, 3)[0]}
        student = distil(teacher, source, student=recipe, unlabelled=more, out=tmp_path / target).bundle
        said, told = (one.answer(more).probabilities[target].ravel() for one in (student, teacher))
        assert np.corrcoef(said, told)[0, 1] > 0.7, target


def test_augmented_unlabelled_rows_are_read_from_their_own_table(planted, tmp_path):
    recipe = student_recipe("bag", settings=(*SHORT, "train.augment=1.0"))
    more = {"text": sentences(30, 6)[0]}
    tuned = distil(planted, few(), student=recipe, unlabelled=more, out=tmp_path / "s")
    assert tuned.bundle.provenance["unlabelled"]["rows"] == 30


def test_a_teacher_that_was_exported_gives_answers_but_no_layers(planted, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from underlay.compress.export import export

    student = distil(planted, few(), student=student_recipe("bag", settings=SHORT), out=tmp_path / "bag").bundle
    export(tmp_path / "bag", tmp_path / "bag-onnx", seconds=0.1)
    graph = open_bundle(tmp_path / "bag-onnx")
    texts = sentences(50, 11)[0]
    np.testing.assert_allclose(graph.predict_proba(texts), student.predict_proba(texts), atol=1e-5)
    again = distil(
        graph,
        few(),
        student=student_recipe(
            "convolution", settings=(*SHORT, "model.options={width: 32, depth: 1, kernels: [3, 5]}")
        ),
        out=tmp_path / "c",
    )
    assert again.bundle.manifest.parent == graph.manifest.seal
    for student, objective in (("layers:1", "{}"), ("bag", "{x: {name: distil_hidden}}")):
        with pytest.raises(UsageError, match="is an exported bundle"):
            recipe = student_recipe(student, settings=(*SHORT, f"objective={objective}"))
            distil(graph, few(), student=recipe, out=tmp_path / "no")


def test_the_public_door_takes_models_and_folders_and_names_of_students(planted, tmp_path):
    model = underlay.distil(planted.path, few(), "bag", settings=SHORT)
    assert model.artefact.manifest.parent == planted.manifest.seal
    assert set(model.predict([" ".join(WORDS["good"][:3])])) <= {"bad", "good"}
    with pytest.raises(UsageError, match=r"give a list: settings=\['train.epochs=1'\]"):
        underlay.distil(planted.path, few(), "bag", settings="train.epochs=1")


def test_a_real_sample_teaches_a_bag(tmp_path):
    """Movie snippets: the teacher learns from 320 rows, the student from 60 and from its word on the others."""
    table = open_table("sample:movie-snippets")
    rows = np.arange(0, len(table), len(table) // 320)[:320]
    texts, labels = table.values("text", rows), table.values("label", rows)
    taught = tiny(*QUICK, "train.epochs=1", "train.repeat=20", "train.learning_rate=0.003")
    teacher = fine_tune({"text": texts, "label": labels}, recipe=taught, out=tmp_path / "t").bundle
    steps = ("train.epochs=1", "train.repeat=32", "train.learning_rate=0.003")  # 6 rows cannot choose an epoch
    recipe = student_recipe("bag", settings=(*QUICK, *steps))
    student = distil(
        teacher,
        {"text": texts[:60], "label": labels[:60]},
        student=recipe,
        unlabelled={"text": texts[60:]},
        out=tmp_path / "s",
    ).bundle
    said, told = (one.predict_proba(texts[60:])[:, 1] for one in (student, teacher))
    assert np.corrcoef(said, told)[0, 1] > 0.7
