"""`underlay data check` on files and series: each kind named by its flag, what is wrong with them placed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from underlay.data import open_table


def checked(underlay, *words: str) -> tuple[dict, str, int]:
    done = underlay("data", "check", *words, "--json")
    found = json.loads(done.stdout) if done.stdout else {}
    return {one["code"]: one for one in found.get("findings", ())}, done.stderr, done.returncode


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A table of sixty digits, of which one is twice there, one is blank, one is a page and one is missing."""
    pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    digits = open_table("sample:digits")
    rows = [("photo", "kind")]
    for row, (content, label) in enumerate(zip(digits.values("image"), digits.values("label"), strict=True)):
        if row == 60:
            break
        (tmp_path / f"{row}.png").write_bytes(content)
        rows.append((f"{row}.png", "even" if int(label) % 2 == 0 else "odd"))
    (tmp_path / "same.png").write_bytes((tmp_path / "0.png").read_bytes())
    pillow.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "blank.png")
    (tmp_path / "page.png").write_text("<!doctype html><title>404</title>")
    rows += [(name, "odd") for name in ("same.png", "blank.png", "page.png", "gone.png")]
    path = tmp_path / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_files_of_pictures_are_looked_into_row_by_row(pictures, underlay):
    found, _, code = checked(underlay, str(pictures), "--image", "photo", "--target", "kind")
    assert code == 0
    assert found["image_format"]["rows"] == ["list.csv, line 64"]
    assert "HTML page" in found["image_format"]["message"]
    assert found["file_missing"]["rows"] == ["list.csv, line 65"]
    assert found["blank_picture"]["rows"] == ["list.csv, line 63"]
    assert found["duplicate_rows"]["rows"] == ["list.csv, line 62"]
    assert "pictures of 8 x 8 pixels" in found["sizes"]["message"]
    assert checked(underlay, str(pictures), "--image", "photo", "--target", "kind", "--strict")[2] == 3


def test_nothing_is_fetched_to_look_into_pictures_that_a_trained_trunk_suits(tmp_path, underlay):
    pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    rng = np.random.default_rng(0)
    for row in range(24):
        folder = tmp_path / "photos" / ("night" if row % 2 else "day")
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 100 if row % 2 else 256, (6, 6, 3), dtype=np.uint8)
        pillow.fromarray(coarse).resize((120, 120)).save(folder / f"{row}.png")
    away = {"UNDERLAY_CACHE": str(tmp_path / "nothing here"), "UNDERLAY_OFFLINE": "1"}
    done = underlay("data", "check", "photos", "--json", **away)
    assert done.returncode == 0, done.stderr
    assert "sizes" in {one["code"] for one in json.loads(done.stdout)["findings"]}
    assert not (tmp_path / "nothing here").exists()


def test_recordings_are_looked_into_likewise(tmp_path, underlay):
    pytest.importorskip("soundfile", reason="the extra audio is not installed")
    from tests.modalities.sounds import file_bytes, write_classes

    folder = write_classes(tmp_path / "sounds", 12)
    (folder / "tones" / "silent.wav").write_bytes(file_bytes(np.zeros(4_000, np.float32), 8_000))
    (folder / "tones" / "torn.wav").write_bytes((folder / "tones" / "000.wav").read_bytes()[:-900])
    (folder / "tones" / "twice.wav").write_bytes((folder / "tones" / "001.wav").read_bytes())
    found, _, code = checked(underlay, str(folder), "--audio", "audio")
    assert code == 0
    assert found["silent_recording"]["count"] == 1
    assert found["truncated"]["count"] == 1
    assert "breaks off" in found["truncated"]["message"]
    assert found["duplicate_rows"]["count"] == 1
    assert "in 8,000 Hz" in found["sizes"]["message"]


def test_series_are_looked_into_likewise(tmp_path, underlay):
    rng = np.random.default_rng(0)
    rows = [[json.dumps(rng.normal(size=24).round(3).tolist()), "slow" if row % 2 else "quick"] for row in range(40)]
    rows += [["[1, 1, 1, 1]", "slow"], ["[1, null, null, 2, null]", "slow"], ["[1, Infinity]", "slow"], rows[0]]
    path = tmp_path / "waves.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["wave", "kind"], *rows])
    found, _, code = checked(underlay, str(path), "--series", "wave", "--target", "kind")
    assert code == 0
    assert found["constant_series"]["rows"] == ["waves.csv, line 42"]
    assert found["gappy_series"]["rows"] == ["waves.csv, line 43"]
    assert found["infinite"]["rows"] == ["waves.csv, line 44"]
    assert found["duplicate_rows"]["rows"] == ["waves.csv, line 45"]
    assert "1 channel" in found["sizes"]["message"]


def test_two_flags_for_one_column_are_an_error(pictures, underlay):
    done = underlay("data", "check", str(pictures), "--image", "photo", "--text", "photo")
    assert done.returncode == 2
    assert "both name 'photo'" in done.stderr
