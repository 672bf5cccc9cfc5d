"""Files and folders are whole or absent."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.core import OutputExists, ResourceError
from underlay.core.durable import publish_folder, staging, write_file


def test_a_file_is_replaced_whole_and_private_whatever_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    before = os.umask(0o000)
    try:
        write_file(target, b"old")
        write_file(target, b"new")
    finally:
        os.umask(before)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_appears_whole_and_its_staging_is_gone(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "bundle"
    with staging(final) as folder:
        write_file(folder / "a", b"1")
        assert not final.exists()
        publish_folder(folder, final)
    assert (final / "a").read_bytes() == b"1"
    assert [path.name for path in final.parent.iterdir()] == ["bundle"]


def test_what_stands_there_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    final = tmp_path / "bundle"
    final.mkdir()
    (final / "mine").write_text("keep", encoding="utf-8")
    with staging(final) as folder:
        write_file(folder / "a", b"1")
        with pytest.raises(OutputExists, match="--force"):
            publish_folder(folder, final)
        assert (final / "mine").exists()
        publish_folder(folder, final, replace=True)
    assert [path.name for path in final.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_file_that_stands_there_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    final = tmp_path / "bundle"
    final.write_text("a file", encoding="utf-8")
    with staging(final) as folder, pytest.raises(OutputExists):
        publish_folder(folder, final)
    assert final.read_text(encoding="utf-8") == "a file"


def test_staging_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staging(tmp_path / "bundle") as folder:
        (folder / "a").write_bytes(b"1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_staging_of_a_killed_process_is_swept_and_of_a_living_one_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from underlay.core.durable import staging\n"
        "with staging(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a').write_bytes(b'1'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "bundle")], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with staging(tmp_path / "bundle") as mine:
        assert list(tmp_path.iterdir()) == [mine]
        with staging(tmp_path / "bundle") as other:
            assert mine.exists()
            assert other != mine


@pytest.mark.row("F06")
def test_a_file_above_the_quota_is_a_resource_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "state"
    write_file(target, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(ResourceError, match="no space left") as caught:
            write_file(target, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code == "disk_full"
    assert caught.value.exit_code == 5
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
