"""The list of a bundle's files with their digests, sealed by its own."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from underlay.bundle.layout import (
    FILES,
    FORMAT,
    GRAPH,
    MANIFEST,
    MANIFEST_BYTES,
    REQUIRED,
    REVISION,
    WEIGHTS,
    check_magic,
    check_path,
)
from underlay.bundle.strict_json import dump, parse
from underlay.core import BundleRefused

_SEAL = re.compile(rb'"seal": "([0-9a-f]{64})"')
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = {"format", "revision", "needs", "underlay", "created", "parent", "files", "seal"}
_UNSEALED = "0" * 64


@dataclass(frozen=True)
class Manifest:
    """What a bundle consists of.

    Args:
        files: By path: `sha256` and `bytes`.
        underlay: Version of the library that sealed it.
        created: When, ISO 8601 in UTC.
        parent: Seal of the bundle it was made from.
        seal: SHA-256 of the manifest with this field zeroed: the bundle's identity.
    """

    files: Mapping[str, Mapping[str, Any]]
    underlay: str
    created: str
    parent: str | None = None
    seal: str = ""


def render_manifest(files: Mapping[str, bytes], *, underlay: str, created: str, parent: str | None = None) -> bytes:
    """The `manifest.json` of these files.

    Args:
        files: All other files, by path.
        underlay: This library's version.
        created: ISO 8601.
        parent: Seal of the bundle these were made from.
    """
    listed = {path: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for path, data in sorted(files.items())}
    manifest = {
        "format": FORMAT,
        "revision": 1 if GRAPH in files else 0,
        "needs": "0.1.0",  # the first release that reads this format and revision
        "underlay": underlay,
        "created": created,
        "parent": parent,
        "files": listed,
        "seal": _UNSEALED,
    }
    blank = dump(manifest)
    return _SEAL.sub(b'"seal": "' + sha256(blank).hexdigest().encode() + b'"', blank)


def read_sealed(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and every file it lists, in private memory, each as it was sealed.

    Raises:
        BundleRefused: Anything is missing, added, changed, or no plain file.
    """
    if not folder.is_dir():
        raise BundleRefused(
            f"there is no bundle at {folder}", "name the folder that `fit --out` wrote", code="no_bundle"
        )
    manifest = parse_manifest(_read(folder, MANIFEST, most=MANIFEST_BYTES))
    present = _walk(folder)
    _same_names(set(manifest.files), present - {MANIFEST})
    # Sizes first: a wrong one is seen before a byte is read.
    for path, entry in manifest.files.items():
        _check_plain(folder, path, size=entry["bytes"])
    return manifest, {path: _read_listed(folder, path, entry["sha256"]) for path, entry in manifest.files.items()}


def parse_manifest(data: bytes) -> Manifest:
    """Read `manifest.json`, its seal first.

    Raises:
        BundleRefused: `digest_mismatch`, `newer_format`, `format`, `manifest`, `path` or `file_kind`.
    """
    try:
        parsed, trouble = parse(data, MANIFEST), ""
    except BundleRefused as error:
        parsed, trouble = None, f"; {error.what}"
    newer = _newer(parsed)
    if not _sealed(data):
        raise BundleRefused(
            f"{MANIFEST} is not the one this bundle was sealed with{newer or trouble}",
            "restore the bundle from where it was made",
            code="digest_mismatch",
        )
    if newer:
        raise BundleRefused(MANIFEST + newer.lstrip(";"), "install that version", code="newer_format")
    return _check_fields(parsed)


def _sealed(data: bytes) -> bool:
    found = _SEAL.findall(data)
    if len(found) != 1:
        return False
    blank = _SEAL.sub(b'"seal": "' + _UNSEALED.encode() + b'"', data)
    return bool(sha256(blank).hexdigest().encode() == found[0])


def _newer(parsed: Any) -> str:
    """What to say of a format this library does not know; empty for one it does."""
    if not isinstance(parsed, dict):
        return ""
    version = (parsed.get("format"), parsed.get("revision", 0))
    if not all(isinstance(number, int) for number in version) or version <= (FORMAT, REVISION):
        return ""
    needs = parsed.get("needs") or "a newer version"
    found, known = f"{version[0]}.{version[1]}", f"{FORMAT}.{REVISION}"
    return f"; it has format {found}, this library reads up to {known}: it needs Underlay {needs!s:.20}"


