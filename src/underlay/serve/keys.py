"""Keys that may ask a server: drawn at random, shown once, kept as digests."""

import contextlib
import fcntl
import json
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from underlay.core import ResourceError, UsageError
from underlay.core.durable import resource_errors, write_file

FORMAT = 1
SCOPES = ("predict", "feedback", "review", "admin")
Scope = Literal["predict", "feedback", "review", "admin"]
"""`predict`: the port for everybody. `feedback`: labels for what was answered there. `review`: what waits for a person
there. `admin`: the port for figures."""

BYTES = 32
"""256 bits: none is ever guessed, so the digest needs no salt and no slow hash."""

DAY = 86_400.0
MOST_DAYS = 36_500
NAME = 100
"""Characters of a key's name: it stands in one line of a table."""


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Args:
        id: What it is revoked by.
        name: For people.
        digest: SHA-256 of the key, hexadecimal.
        scopes: Of `SCOPES`.
        created: Seconds since 1970.
        expires: Seconds since 1970; None: never.
        revoked: Whether it is.
        rate: Requests a second; None: as many as the server gives.
        daily: Requests a day; None: as many as the server gives.
    """

    id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None
    revoked: bool = False
    rate: float | None = None
    daily: int | None = None

    def valid(self, now: float) -> bool:
        """Whether it opens anything at this second since 1970."""
        return not self.revoked and (self.expires is None or now < self.expires)


def digest_of(text: str) -> str:
    """What is kept of a key.

    >>> len(digest_of("ul_..."))
    64
    """
    return sha256(text.encode()).hexdigest()


def default_path() -> Path:
    """Where keys are kept if nobody says otherwise: `underlay/keys.json` in the user's folder of settings.

    Raises:
        UsageError: `keys`: there is no such folder.
    """
    kept = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(kept) if kept else Path.home() / ".config") / "underlay" / "keys.json"
    except RuntimeError as error:
        raise UsageError("this user has no home folder to keep keys in", "pass --keys FILE", code="keys") from error


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file; none where there is no file.

    Raises:
        UsageError: `keys`: the file is not one that `create` wrote.
    """
    try:
        with resource_errors(path):
            data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise ValueError(data["format"])
        keys = tuple(Key(**{**entry, "scopes": tuple(entry["scopes"])}) for entry in data["keys"])
    except ResourceError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return ()
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no keys that can be read", "restore it, or name another", code="keys"
        ) from error
    return keys


def create(
    path: Path,
    *,
    name: str,
    scopes: Sequence[str] = ("predict",),
    days: float | None = None,
    rate: float | None = None,
    daily: int | None = None,
    clock: Callable[[], float] = time.time,
) -> tuple[str, Key]:
    """A new key: its text, which is kept nowhere, and what is kept of it.

    Args:
        path: The file, made if there is none, for the owner alone.
        name: For people.
        scopes: Of `SCOPES`.
        days: Until it expires; None: never.
        rate: Requests a second; None: as many as the server gives.
        daily: Requests a day; None: as many as the server gives.
        clock: Seconds since 1970.

    Raises:
        UsageError: `scope`: an unknown one or none; `key_name`, `expiry`, `rate`; `keys`: the file cannot be read.
        ResourceError: The file cannot be written.
    """  # fmt: skip
    if not scopes or not set(scopes) <= set(SCOPES):
        raise UsageError(f"the scopes are {list(scopes)}", f"give some of {', '.join(SCOPES)}", code="scope")
    if days is not None and not 0 < days <= MOST_DAYS:
        raise UsageError(
            f"the key would live {days} days", f"give a number above 0, at most {MOST_DAYS:,}", code="expiry"
        )
    if not (0 < len(name) <= NAME and name.isprintable()):
        raise UsageError(
            f"a key cannot be called {name!r:.80}", f"give 1 to {NAME} characters that can be printed", code="key_name"
        )
    if any(bound is not None and not (math.isfinite(bound) and bound > 0) for bound in (rate, daily)):
        raise UsageError(f"the key could ask {rate} a second, {daily} a day", "give numbers above 0", code="rate")
    now = clock()
    with locked(path):
        keys = read_keys(path)
        identity = secrets.token_hex(4)
        text = f"ul_{identity}_{secrets.token_urlsafe(BYTES)}"
        expires = None if days is None else now + days * DAY
        key = Key(identity, name, digest_of(text), tuple(dict.fromkeys(scopes)), now, expires, rate=rate, daily=daily)
        _write(path, (*keys, key))
    return text, key


def revoke(path: Path, identity: str) -> Key:
    """Close a key for good; servers that read the file notice within a second.

    Args:
        path: The file.
        identity: Its `id`.

    Raises:
        UsageError: `unknown_key`: there is none of that id.
    """
    with locked(path):
        keys = read_keys(path)
        found = [key for key in keys if key.id == identity]
        if not found:
            raise UsageError(
                f"{path} has no key {identity!r:.40}", "`underlay keys list` shows them", code="unknown_key"
            )
        _write(path, tuple(replace(key, revoked=True) if key.id == identity else key for key in keys))
    return replace(found[0], revoked=True)


def _write(path: Path, keys: Sequence[Key]) -> None:
    kept = [{name: value for name, value in asdict(key).items() if value is not None} for key in keys]
    data: dict[str, Any] = {"format": FORMAT, "keys": kept}
    write_file(path, json.dumps(data, indent=1).encode())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile; the kernel lets go of the lock of a dead process."""
    with resource_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
