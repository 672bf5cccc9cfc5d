"""A name -> entry table; the only way a recipe or a bundle reaches code."""

import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from underlay.core.errors import UnknownName

T = TypeVar("T")

_VERSIONED = re.compile(r"^[a-z0-9][a-z0-9_-]*\.v[1-9][0-9]*$")


class Registry(Generic[T]):
    """Names of one kind, each given once, with a version in the name (`focal.v1`).

    A recipe may leave the version out and gets the newest; a bundle always names it.

    >>> losses: Registry[object] = Registry("loss term")
    >>> @losses("zero.v1")
    ... def zero():
    ...     return 0.0
    >>> losses["zero"] is losses["zero.v1"]
    True
    >>> losses.full_name("zero")
    'zero.v1'
    >>> losses["zeor"]
    Traceback (most recent call last):
    underlay.core.errors.UnknownName: no loss term named 'zeor' — did you mean 'zero.v1'?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def __call__(self, name: str) -> Callable[[T], T]:
        """Decorate an entry with its full name, `name.vN`.

        Raises:
            ValueError: The name has no version, or is taken.
        """
        if not _VERSIONED.match(name):
            raise ValueError(f"{self.kind} {name!r} needs a version: 'name.v1'")

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(
                    f"{self.kind} {name!r} is already {self._entries[name]!r}; give the new one the next version"
                )
            self._entries[name] = entry
            return entry

        return add

    def full_name(self, name: str) -> str:
        """Give the full name for `name`: itself, or its newest version.

        Raises:
            UnknownName: Nothing is registered under it.
        """
        if name in self._entries:
            return name
        versions = [known for known in self._entries if known.rpartition(".v")[0] == name]
        if not versions:
            raise UnknownName(self.kind, name, self._entries)
        return max(versions, key=lambda known: int(known.rpartition(".v")[2]))

    def __getitem__(self, name: str) -> T:
        return self._entries[self.full_name(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in self._entries or any(known.rpartition(".v")[0] == name for known in self._entries)
        )

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
