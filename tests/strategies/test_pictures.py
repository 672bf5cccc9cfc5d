"""From a folder of pictures to a bundle that answers them, resumed, verified, and with broken files among the good."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.strategies.conftest import flags, start, tiny

from underlay.bundle import open_bundle, verify
from underlay.core import MissingExtra
from underlay.data import open_table
from underlay.strategies import fine_tune

SMALL = (
    "model.trunk=resnet",
    "model.options={stages: [[1, 8], [1, 16]], width: 16, groups: 4}",
    "train.epochs=8",
    "train.learning_rate=0.02",
)
COUNT = 220


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """220 digits as class folders of PNG files, every seventh under another label, two files broken."""
    table = open_table("sample:digits")
    place = tmp_path_factory.mktemp("pictures") / "digits"
    for row, (picture, label) in enumerate(zip(table.values("image"), table.values("label"), strict=True)):
        if row < COUNT:
            label = str((int(label) + 1) % 10) if row % 7 == 0 else label
            (place / label).mkdir(parents=True, exist_ok=True)
            (place / label / f"{row:04}.png").write_bytes(picture)
    (place / "3" / "page.png").write_bytes(b"<!doctype html><title>404</title>")
    (place / "7" / "empty.png").write_bytes(b"")
    return place


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    events = []
    out = tmp_path_factory.mktemp("run") / "bundle"
    return fine_tune(str(folder), recipe=tiny(*SMALL), out=out, listener=events.append), events


def test_a_folder_of_pictures_becomes_a_bundle_better_than_chance(tuned, folder):
    fitted, events = tuned
    said = "\n".join(event.text for event in events)
    assert "read as image" in said
    assert "2 rows set aside" in said
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] > 0.4
    names = [opponent.name for opponent in fitted.report.targets[0].opponents]
    assert names == ["Majority class", "pixels + gradients + logistic regression"]
    assert fitted.bundle.modalities["image"].size == 8


def test_the_report_shows_the_pictures_that_were_answered_wrongly(tuned, folder):
    fitted, _ = tuned
    mistakes = fitted.report.targets[0].mistakes
    assert mistakes
    for one in mistakes:
        assert one.pictures["image"] == fitted.bundle.modalities["image"].thumbnail(one.value), "of that very file"
    html = (fitted.bundle.path.with_name("bundle.run") / "report.html").read_text(encoding="utf-8")
    assert html.count('<img src="data:image/png;base64,') == len(mistakes)


def test_the_bundle_verifies_and_answers_paths_bytes_and_arrays_alike(tuned, folder):
    bundle = open_bundle(tuned[0].bundle.path)
    assert verify(bundle.path).golden.difference < 1e-5
    path = min((folder / "5").iterdir())
    pixels = bundle.modalities["image"].encode(str(path))["pixels"]
    values = [str(path), path.read_bytes(), pixels, {"bytes": path.read_bytes()}]
    answers = bundle.answer({"image": values})
    assert not answers.problems
    assert np.ptp(answers.logits["label"], axis=0).max() < 1e-5
    problems = bundle.answer({"image": [str(folder / "3" / "page.png"), str(path), None]}).problems
    assert {row: problem.code for row, problem in problems.items()} == {0: "image_format", 2: "missing_image"}


def test_a_run_that_was_stopped_ends_with_the_same_weights(tuned, folder, tmp_path):
    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 11:
            raise KeyboardInterrupt

    out = tmp_path / "bundle"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(str(folder), recipe=tiny(*SMALL), out=out, listener=stop)
    assert not out.exists()
    said = []
    fine_tune(str(folder), recipe=tiny(*SMALL), out=out, resume=True, listener=said.append)
    assert any("going on with the run" in event.text for event in said)
    for name in ("model.safetensors", "golden.jsonl"):
        assert (out / name).read_bytes() == (tuned[0].bundle.path / name).read_bytes()


def test_patches_on_a_sequence_trunk_and_augmented_pictures_learn_too(folder, tmp_path):
    settings = (
        "model.options={width: 32, depth: 1, kernels: [3]}",
        "model.read={image: {patch: 2, augment: {policy: 1}}}",
    )
    fitted = fine_tune(
        str(folder),
        recipe=tiny(*settings, "train.epochs=6", "train.learning_rate=0.01", "train.augment=0.5"),
        out=tmp_path / "b",
    )
    assert fitted.bundle.modalities["image"].describe()["patch"] == 2
    assert fitted.bundle.metrics["label"]["accuracy"]["value"] > 0.2


def test_the_command_answers_every_good_file_of_a_table_and_exits_with_three(tuned, folder, tmp_path):
    place = tmp_path / "here"
    shutil.copytree(folder, place / "digits")
    with (place / "list.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "note"])
        rows.writerows([[f"digits/5/{name.name}", "good"] for name in sorted((folder / "5").iterdir())[:4]])
        rows.writerows([["digits/3/page.png", "bad"], ["digits/none.png", "bad"], ["digits/7", "bad"]])
    command = ["predict", str(tuned[0].bundle.path), "here/list.csv", "--out", "answers.csv"]
    process = start(*command, folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 3, said
    assert "bad_rows" in said
    assert "3 rows" in said
    with (tmp_path / "answers.csv").open(encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    assert all(bool(row["prediction"]) == (row["note"] == "good") for row in answers)
    assert all(bool(row["error"]) == (row["note"] == "bad") for row in answers)
    assert "HTML page" in answers[4]["error"]


def test_one_file_is_a_value_and_a_class_folder_is_data(tuned, folder, tmp_path):
    path = min((folder / "0").iterdir())
    process = start("predict", str(tuned[0].bundle.path), str(path), folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert said.split("\t")[0] in "0123456789"
    process = start("predict", str(tuned[0].bundle.path), str(folder), "--out", "all.csv", folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 3, said
    assert len((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()) == COUNT + 3


def test_bytes_stand_in_a_text_file_by_their_number_and_in_a_parquet_file_whole(tuned, folder, tmp_path):
    content = min((folder / "2").iterdir()).read_bytes()
    rows = pa.table({"image": [content, None], "pair": [{"bytes": content, "path": "a.png"}, None]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    for ending in ("csv", "jsonl", "parquet"):
        words = ["predict", str(tuned[0].bundle.path), "rows.parquet", "--out", f"a.{ending}"]
        process = start(*words, folder=tmp_path)
        said, _ = process.communicate(timeout=100)
        assert process.returncode == 3, said
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert text.startswith(f"image,pair,prediction,confidence,error\n{len(content)} bytes,")
    first = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["pair"] == {"bytes": f"{len(content)} bytes", "path": "a.png"}
    assert pq.read_table(tmp_path / "a.parquet").column("image").to_pylist() == [content, None]


def test_the_command_fits_a_folder_with_a_broken_file(folder, tmp_path):
    process = start(
        "fit", str(folder), "--image", "image", "--out", "bundle", *flags(*SMALL, "train.epochs=1"), folder=tmp_path
    )
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "2 rows set aside" in said
    assert said.splitlines()[-1].endswith("bundle")


def test_a_folder_of_broken_files_ends_with_exit_three(folder, tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "bad" / label).mkdir(parents=True)
        for number in range(12):
            (tmp_path / "bad" / label / f"{number}.jpg").write_bytes(b"not a picture")
    process = start("fit", "bad", "--out", "bundle", *flags(*SMALL), folder=tmp_path)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 3, said
    assert "no_image" in said
    assert "a text file" in said


def test_without_pillow_the_extra_is_named(folder, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"underlay\[image\]"):
        fine_tune(str(folder), recipe=tiny(*SMALL), out=tmp_path / "bundle")
