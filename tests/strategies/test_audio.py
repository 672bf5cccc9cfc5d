"""Recordings from a folder to answers: the same path as every other kind of input."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("soundfile", reason="the extra audio is not installed")
from tests.modalities.sounds import chirp, file_bytes, write_classes
from tests.strategies.conftest import flags, kill_at, start, tiny

import underlay
from underlay.bundle import open_bundle, verify
from underlay.strategies import FineTuned, fine_tune

LEARN = ("train.epochs=12", "train.early_stopping=0", "train.batch_rows=16", "data.suspects=false")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty recordings of each of three kinds."""
    return write_classes(tmp_path_factory.mktemp("sounds") / "sounds", 40)


@pytest.fixture(scope="module")
def heard(folder: Path) -> FineTuned:
    """A finished run on them."""
    return fine_tune(str(folder), recipe=tiny(*LEARN), out=folder.parent / "bundle", listener=lambda event: None)


def test_a_folder_of_recordings_becomes_a_bundle_that_hears(heard: FineTuned, folder: Path) -> None:
    bundle = underlay.load(heard.bundle.path)
    assert bundle.schema.columns[0].modality == "audio"
    assert bundle.labels == ("chirps", "noises", "tones")
    paths = sorted(folder.glob("*/0[0-3]*.wav"))
    answers = bundle.predict([str(path) for path in paths])
    assert np.mean([answer == path.parent.name for answer, path in zip(answers, paths, strict=True)]) > 0.85
    assert bundle.predict([paths[0].read_bytes()]) == answers[:1]
    assert verify(heard.bundle.path).golden.rows >= 8


def test_bad_recordings_are_named_and_the_others_are_answered(heard: FineTuned, folder: Path) -> None:
    bundle = open_bundle(heard.bundle.path)
    good = str(next(folder.glob("tones/*.wav")))
    answers = bundle.answer({"audio": [good, b"<html>", None, "nothing.wav", good]})
    assert {row: problem.code for row, problem in answers.problems.items()} == {
        1: "not_audio",
        2: "missing_audio",
        3: "file_missing",
    }
    assert answers.predictions["label"][0] == answers.predictions["label"][4] is not None


def test_the_command_line_answers_one_recording_and_ends_with_3_on_a_bad_one(
    heard: FineTuned, folder: Path, tmp_path: Path, underlay
) -> None:
    good = next(folder.glob("noises/*.wav"))
    bad = tmp_path / "page.wav"
    bad.write_text("<!DOCTYPE html><html>404</html>")
    one = underlay("predict", str(heard.bundle.path), str(good))
    assert one.returncode == 0, one.stderr
    assert one.stdout.split("\t")[0] in ("chirps", "noises", "tones")
    alone = underlay("predict", str(heard.bundle.path), str(bad))
    assert alone.returncode == 3
    assert "an HTML page" in alone.stderr
    (tmp_path / "new.csv").write_text(f"audio\n{good}\npage.wav\n")
    table = underlay("predict", str(heard.bundle.path), "new.csv", "--out", "answers.csv")
    assert table.returncode == 3, table.stderr
    rows = (tmp_path / "answers.csv").read_text().splitlines()
    assert len(rows) == 3
    assert "an HTML page" in rows[2]


def test_fit_sets_bad_recordings_aside(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "sounds", 12)
    (folder / "tones" / "000.wav").write_text("<html>not found</html>")
    (folder / "tones" / "001.wav").write_bytes(b"")
    said = []
    tuned = fine_tune(
        str(folder), recipe=tiny("train.epochs=1", "data.suspects=false"), out=tmp_path / "b", listener=said.append
    )
    assert any("2 rows set aside" in event.text for event in said if event.kind == "warning")
    assert tuned.bundle.path is not None


def finish(process: "subprocess.Popen[str]") -> int:
    process.communicate(timeout=200)
    return process.returncode


def test_a_killed_run_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    settings = ("train.epochs=4", "train.early_stopping=0", "train.augment=0.5", "data.suspects=false")
    words = ("fit", str(folder), *flags(*settings))
    assert finish(start(*words, "--out", "whole", folder=tmp_path)) == 0
    process = start(*words, "--out", "cut", folder=tmp_path)
    kill_at(process, "epoch 2: validation")
    assert not (tmp_path / "cut").exists()
    assert finish(start(*words, "--out", "cut", "--resume", folder=tmp_path)) == 0
    whole, cut = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


@pytest.mark.parametrize("kind", ["bytes", "structs", "arrays"])
def test_recordings_in_a_parquet_column_are_known_by_what_they_hold(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sounds = [chirp(*rng.uniform(300, 3_000, 2), 0.3, 8_000) for _ in range(60)]
    cells = {
        "bytes": lambda: [file_bytes(sound, 8_000, "FLAC") for sound in sounds],
        "structs": lambda: [{"bytes": file_bytes(sound, 8_000), "path": None} for sound in sounds],
        "arrays": lambda: [{"array": sound.tolist(), "sampling_rate": 8_000} for sound in sounds],
    }[kind]()
    labels = ["up" if at % 2 else "down" for at in range(60)]
    pq.write_table(pa.table({"clip": pa.array(cells), "label": labels}), tmp_path / "sounds.parquet")
    recipe = tiny("train.epochs=1", "data.suspects=false")
    tuned = fine_tune(str(tmp_path / "sounds.parquet"), recipe=recipe, out=tmp_path / "b", listener=lambda event: None)
    assert tuned.bundle.schema.columns[0].modality == "audio"
    assert tuned.bundle.modalities["clip"].rate == 8_000
    assert tuned.bundle.predict([{"clip": cells[0]}])[0] in ("up", "down")


def test_a_spatial_trunk_reads_the_spectrogram_as_a_picture(folder: Path, tmp_path: Path) -> None:
    recipe = tiny(
        "model.trunk=resnet", "model.options={width: 16, stages: [[1, 8], [1, 16]]}", "train.epochs=1",
        "data.suspects=false",
    )  # fmt: skip
    tuned = fine_tune(str(folder), recipe=recipe, out=tmp_path / "b", listener=lambda event: None)
    stem = json.loads((tmp_path / "b" / "config.json").read_text())
    assert "picture.v1" in json.dumps(stem)
    assert tuned.bundle.predict([str(next(folder.glob("*/*.wav")))])[0] in ("chirps", "noises", "tones")
