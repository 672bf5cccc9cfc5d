"""Who may: nobody without a key, but for a newcomer's first minutes on his own machine."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hmac import compare_digest
from pathlib import Path

from underlay.core import UnderlayError
from underlay.serve.allowances import Allowances
from underlay.serve.keys import Key, digest_of, read_keys
from underlay.serve.peers import peer_of
from underlay.serve.refusals import Refusal

LONGEST = 512
"""Bytes of a key that are hashed; ours have 55."""

RELOAD = 0.5
"""Seconds after which the file is looked at again: a revoked key is refused within one."""

OPEN_SECONDS = 600.0
"""How long `--open` lasts: enough to try a model, too short to be forgotten in use."""

UNCOUNTED = "admin"
"""A scope whose requests cost no quota: whoever must stop a model may not be stopped by a number, or by a full disk."""

WINDOW = 60.0
PEERS = 4_096
"""Addresses whose failures are remembered; the oldest are forgotten first."""


class Access:
    """Admits requests by their key.

    Args:
        path: File of keys.
        open_seconds: From now, in which a request without a key is admitted; 0: none is.
        failures: Wrong keys that one peer may send in a minute.
        allowances: What each key has left; None: nothing is counted.
        noted: Told the code of each refusal, the key if it is one, and the address: for whoever keeps a record.
        clock: Seconds that never jump, for time-outs.
        today: Seconds since 1970, for expiry.
    """

    def __init__(
        self,
        path: Path,
        *,
        open_seconds: float = 0.0,
        failures: int = 20,
        allowances: Allowances | None = None,
        noted: Callable[[str, Key | None, str], None] = lambda code, key, peer: None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        self._today = today
        self._open_until = clock() + open_seconds
        self._most_failures = failures
        self._allowances = allowances
        self.noted = noted
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._seen: tuple[int, int, int] | None = None
        self._looked = -RELOAD
        self._keys: dict[str, Key] = {}

    def admit(self, headers: Iterable[tuple[bytes, bytes]], *, peer: str, scope: str) -> Key | None:
        """The key of a request; None in the open minutes.

        Args:
            headers: Of the request, names in lower case.
            peer: Address of the socket.
            scope: What the request needs.

        Raises:
            Refusal: `several_keys`, `no_key`, `too_many_failures`, `scope`, `rate_limited`, `quota_exceeded`,
                `quota_unknown`.
        """
        key: Key | None = None
        try:
            key = self._admit(headers, peer_of(peer))
            if key is not None and scope not in key.scopes:
                raise Refusal("scope")
            if key is not None and scope != UNCOUNTED and self._allowances is not None:
                self._allowances.take(key)
        except Refusal as refusal:
            self.noted(refusal.code, key, peer)
            raise
        return key

    def give_back(self, key: Key, scope: str) -> None:
        """Uncount a request that was not answered through our fault, or had been answered before.

        Args:
            key: That asked.
            scope: What the request needed.
        """
        if scope != UNCOUNTED and self._allowances is not None:
            self._allowances.give_back(key)

    def expires(self) -> float:
        """When the first of the keys that are valid now ceases to be, in seconds since 1970; infinity: none does."""
        self._reload()
        now = self._today()
        return min((key.expires for key in self._keys.values() if key.expires and key.valid(now)), default=math.inf)

    def _admit(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> Key | None:
        """The key of a request that is valid; None in the open minutes."""
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) > 1:
            raise Refusal("several_keys")
        if not given:
            if self._clock() < self._open_until:
                return None
            raise Refusal("no_key")
        self._refuse_guessing(peer)
        key = self._key(given[0])
        if key is None or not key.valid(self._today()):
            self._note_failure(peer)
            raise Refusal("no_key")
        return key

    def _key(self, header: bytes) -> Key | None:
        scheme, _, text = header.partition(b" ")
        text = text.strip()
        if scheme.lower() != b"bearer" or not 0 < len(text) <= LONGEST or not text.isascii():
            return None
        self._reload()
        digest = digest_of(text.decode("ascii"))
        key = self._keys.get(digest)
        return key if key is not None and compare_digest(key.digest, digest) else None

    def _reload(self) -> None:
        """Read the file if it changed; one that cannot be read admits nobody."""
        if self._clock() - self._looked < RELOAD:
            return
        self._looked = self._clock()
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._keys = {key.digest: key for key in read_keys(self._path)}
                self._seen = seen
        except (OSError, UnderlayError):
            self._keys, self._seen = {}, None

    def _refuse_guessing(self, peer: str) -> None:
        since, count = self._failed.get(peer, (0.0, 0))
        left = since + WINDOW - self._clock()
        if count >= self._most_failures and left > 0:
            raise Refusal("too_many_failures", retry_after=left)

    def _note_failure(self, peer: str) -> None:
        now = self._clock()
        since, count = self._failed.pop(peer, (now, 0))
        self._failed[peer] = (since, count + 1) if now < since + WINDOW else (now, 1)
        while len(self._failed) > PEERS:
            self._failed.popitem(last=False)
