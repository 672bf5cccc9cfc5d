"""How much one request, one peer and one queue may take; every bound can be moved, none can be switched off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from underlay.core import UsageError, nearest


@dataclass(frozen=True)
class Limits:
    """Bounds of a server, checked before the step that would cost.

    Args:
        header_bytes: Of the whole header section.
        url_bytes: Of the request target.
        headers: How many.
        header_seconds: Until the headers are there, from the first byte or the connection.
        body_seconds: Until the body is there, from its headers.
        idle_seconds: Between two requests of a connection.
        write_seconds: That a peer may leave an answer unread.
        connections: Open at once.
        peer_connections: Of one peer, open at once.
        body_bytes: Of a request whose values are written as they are.
        file_body_bytes: Of a request whose values are files in base64.
        items: Rows of one request.
        text_characters: Of one string, before anything reads it.
        request_seconds: From the request to its answer; a client may ask for less.
        queue_seconds: Of work that may wait: what comes later would be answered too late to be of use.
        queue_rows: That may wait, however fast the model is.
        batch_positions: Padded positions the model answers at once. Half of what a file's batch takes, so that a row
            which comes just after waits half as long.
        batch_rows: Rows it answers at once.
        batch_wait_seconds: That the first row of a batch waits for others: a tenth of a small model's time for it.
        drain_seconds: That accepted requests have after SIGTERM.
        leave_seconds: After SIGTERM, in which new requests are still taken, so that whoever balances the load sees that
            this server is not ready before it refuses.
        hang_seconds: That one batch may take before its model counts as hung.
        loaded_versions: Of all models, in memory at once.
        shadow_requests: That wait for a shadow at once; what comes beyond is not asked of it.
        failed_keys: Wrong keys of one peer in a minute.
        key_rate: Requests a second of a key that has no rate of its own.
        key_daily: Its requests a day, which begins at midnight UTC.

    >>> Limits().with_settings(["request_seconds=2"]).request_seconds
    2.0
    """

    header_bytes: int = 16 << 10
    url_bytes: int = 8 << 10
    headers: int = 64
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 15.0
    write_seconds: float = 30.0
    connections: int = 1_024
    peer_connections: int = 64
    body_bytes: int = 1 << 20
    file_body_bytes: int = 16 << 20
    items: int = 64
    text_characters: int = 20_000
    request_seconds: float = 5.0
    queue_seconds: float = 0.3
    queue_rows: int = 1_024
    batch_positions: int = 4_096
    batch_rows: int = 64
    batch_wait_seconds: float = 0.001
    drain_seconds: float = 30.0
    leave_seconds: float = 2.0
    hang_seconds: float = 15.0
    loaded_versions: int = 8
    shadow_requests: int = 64
    failed_keys: int = 20
    key_rate: float = 50.0
    key_daily: int = 100_000

    def __post_init__(self) -> None:
        wrong = [
            f"{field.name} is {getattr(self, field.name)}"
            for field in fields(self)
            if not (math.isfinite(getattr(self, field.name)) and getattr(self, field.name) > 0)
        ]
        if wrong:
            raise UsageError("; ".join(wrong), "a limit is a number above 0: none can be switched off", code="limit")

    def with_settings(self, settings: Sequence[str]) -> "Limits":
        """These limits with some replaced.

        Args:
            settings: `NAME=NUMBER` each.

        Raises:
            UsageError: `limit`: no such limit, no number, or not above 0.
        """
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        changed: dict[str, float] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in kinds:
                raise UsageError(f"there is no limit {name!r:.60}", nearest(name, sorted(kinds)), code="limit")
            try:
                changed[name] = kinds[name](text)
            except ValueError:
                raise UsageError(f"{name} cannot be {text!r:.60}", "give a number above 0", code="limit") from None
        return replace(self, **changed)  # type: ignore[arg-type]
