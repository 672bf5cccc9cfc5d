"""The file that keeps which versions are loaded and what points where, so that a restart changes nothing."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underlay.core import ResourceError, UsageError
from underlay.core.durable import hold, resource_errors, write_file
from underlay.serve.aliases import Aliases

FORMAT = 1


@dataclass(frozen=True)
class KeptModel:
    """One model as it was.

    Args:
        aliases: What pointed where.
        versions: By label: the folder and the seal of the bundle.
        stopped: Whether an operator had stopped it.
    """

    aliases: Aliases
    versions: Mapping[str, tuple[Path, str]]
    stopped: bool = False


@dataclass(frozen=True)
class Kept:
    """All models as they were.

    Args:
        models: By name.
        stopped: Whether an operator had stopped all.
    """

    models: Mapping[str, KeptModel] = field(default_factory=dict)
    stopped: bool = False

    def with_model(self, name: str, model: KeptModel | None) -> "Kept":
        """With another state of one model; None: without it."""
        models = {other: known for other, known in self.models.items() if other != name}
        return Kept(models if model is None else models | {name: model}, self.stopped)


def read_kept(path: Path) -> Kept:
    """What a file keeps; nothing where there is no file.

    Raises:
        UsageError: `aliases`: it is no such file.
    """
    try:
        with resource_errors(path):
            data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise ValueError(data["format"])
        models = {
            str(name): KeptModel(
                Aliases(**model["aliases"]),
                {str(label): (Path(one["bundle"]), str(one["seal"])) for label, one in model["versions"].items()},
                bool(model["stopped"]),
            )
            for name, model in data["models"].items()
        }
        kept = Kept(models, bool(data["stopped"]))
    except ResourceError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Kept()
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no aliases that can be read",
            "restore it; or remove it, and only the command line says what is served",
            code="aliases",
        ) from error
    return kept


def write_kept(path: Path, kept: Kept) -> None:
    """Keep how things stand.

    Args:
        path: The file; afterwards, and after any crash, it is the old one or the new.
        kept: How they stand.

    Raises:
        ResourceError: It could not be written; it is what it was.
    """
    write_file(path, json.dumps(_data(kept), indent=1).encode())


def _data(kept: Kept) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "stopped": kept.stopped,
        "models": {
            name: {
                "stopped": model.stopped,
                "aliases": model.aliases.to_dict(),
                "versions": {
                    label: {"bundle": str(folder), "seal": seal} for label, (folder, seal) in model.versions.items()
                },
            }
            for name, model in kept.models.items()
        },
    }


@contextlib.contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Nobody else serves by this file meanwhile; the kernel lets go of the lock of a dead process.

    Raises:
        UsageError: `aliases_locked`: another server does.
        ResourceError: Its folder cannot be written.
    """
    if path is None:
        yield
        return
    with resource_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = hold(path.with_name(f".{path.name}.lock"))
    if handle is None:
        raise UsageError(
            f"another server keeps its aliases in {path}",
            "stop it, or name another file with --aliases",
            code="aliases_locked",
        )
    try:
        yield
    finally:
        os.close(handle)