def _check_fields(parsed: Any) -> Manifest:
    if not isinstance(parsed, dict) or set(parsed) != _KEYS:
        keys = sorted(parsed) if isinstance(parsed, dict) else type(parsed).__name__
        raise BundleRefused(f"{MANIFEST} has {keys}; it should have {sorted(_KEYS)}", "seal it again", code="manifest")
    if parsed["format"] != FORMAT or not isinstance(parsed["revision"], int) or parsed["revision"] < 0:
        raise BundleRefused(f"{MANIFEST} has the format {parsed['format']!r}", f"known: {FORMAT}", code="format")
    files, parent = parsed["files"], parsed["parent"]
    if parent is not None and not (isinstance(parent, str) and _DIGEST.fullmatch(parent)):
        raise BundleRefused(f"{MANIFEST} has the parent {parent!r:.80}, which is no seal", code="manifest")
    if not isinstance(files, dict) or len(files) > FILES or not all(_entry(entry) for entry in files.values()):
        raise BundleRefused(f"the files in {MANIFEST} are not listed as they should be", code="manifest")
    for path in files:
        check_path(path)
    missing = sorted(set(REQUIRED) - set(files))
    if missing:
        raise BundleRefused(f"the bundle has no {', '.join(missing)}", "seal it again", code="missing_file")
    return Manifest(files, str(parsed["underlay"]), str(parsed["created"]), parent, parsed["seal"])


def _entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"sha256", "bytes"}
        and isinstance(entry["sha256"], str)
        and _DIGEST.fullmatch(entry["sha256"]) is not None
        and isinstance(entry["bytes"], int)
        and entry["bytes"] >= 0
    )


def _walk(folder: Path) -> set[str]:
    """Every name below `folder`; folders that hold nothing count as a name of their own."""
    found = set()
    for parent, folders, names in os.walk(folder, followlinks=False):
        relative = Path(parent).relative_to(folder)
        links = [name for name in folders if Path(parent, name).is_symlink()]
        held = [*names, *links] or ([""] if relative != Path() and not folders else [])
        found |= {(relative / name).as_posix() for name in held}
        if len(found) > 4 * FILES:
            break  # enough to refuse it
    return found


def _same_names(listed: set[str], present: set[str]) -> None:
    if missing := sorted(listed - present):
        raise BundleRefused(f"the bundle lacks {', '.join(missing[:5])}", "restore the bundle", code="missing_file")
    if extra := sorted(present - listed):
        raise BundleRefused(
            f"the bundle holds {', '.join(map(repr, extra[:5]))}, not listed in {MANIFEST}",
            "take it out: a bundle is never added to",
            code="extra_file",
        )


def _check_plain(folder: Path, path: str, *, size: int | None = None) -> None:
    try:
        facts = os.lstat(folder / path)
    except OSError as error:
        if path == MANIFEST and not (folder / WEIGHTS).exists():
            raise BundleRefused(
                f"{folder} is no bundle: it has no {MANIFEST}", "name the folder that `fit` wrote", code="no_bundle"
            ) from error
        raise BundleRefused(f"{path} cannot be found: {error.strerror}", "restore it", code="missing_file") from error
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise BundleRefused(
            f"{path} is a link or no plain file", "copy the bundle with its contents (cp -rL)", code="path"
        )
    if size is not None and facts.st_size != size:
        raise BundleRefused(
            f"{path} has {facts.st_size:,} bytes; it was sealed with {size:,}", "restore it", code="digest_mismatch"
        )


def _read(folder: Path, path: str, *, most: int | None = None) -> bytes:
    _check_plain(folder, path)
    try:
        # Not blocked by a FIFO nor led away by a link that appeared since.
        handle = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            data = file.read() if most is None else file.read(most + 1)
    except OSError as error:
        raise BundleRefused(
            f"{path} cannot be read: {error.strerror}", "check its permissions", code="unreadable"
        ) from error
    if most is not None and len(data) > most:
        raise BundleRefused(f"{path} has more than {most:,} bytes", "restore it", code="manifest")
    return data


def _read_listed(folder: Path, path: str, digest: str) -> bytes:
    data = _read(folder, path)
    if sha256(data).hexdigest() != digest:
        raise BundleRefused(f"{path} is not the file this bundle was sealed with", "restore it", code="digest_mismatch")
    check_magic(path, data[:8])
    return data
