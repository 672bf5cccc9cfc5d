"""A name that is served: its versions, what its aliases point to, and who answers a request."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from underlay.serve.aliases import Aliases
from underlay.serve.refusals import Refusal
from underlay.serve.served import Served
from underlay.serve.version import Version


@dataclass(eq=False)
class Model:
    """Versions that are asked the same question.

    Args:
        name: In addresses.
        versions: By label.
        aliases: What points where.
        stopped: Whether an operator has stopped it.
    """

    name: str
    versions: dict[str, Version]
    aliases: Aliases
    stopped: bool = False

    @property
    def prod(self) -> Version:
        """The version that answers."""
        return self.version(self.aliases.prod)

    @cached_property
    def form(self) -> "Form":
        """What is asked; of every version the same."""
        return Form.of(self.prod.served)

    @property
    def served(self) -> Served:
        """The bundle that answers."""
        return self.prod.served

    @property
    def ready(self) -> bool:
        """Whether whoever may be asked would answer."""
        asked = {self.aliases.prod, self.aliases.canary} - {None}
        return not self.stopped and all(label in self.versions and self.versions[label].ready for label in asked)

    def version(self, label: str) -> Version:
        """One of its versions.

        Raises:
            Refusal: `not_found`.
        """
        if label not in self.versions:
            raise Refusal("not_found")
        return self.versions[label]

    def chosen(self, pinned: str | None, rows: Mapping[str, Sequence[Any]], name: str | None) -> Version:
        """The version that answers a request.

        Args:
            pinned: Which one was asked for by its label; None: whoever is due.
            rows: Raw values by column.
            name: Of the request for itself; None: it has none, and its rows decide.

        Raises:
            Refusal: `not_found`.
        """
        if pinned is not None:
            return self.version(pinned)
        if self.aliases.canary is None:
            return self.prod
        return self.version(self.aliases.chosen(token_of(rows) if name is None else name.encode()))


@dataclass(frozen=True)
class Form:
    """What a version is asked and what it answers about; labels may be more or fewer than in another.

    Args:
        columns: Name and modality of each.
        files: Columns that take files.
        targets: Name and task of each.
    """

    columns: tuple[tuple[str, str], ...]
    files: frozenset[str]
    targets: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, served: Served) -> "Form":
        """Of a bundle."""
        schema = served.bundle.schema
        return cls(
            tuple((column.name, column.modality) for column in schema.columns),
            frozenset(served.bundle.file_columns),
            tuple((target.name, target.task) for target in schema.targets),
        )

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        return [name for name, _ in self.columns]


def token_of(rows: Mapping[str, Sequence[Any]]) -> bytes:
    """What is alike in requests of the same rows, however they are written.

    >>> token_of({"a": [1], "b": [b"file"]}) == token_of({"b": [b"file"], "a": [1]})
    True
    """
    text = json.dumps(rows, sort_keys=True, default=lambda file: sha256(file).hexdigest())
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
