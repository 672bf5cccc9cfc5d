"""What is not what it was when it was sealed is refused, with exit code 4 and a sentence that says which."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from underlay.bundle import open_bundle, seal, valid_name, verify
from underlay.bundle.opening import _check_outputs
from underlay.core import BundleRefused, Column, Schema, Target

Copy = Callable[[], Path]


def refusal(folder: Path) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        open_bundle(folder)
    assert caught.value.exit_code == 4
    return caught.value


def change_json(path: Path, change: Callable[[dict], None]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.row("B01")
def test_a_manifest_that_is_missing_or_no_strict_json_is_refused(copy: Copy) -> None:
    folder = copy()
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").unlink()
    assert "manifest.json" in str(refusal(folder))
    for broken in ("", "[]", "not json", manifest.replace('"revision"', '"format": 1, "revision"'), manifest + "NaN"):
        (folder / "manifest.json").write_text(broken, encoding="utf-8")
        assert refusal(folder).code == "digest_mismatch"
    (folder / "manifest.json").write_bytes(b"[" * 100_000)
    assert "deeper" in str(refusal(folder))


@pytest.mark.row("B01")
def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").code == "no_bundle"
    assert refusal(tmp_path).code == "no_bundle"


@pytest.mark.row("B01")
def test_a_bundle_that_lost_its_manifest_is_told_what_is_missing(copy: Copy) -> None:
    folder = copy()
    (folder / "manifest.json").unlink()
    assert refusal(folder).code == "missing_file"


@pytest.mark.row("B02")
def test_two_hundred_flipped_bits_are_all_a_digest_mismatch(copy: Copy) -> None:
    folder = copy()
    rng = np.random.default_rng(0)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number in range(200):
        path = files[number % len(files)]
        sound = path.read_bytes()
        place, bit = int(rng.integers(len(sound))), int(rng.integers(8))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :])
        assert refusal(folder).code == "digest_mismatch", (path, place, bit)
        path.write_bytes(sound)
    assert verify(folder).files == len(files) - 1


@pytest.mark.row("B02")
def test_every_bit_of_the_manifest_is_guarded(copy: Copy) -> None:
    folder = copy()
    path = folder / "manifest.json"
    sound = path.read_bytes()
    for place in range(0, len(sound), 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
        assert refusal(folder).code == "digest_mismatch"


@pytest.mark.row("B03")
def test_a_file_that_was_cut_or_grew_is_refused(copy: Copy) -> None:
    folder = copy()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        sound = path.read_bytes()
        for cut in {len(sound) * i // 20 for i in range(20)}:
            path.write_bytes(sound[:cut])
            assert refusal(folder).code == "digest_mismatch", (path, cut)
        path.write_bytes(sound + b"\n")
        assert refusal(folder).code == "digest_mismatch"
        path.write_bytes(sound)


@pytest.mark.row("B04")
def test_a_missing_file_and_an_extra_one_are_named(copy: Copy) -> None:
    names = [path.relative_to(folder).as_posix() for folder in [copy()] for path in folder.rglob("*") if path.is_file()]
    for name in names:
        folder = copy()
        (folder / name).unlink()
        error = refusal(folder)
        assert error.code == "missing_file"
        assert name in str(error)
    for extra in ("notes.txt", "modality/00/more.json", ".hidden"):
        folder = copy()
        (folder / extra).write_text("{}", encoding="utf-8")
        assert refusal(folder).code == "extra_file"
        assert extra in str(refusal(folder))
    folder = copy()
    (folder / "empty").mkdir()
    assert refusal(folder).code == "extra_file"


@pytest.mark.row("B04")
def test_a_bundle_without_a_required_file_is_refused_even_where_the_manifest_agrees(
    copy: Copy, tiny: ModuleType
) -> None:
    folder = copy()
    (folder / "golden.jsonl").unlink()
    tiny.reseal(folder)
    assert "golden.jsonl" in str(refusal(folder))


@pytest.mark.row("B05")
@pytest.mark.parametrize(
    "path", ["../x.json", "/etc/x.json", "a//b.json", "A.json", "con.json", "a/../b.json", ".x.json"]
)
def test_a_manifest_that_names_a_strange_path_is_refused(copy: Copy, path: str) -> None:
    from underlay.bundle.manifest import render_manifest

    folder = copy()
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    del files["manifest.json"]
    manifest = render_manifest(files | {path: b"{}"}, underlay="0.1.0", created="now")
    (folder / "manifest.json").write_bytes(manifest)
    assert refusal(folder).code == "path"


@pytest.mark.row("B05")
def test_links_and_pipes_are_no_files_of_a_bundle(copy: Copy, tmp_path: Path) -> None:
    def symlink(path: Path) -> None:
        target = tmp_path / "aside"
        shutil.move(path, target)
        path.symlink_to(target)

    def hard_link(path: Path) -> None:
        os.link(path, tmp_path / "second name")

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    for change in (symlink, hard_link, pipe):
        for name in ("card.md", "manifest.json"):
            folder = copy()
            change(folder / name)
            assert refusal(folder).code == "path"
            for left in tmp_path.glob("aside"), tmp_path.glob("second name"):
                [path.unlink() for path in left]
    folder = copy()
    shutil.move(folder / "modality", tmp_path / "modality")
    (folder / "modality").symlink_to(tmp_path / "modality")
    assert refusal(folder).code in ("extra_file", "missing_file", "path")


@pytest.mark.row("B09")
def test_labels_that_do_not_fit_the_outputs_are_refused(copy: Copy, tiny: ModuleType) -> None:
    def labels(names: list[str]) -> BundleRefused:
        folder = copy()
        entries = [{"index": i, "name": name, "threshold": None} for i, name in enumerate(names)]
        change_json(folder / "labels.json", lambda data: data["label"].update(labels=entries))
        change_json(folder / "config.json", lambda data: data["schema"]["targets"][0].update(labels=names))
        if len(names) != 2:
            change_json(folder / "config.json", lambda data: data["schema"]["targets"][0].update(task="multiclass"))
            change_json(folder / "labels.json", lambda data: data["label"].update(task="multiclass"))
        tiny.reseal(folder)
        return refusal(folder)

    assert labels(["bad", "good", "best"]).code == "labels"
    assert labels(["bad", "bad"]).code == "labels"
    assert labels(["good", "bad"]).code == "golden"


@pytest.mark.row("B09")
def test_labels_in_another_order_than_the_schema_are_refused(copy: Copy, tiny: ModuleType) -> None:
    folder = copy()
    change_json(folder / "labels.json", lambda data: data["label"]["labels"].reverse())
    tiny.reseal(folder)
    assert refusal(folder).code == "labels"


@pytest.mark.row("B10")
def test_config_keys_outside_the_list_are_refused(copy: Copy, tiny: ModuleType) -> None:
    def add(where: str, key: str, value: object) -> str:
        folder = copy()
        change_json(folder / "config.json", lambda data: (data[where] if where else data).update({key: value}))
        tiny.reseal(folder)
        return refusal(folder).code

    assert add("", "auto_map", {"AutoModel": "evil.Model"}) == "config_key"
    assert add("", "trust_remote_code", True) == "config_key"
    assert add("schema", "loader", "https://example.org/x.py") == "config_key"
    assert add("modalities", "other", {"name": "text.v1", "folder": "modality/00"}) == "config_key"
    assert add("", "backend", "os.system") == "config_name"
    assert add("", "backend", "linear") == "config_name"
    assert add("", "backend", "nowhere.v1") == "config_name"
    assert add("modalities", "text", {"name": "pickle.v1", "folder": "modality/00"}) == "config_name"
    assert add("modalities", "text", {"name": "text.v1", "folder": "modality/00", "hub": "a/b"}) == "config_key"
    folder = copy()
    change_json(folder / "modality/00/text.json", lambda data: data["options"].update(script="evil.py"))
    tiny.reseal(folder)
    assert refusal(folder).code == "modality"


@pytest.mark.row("B11")
@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x04\x95", b"\x7fELF", b"#!/bin/sh", b"\x1f\x8b", b"MZ"])
def test_code_archives_and_pickles_are_refused_under_any_name(copy: Copy, tiny: ModuleType, start: bytes) -> None:
    for name in ("card.md", "reference.json", "extra.onnx"):
        folder = copy()
        (folder / name).write_bytes(start + b"rest")
        tiny.reseal(folder)
        assert refusal(folder).code == "file_kind"


@pytest.mark.row("B11")
@pytest.mark.parametrize("name", ["model.py", "model.so", "model.pkl", "model.pt", "run"])
def test_files_that_are_not_data_are_refused_by_name(copy: Copy, tiny: ModuleType, name: str) -> None:
    folder = copy()
    (folder / name).write_text("{}", encoding="utf-8")
    tiny.reseal(folder)
    assert refusal(folder).code == "file_kind"


@pytest.mark.row("B13")
def test_another_valid_vocabulary_is_caught_by_the_golden_rows(copy: Copy, tiny: ModuleType) -> None:
    folder = copy()

    def permute(data: dict) -> None:
        vocabulary = data["model"]["vocab"]
        names, numbers = list(vocabulary)[5:], list(vocabulary.values())[5:]
        vocabulary.update(zip(names, numbers[1:] + numbers[:1], strict=True))

    change_json(folder / "modality/00/tokenizer.json", permute)
    tiny.reseal(folder)
    assert refusal(folder).code == "golden"


@pytest.mark.row("B13")
def test_another_valid_normaliser_is_caught_by_the_golden_rows(copy: Copy, tiny: ModuleType) -> None:
    folder = copy()
    other = {"type": "Strip", "strip_left": True, "strip_right": True}
    change_json(folder / "modality/00/tokenizer.json", lambda data: data.update(normalizer=other))
    tiny.reseal(folder)
    assert refusal(folder).code == "golden"


@pytest.mark.row("B14")
def test_a_newer_bundle_is_refused_with_the_version_it_needs(copy: Copy) -> None:
    from hashlib import sha256

    for field, value in (("format", 2), ("revision", 7)):
        folder = copy()
        path = folder / "manifest.json"
        change_json(path, lambda data, field=field, value=value: data.update({field: value, "needs": "3.1.0"}))
        assert "it needs Underlay 3.1.0" in str(refusal(folder))
        zeroed = json.loads(path.read_text(encoding="utf-8"))
        zeroed["seal"] = "0" * 64
        blank = json.dumps(zeroed).encode()
        path.write_bytes(blank.replace(b"0" * 64, sha256(blank).hexdigest().encode()))
        error = refusal(folder)
        assert error.code == "newer_format"
        assert "it needs Underlay 3.1.0" in str(error)


@pytest.mark.row("B15")
@pytest.mark.parametrize(
    "name", ["..", "a/b", "A", "con", "con.json", "a" * 65, "pаypal", ".x", "%2e%2e", "..%5c", "", "a..b", "x.", "-x"]
)
def test_a_name_that_some_file_system_or_url_reads_otherwise_is_none(name: str) -> None:
    assert not valid_name(name)
    assert valid_name("reviews-1.2_b")


@pytest.mark.row("B17")
def test_golden_rows_hold_at_least_eight_probes_and_every_label(sealed: Path) -> None:
    header, *rows = [json.loads(line) for line in (sealed / "golden.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 8
    assert header["unreached"] == {"label": []}
    assert {row["decisions"]["label"] for row in rows} == {"bad", "good"}


@pytest.mark.row("B17")
def test_golden_rows_are_no_training_rows(sealed: Path, tiny: ModuleType) -> None:
    rows = [json.loads(line) for line in (sealed / "golden.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    assert not {row["inputs"]["text"] for row in rows} & set(tiny.TEXTS)


@pytest.mark.row("B17")
def test_a_moved_score_or_decision_too_few_rows_or_a_loose_tolerance_are_refused(copy: Copy, tiny: ModuleType) -> None:
    def golden(change: Callable[[list[dict]], object]) -> str:
        folder = copy()
        path = folder / "golden.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        tiny.reseal(folder)
        return refusal(folder).code

    assert (
        golden(lambda lines: lines[3]["scores"]["label"].__setitem__(0, lines[3]["scores"]["label"][0] + 2e-5))
        == "golden"
    )
    assert golden(lambda lines: lines[1]["decisions"].update(label="nothing")) == "golden"
    assert golden(lambda lines: lines.__delitem__(slice(5, None))) == "golden"
    assert golden(lambda lines: lines[0]["tolerance"].update(same=0.5)) == "golden"
    assert golden(lambda lines: lines[2]["inputs"].update(text="")) == "golden"
    assert golden(lambda lines: lines[2].update(inputs={})) == "golden"


@pytest.mark.row("B17")
def test_a_changed_temperature_is_caught_by_the_golden_rows(copy: Copy, tiny: ModuleType) -> None:
    folder = copy()
    change_json(folder / "labels.json", lambda data: data["label"].update(temperature=1.01))
    tiny.reseal(folder)
    assert refusal(folder).code == "golden"


def test_what_fails_its_own_replay_is_never_published(tiny: ModuleType, tmp_path: Path) -> None:
    poisoned = tiny.contents()
    poisoned.weights["embedding"][7, 3] = np.nan
    with pytest.raises(BundleRefused):
        seal(tmp_path / "bundle", poisoned)
    assert list(tmp_path.iterdir()) == []


def test_columns_of_one_trunk_stand_in_the_order_of_the_schema_and_those_of_branches_by_branch():
    schema = Schema((Column("a", "text"), Column("b", "text")), (Target("label", "binary", ("no", "yes")),))
    heads = [{"target": "label", "outputs": 2}]
    stems = [{"column": "b"}, {"column": "a"}]
    with pytest.raises(BundleRefused, match="the model reads"):
        _check_outputs({"heads": heads, "stems": stems}, schema)
    _check_outputs({"heads": heads, "stems": stems[::-1]}, schema)
    _check_outputs({"heads": heads, "branches": [{"stems": [one]} for one in stems]}, schema)
    with pytest.raises(BundleRefused, match="the model reads"):
        _check_outputs({"heads": heads, "branches": [{"stems": stems[:1]}]}, schema)
