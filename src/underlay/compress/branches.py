"""Where the parts of a model stand in its config and in its state: of one trunk, or of each under a fusion."""

from collections.abc import Iterator, Mapping
from typing import Any


def branches(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What stands before the names of a branch's tensors, and its config with `stems`, `trunk` and `pooling`.

    >>> [prefix for prefix, _ in branches({"branches": [{}, {}]})]
    ['branches.0.', 'branches.1.']
    """
    if "branches" in config:
        yield from ((f"branches.{number}.", branch) for number, branch in enumerate(config["branches"]))
    else:
        yield "", config


def with_part(config: Mapping[str, Any], prefix: str, part: str, changed: Any) -> dict[str, Any]:
    """The config in which `part` of the branch with this prefix is another."""
    if not prefix:
        return {**config, part: changed}
    pairs = zip(branches(config), config["branches"], strict=True)
    return {**config, "branches": [{**old, part: changed} if at == prefix else old for (at, _), old in pairs]}
