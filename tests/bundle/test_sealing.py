"""A bundle is whole or absent, whatever happens while it is written."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from underlay.bundle import Bundle, open_bundle, save_copy, seal, verify
from underlay.core import BundleRefused, OutputExists, ResourceError

SCRIPT = Path(__file__).with_name("tiny.py")
strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace injects the faults")


def run_injected(folder: Path, calls: str, fault: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    command = [*command, "-o", os.devnull, sys.executable, str(SCRIPT), str(folder)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)


def count_calls(folder: Path, calls: str) -> int:
    trace = folder.with_name("trace")
    command = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(trace)]
    subprocess.run([*command, sys.executable, str(SCRIPT), str(folder)], check=True, capture_output=True, timeout=60)
    return len(re.findall(rf"\b(?:{calls.replace(',', '|')})\(", trace.read_text(encoding="utf-8")))


def test_what_is_sealed_verifies_and_answers_after_a_restart(sealed: Path, tiny: ModuleType) -> None:
    outcome = verify(sealed)
    assert outcome.golden.difference == 0.0
    assert outcome.golden.same_machine
    assert outcome.golden.rows >= 8
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import tiny\n"
        f"from underlay.bundle import open_bundle\nprint(open_bundle({str(sealed)!r}).predict(tiny.TEXTS))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert elsewhere.stdout.strip() == str(open_bundle(sealed).predict(tiny.TEXTS))


def test_the_same_contents_give_the_same_files(tiny: ModuleType, tmp_path: Path) -> None:
    first, second = (seal(tmp_path / name, tiny.contents()) for name in ("a", "b"))
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest.files == second.manifest.files


def test_figures_on_the_card_are_measured_on_what_stands_on_disk(tiny: ModuleType, tmp_path: Path) -> None:
    seen: list[Path] = []

    def measure(bundle: Bundle) -> dict:
        assert bundle.path is not None
        assert (bundle.path / "manifest.json").exists()
        seen.append(bundle.path)
        return {"test": {"label": {"accuracy": {"value": 0.875, "low": 0.8, "high": float("nan")}}}}

    bundle = seal(tmp_path / "bundle", tiny.contents(notes="For film reviews."), measure=measure)
    assert seen[0] != bundle.path
    assert bundle.metrics["test"]["label"]["accuracy"] == {"value": 0.875, "low": 0.8, "high": None}
    assert "test / label / accuracy | 0.8750 | 0.8000 – –" in bundle.card
    assert "For film reviews." in bundle.card
    assert list(tmp_path.iterdir()) == [tmp_path / "bundle"]


@pytest.mark.row("D19")
def test_what_stands_there_is_not_overwritten_unless_forced(tiny: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    first = seal(folder, tiny.contents())
    with pytest.raises(OutputExists, match="--force") as caught:
        seal(folder, tiny.contents(seed=1))
    assert caught.value.exit_code == 2
    assert verify(folder).seal == first.manifest.seal  # type: ignore[union-attr]
    second = seal(folder, tiny.contents(seed=1), force=True)
    assert verify(folder).seal == second.manifest.seal != first.manifest.seal  # type: ignore[union-attr]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.row("B22")
def test_a_copy_has_the_same_seal_and_the_same_answers(sealed: Path, tiny: ModuleType, tmp_path: Path) -> None:
    original = open_bundle(sealed)
    copied = save_copy(original, tmp_path / "deep" / "copy")
    assert verify(tmp_path / "deep" / "copy").seal == verify(sealed).seal
    assert copied.predict(tiny.TEXTS) == original.predict(tiny.TEXTS)
    with pytest.raises(OutputExists):
        save_copy(original, tmp_path / "deep" / "copy")


@pytest.mark.row("B22")
def test_on_another_machine_scores_may_move_by_a_thousandth(sealed: Path, tiny: ModuleType, tmp_path: Path) -> None:
    def moved(by: float) -> Path:
        folder = shutil.copytree(sealed, tmp_path / f"moved-{by}")
        path = folder / "golden.jsonl"
        header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        header["machine"] = "0" * 16
        rows[0]["scores"]["label"] = [score + by for score in rows[0]["scores"]["label"]]
        path.write_text("".join(json.dumps(line) + "\n" for line in [header, *rows]), encoding="utf-8")
        tiny.reseal(folder)
        return folder

    outcome = verify(moved(0.0009))
    assert not outcome.golden.same_machine
    assert 0.0008 < outcome.golden.difference < 0.001
    with pytest.raises(BundleRefused, match=r"moved by 1\.1e-03"):
        verify(moved(0.0011))


@strace
@pytest.mark.row("F02")
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_killed_at_any_sync_or_rename_there_is_a_whole_bundle_or_none(
    tiny: ModuleType, tmp_path: Path, call: str
) -> None:
    (tmp_path / "counted").mkdir()
    total = count_calls(tmp_path / "counted" / "bundle", call)
    # Every fourth of those that write one file after the other, and each of the last, where the name appears.
    for number in sorted({*range(1, total + 1, 4), *range(max(1, total - 2), total + 1)}):
        folder = tmp_path / f"{number}" / "bundle"
        folder.parent.mkdir()
        assert run_injected(folder, call, f"signal=SIGKILL:when={number}").returncode == -9
        if call == "fsync":  # the last one makes the new name durable
            assert folder.exists() == (number == total)
        if folder.exists():
            assert verify(folder).golden.difference == 0.0
        seal(folder, tiny.contents(), force=True)
        assert list(folder.parent.iterdir()) == [folder]


@strace
@pytest.mark.row("F02")
def test_every_file_is_on_disk_before_the_name_appears_and_the_manifest_comes_last(tmp_path: Path) -> None:
    folder, trace = tmp_path / "bundle", tmp_path / "trace"
    command = ["strace", "-f", "-y", "-qq", "-e", "trace=fsync,rename", "-o", str(trace)]
    subprocess.run([*command, sys.executable, str(SCRIPT), str(folder)], check=True, capture_output=True, timeout=60)
    calls = trace.read_text(encoding="utf-8").splitlines()
    published = next(place for place, call in enumerate(calls) if f'"{folder}")' in call)
    renamed = [re.findall(r'"([^"]+)"', call) for call in calls[:published] if "rename(" in call]
    names = [Path(final).name for _, final in renamed]
    assert names[-1] == "manifest.json"
    assert len(names) == len([path for path in folder.rglob("*") if path.is_file()])
    for place, call in enumerate(calls[:published]):
        if "rename(" in call:
            partial = re.findall(r'"([^"]+)"', call)[0]
            assert any("fsync(" in earlier and f"<{partial}>" in earlier for earlier in calls[:place])
    assert any("fsync(" in later and f"<{tmp_path}>" in later for later in calls[published:])


@strace
@pytest.mark.row("F03")
@pytest.mark.parametrize(("error", "code"), [("ENOSPC", "no space left"), ("EIO", "the disk failed")])
def test_a_disk_error_at_any_sync_leaves_nothing_behind(tmp_path: Path, error: str, code: str) -> None:
    folder = tmp_path / "bundle"
    for number in (1, 2, 9, 18, 24):
        done = run_injected(folder, "fsync", f"error={error}:when={number}")
        assert done.returncode != 0
        assert code in done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.row("F06")
def test_a_file_quota_is_a_full_disk_and_leaves_nothing_behind(tiny: ModuleType, tmp_path: Path) -> None:
    made = tiny.contents()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, before[1]))
    try:
        with pytest.raises(ResourceError) as caught:
            seal(tmp_path / "bundle", made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.row("D19")
def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    """As an unprivileged user: the superuser may write anywhere."""
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    code = (
        "import ctypes, encodings.idna, os, sys\nfrom pathlib import Path\n"
        "from underlay.core.durable import staging\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "with staging(Path(sys.argv[1])): pass"
    )
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
        if path.name.startswith("pytest-of"):
            break
    done = subprocess.run(
        [sys.executable, "-c", code, str(closed / "bundle")], capture_output=True, encoding="utf-8", timeout=60
    )
    assert "ResourceError" in done.stderr
    assert "choose a writable folder" in done.stderr
