"""Signed checkpoints of the chain, outside of the database: what is cut off, or made anew, does not agree with them."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from underlay.core import UnderlayError
from underlay.core.durable import resource_errors, sync_folder
from underlay.serve.state.canonical import canonical
from underlay.serve.state.chain import Head, iso
from underlay.serve.state.signing import signed_by, signing_key

LOG = logging.getLogger("underlay.serve")
FILE = "checkpoints.jsonl"
ENTRIES, SECONDS = 1_000, 60.0
"""After so many entries, or so long after the last one, there is a new checkpoint."""


class AuditBroken(UnderlayError):
    """The chain, or a row that it tells of, is not what was acknowledged."""

    code = "audit_broken"
    exit_code = 4


@dataclass(frozen=True)
class Checkpoint:
    """What the chain was at a moment.

    Args:
        seq: Number of the newest entry.
        hash: Of it.
        count: Entries.
        time: In UTC.
        signature: Over the other fields in canonical JSON, hexadecimal.
    """

    seq: int
    hash: str
    count: int
    time: str
    signature: str = ""

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return canonical({name: value for name, value in asdict(self).items() if name != "signature"}).encode()


class Checkpoints:
    """Writes them: to a file that only grows, and to the log, whose reader keeps it elsewhere.

    Args:
        folder: Of the file and the key.
        clock: Seconds that never jump.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = folder / FILE
        self._key = signing_key(folder)
        self._clock = clock
        self._last, self._when = 0, clock() - SECONDS  # the first entry of a run is covered at once
        self.failing = False
        self._trim()

    def note(self, head: Head, *, now: bool = False) -> None:
        """Write one if it is time.

        Args:
            head: The newest entry, durable.
            now: Whether it is time in any case.
        """
        new = head.seq - self._last
        if new <= 0 or not (now or new >= ENTRIES or self._clock() - self._when >= SECONDS):
            return
        bare = Checkpoint(head.seq, head.hash, head.seq, iso(time.time_ns() // 1_000))
        signature = self._key.sign(bare.signed).hex()
        line = canonical({**asdict(bare), "signature": signature})
        LOG.info("checkpoint", extra={"fields": {**asdict(bare), "signature": signature}})
        try:
            self._append(line.encode() + b"\n")
        except OSError as error:
            if not self.failing:  # entries are durable all the same; the next checkpoint covers them
                LOG.warning(
                    "checkpoint_failed", extra={"fields": {"error": type(error).__name__, "errno": error.errno}}
                )
            self.failing = True
            self._when = self._clock()
            return
        self.failing = False
        self._last, self._when = head.seq, self._clock()

    def _append(self, line: bytes) -> None:
        new = not self._path.exists()
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            before = os.fstat(handle).st_size
            if os.write(handle, line) != len(line):
                os.ftruncate(handle, before)
                raise OSError("the disk took a part of a line")
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            sync_folder(self._path.parent)

    def _trim(self) -> None:
        """Cut a line that a dead process left half written, so that the next one begins where a line begins."""
        with resource_errors(self._path):
            if not self._path.exists():
                return
            data = self._path.read_bytes()
            if (whole := data.rfind(b"\n") + 1) != len(data):
                os.truncate(self._path, whole)


def read_checkpoints(folder: Path, key: Ed25519PublicKey) -> Iterator[Checkpoint]:
    """The checkpoints of a folder, in their order; a last line that is half written counts as none.

    Args:
        folder: Of the file.
        key: That they must be signed with.

    Raises:
        AuditBroken: A line that this key did not sign.
        ResourceError: The file cannot be read.
    """
    path = folder / FILE
    with resource_errors(path):
        if not path.exists():
            return
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield _read(line, key, f"{path}:{number}")


def _read(line: bytes, key: Ed25519PublicKey, place: str) -> Checkpoint:
    try:
        found = Checkpoint(**json.loads(line))
        good = signed_by(key, bytes.fromhex(found.signature), found.signed)
    except (ValueError, TypeError):
        good = False
    if not good:
        raise AuditBroken(
            f"the checkpoint {place} was not signed by this key",
            "name the public key that was kept when the state was made (--public-key FILE)",
        )
    return found
