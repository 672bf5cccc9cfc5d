"""Faults of a training process: killed, signalled, out of disk; what it leaves, and that it goes on exactly."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.strategies.conftest import flags, kill_at, start

PHASES = ("reading", "encoding", "checking", "training on", "measuring")


def run(
    *arguments: str,
    folder: Path,
    prefix: tuple[str, ...] = (),
    limit: Callable[[], None] | None = None,
    **environment: str,
):
    return subprocess.run(
        [*prefix, sys.executable, "-m", "underlay", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        preexec_fn=limit,
        timeout=240,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".safetensors", ".jsonl")}


@pytest.fixture(scope="module")
def whole(snippets, tmp_path_factory):
    """What an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("whole")
    done = run("fit", str(snippets), "--out", "bundle", *flags(), folder=folder)
    assert done.returncode == 0, done.stderr
    return contents(folder / "bundle"), (folder / "bundle.run" / "history.jsonl").read_bytes()


@pytest.mark.row("F01")
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_killed_in_any_phase_is_finished_by_resume_with_the_same_files(snippets, whole, tmp_path, phase):
    process = start("fit", str(snippets), "--out", "bundle", *flags(), folder=tmp_path)
    kill_at(process, phase)
    assert not (tmp_path / "bundle").exists()
    resumed = run("fit", str(snippets), "--out", "bundle", "--resume", *flags(), folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert contents(tmp_path / "bundle") == whole[0]
    assert (tmp_path / "bundle.run" / "history.jsonl").read_bytes() == whole[1]
    assert [path.name for path in tmp_path.iterdir() if ".partial" in path.name] == []


@pytest.mark.row("F09")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_training_ends_with_its_code_and_resume_goes_on(snippets, whole, tmp_path, number, code):
    process = start("fit", str(snippets), "--out", "bundle", *flags("train.epochs=200"), folder=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "training on" in line:
            break
    while not list((tmp_path / "bundle.run").glob("checkpoints/step-*[1-9]")):
        assert process.poll() is None
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == code, rest
    assert "underlay: interrupted:" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "bundle").exists()


@pytest.mark.row("F09")
@pytest.mark.parametrize("phase", ["reading", "encoding", "measuring"])
def test_ctrl_c_outside_training_ends_at_once_without_a_traceback(snippets, tmp_path, phase):
    process = start("fit", str(snippets), "--out", "bundle", *flags(), folder=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if phase in line:
            process.send_signal(signal.SIGINT)
            break
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert not (tmp_path / "bundle").exists()


@pytest.mark.row("F06")
def test_a_file_size_limit_ends_with_exit_5_and_no_bundle(snippets, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    done = run("fit", str(snippets), "--out", "bundle", *flags(), folder=tmp_path, limit=limit)
    assert done.returncode == 5, done.stderr
    assert "underlay: disk_full" in done.stderr
    assert not (tmp_path / "bundle").exists()


def in_mounts(script: str, *arguments: str, folder: Path):
    """Run a shell script in a mount namespace of its own; skips, saying so, where that is not allowed."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mount namespaces need root and unshare")
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("this system does not allow mount namespaces")
    return subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "bash", sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
    )


@pytest.mark.row("F04")
@pytest.mark.parametrize("size", ["200k", "1200k"])
def test_a_full_disk_ends_with_exit_5_and_no_bundle(snippets, tmp_path, size):
    (tmp_path / "disk").mkdir()
    script = f'mount -t tmpfs -o size={size} tmpfs disk && "$@"; code=$?; ls disk >&2; exit $code'
    done = in_mounts(script, "-m", "underlay", "fit", str(snippets), "--out", "disk/bundle", *flags(), folder=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "underlay: disk_full" in done.stderr
    assert "bundle\n" not in done.stderr.splitlines(keepends=True)


@pytest.mark.row("F05")
def test_a_read_only_folder_ends_with_exit_5_naming_it(snippets, tmp_path):
    (tmp_path / "disk").mkdir()
    script = 'mount --bind disk disk && mount -o remount,ro,bind disk && "$@"'
    done = in_mounts(script, "-m", "underlay", "fit", str(snippets), "--out", "disk/bundle", *flags(), folder=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "disk/bundle.run" in done.stderr


@pytest.mark.row("D19")
def test_a_folder_without_permission_ends_with_exit_5_for_an_ordinary_user(snippets, tmp_path):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("dropping to another user needs root and setpriv")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    open_to_all = Path("/tmp") / f"underlay-{os.getpid()}.csv"
    open_to_all.write_bytes(snippets.read_bytes())
    open_to_all.chmod(0o644)
    done = subprocess.run(
        [
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(sys.executable, "-m", "underlay", "fit", str(open_to_all)),
            *("--out", str(closed / "bundle"), *flags()),
        ],
        cwd="/tmp",
        env={**os.environ, "HOME": "/tmp", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
    )
    open_to_all.unlink()
    if "Permission denied" in done.stderr and "underlay:" not in done.stderr:
        pytest.skip("another user may not run this Python")
    assert done.returncode == 5, done.stderr
    assert str(closed) in done.stderr


def calls(snippets: Path, folder: Path, name: str) -> int:
    """How often an undisturbed run makes a system call below its output."""
    log = folder / "trace"
    done = run(
        *("fit", str(snippets), "--out", "bundle", *flags("train.epochs=1", "train.checkpoint_every=0")),
        folder=folder,
        prefix=("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={name}"),
    )
    assert done.returncode == 0, done.stderr
    return sum(1 for line in log.read_text().splitlines() if f"{name}(" in line)


@pytest.mark.slow
@pytest.mark.row("F02")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_run_killed_at_any_durable_step_is_finished_by_resume(snippets, tmp_path, call):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    settings = flags("train.epochs=1", "train.checkpoint_every=0")
    (tmp_path / "whole").mkdir()
    count = calls(snippets, tmp_path / "whole", call)
    expected = contents(tmp_path / "whole" / "bundle")
    for when in range(1, count + 1, max(1, count // 12)):
        folder = tmp_path / str(when)
        folder.mkdir()
        inject = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={when}")
        killed = run("fit", str(snippets), "--out", "bundle", *settings, folder=folder, prefix=inject)
        assert killed.returncode != 0
        resumed = run("fit", str(snippets), "--out", "bundle", "--resume", *settings, folder=folder)
        assert resumed.returncode == 0, f"{call} {when}: {resumed.stderr}"
        assert contents(folder / "bundle") == expected, f"{call} {when}"


@pytest.mark.slow
@pytest.mark.row("F03")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failing_disk_is_exit_5_and_never_a_bundle_that_was_not_synced(snippets, tmp_path, error):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    settings = flags("train.epochs=1", "train.checkpoint_every=0")
    (tmp_path / "whole").mkdir()
    count = calls(snippets, tmp_path / "whole", "fsync")
    for when in range(1, count + 1, max(1, count // 8)):
        folder = tmp_path / str(when)
        folder.mkdir()
        inject = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=fsync:error={error}:when={when}")
        done = run("fit", str(snippets), "--out", "bundle", *settings, folder=folder, prefix=inject)
        assert done.returncode in (0, 5), f"fsync {when}: {done.returncode} {done.stderr}"
        assert (done.returncode == 0) == (folder / "bundle" / "manifest.json").exists()
        assert done.returncode == 5 or "disk" not in json.dumps(done.stderr)


@pytest.mark.row("F45")
def test_a_hostile_environment_does_not_matter(snippets, tmp_path):
    environment = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}
    cleared = {name: value for name, value in os.environ.items() if name not in ("HOME", "LC_ALL", "LANG")}
    cleared["UNDERLAY_CACHE"] = os.environ.get("UNDERLAY_CACHE", str(Path.home() / ".cache" / "underlay"))
    done = subprocess.run(
        [sys.executable, "-m", "underlay", "fit", str(snippets), "--out", "bundle", *flags()],
        cwd=tmp_path,
        env={**cleared, **environment, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        umask=0o000,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bundle" / "model.safetensors").stat().st_mode & 0o777 == 0o600


@pytest.mark.row("F10")
def test_too_little_memory_is_exit_5_with_what_to_lower(snippets, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    large = ["--set", "model.trunk=transformer", "--set", "model.options={width: 4096, depth: 48, heads: 16}"]
    done = run("fit", str(snippets), "--out", "bundle", *flags(), *large, folder=tmp_path, limit=limit)
    assert done.returncode == 5, done.stderr
    assert "train.batch_tokens" in done.stderr
    assert not (tmp_path / "bundle").exists()


@pytest.mark.row("F44")
def test_a_run_needs_no_folder_but_its_own(snippets, tmp_path):
    done = run("fit", str(snippets), "--out", "bundle", *flags(), folder=tmp_path, TMPDIR=str(tmp_path / "missing"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle.run"]
