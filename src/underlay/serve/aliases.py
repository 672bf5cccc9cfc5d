"""Which version of a model answers: `prod`, for a share of the requests `canary`, and `shadow`, whom nobody hears."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

ALIASES = ("prod", "canary", "shadow")
"""Words of an address; no version is called so."""


@dataclass(frozen=True)
class Aliases:
    """What points where in one model.

    Args:
        prod: Version that answers.
        previous: That `prod` was before; None: none, or it is no longer loaded.
        canary: Version that answers a share of the requests.
        weight: That share, in (0, 1]; 0 without a canary.
        shadow: Version that is asked too, and whose answers are only compared.

    >>> Aliases("1").pointed("2").previous
    '1'
    """

    prod: str
    previous: str | None = None
    canary: str | None = None
    weight: float = 0.0
    shadow: str | None = None

    def chosen(self, token: bytes) -> str:
        """The version that answers a request.

        The same token goes the same way as long as the canary is the same one, and what went to it at a lower weight
        still does at a higher; another canary gets another share, so that it is not always the same people's.

        Args:
            token: What is alike in requests that shall go the same way.
        """
        if self.canary is None:
            return self.prod
        return self.canary if share_of(self.canary.encode() + b"\0" + token) < self.weight else self.prod

    def to(self, version: str) -> list[str]:
        """The aliases that point to a version."""
        return [alias for alias in ALIASES if getattr(self, alias) == version]

    def pointed(self, version: str) -> "Aliases":
        """With another `prod`; what it was is remembered, and a canary that became it is none any more."""
        if version == self.prod:
            return self
        kept = self if self.canary != version else self.with_canary(None)
        shadow = None if kept.shadow == version else kept.shadow
        return Aliases(version, self.prod, kept.canary, kept.weight, shadow)

    def with_canary(self, version: str | None, weight: float = 0.0) -> "Aliases":
        """With another canary, or None without one."""
        return Aliases(self.prod, self.previous, version, weight if version is not None else 0.0, self.shadow)

    def with_shadow(self, version: str | None) -> "Aliases":
        """With another shadow, or None without one."""
        return Aliases(self.prod, self.previous, self.canary, self.weight, version)

    def without(self, version: str) -> "Aliases":
        """When a version to which no alias points is gone: there is no way back to it."""
        previous = None if self.previous == version else self.previous
        return Aliases(self.prod, previous, self.canary, self.weight, self.shadow)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def share_of(token: bytes) -> float:
    """A number in [0, 1) that a token always gives, spread evenly over tokens.

    >>> share_of(b"a") == share_of(b"a"), 0 <= share_of(b"b") < 1
    (True, True)
    """
    return int.from_bytes(sha256(token).digest()[:7]) / 2**56
