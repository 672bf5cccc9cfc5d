"""A server's models as it starts: those of the command line, and what the file of aliases says of before."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from underlay.bundle import open_bundle
from underlay.core import BundleRefused, UnderlayError, UsageError
from underlay.serve.aliases import Aliases
from underlay.serve.kept_aliases import Kept, KeptModel, read_kept
from underlay.serve.limits import Limits
from underlay.serve.model import Form
from underlay.serve.named import Named
from underlay.serve.served import Served
from underlay.serve.service import Service
from underlay.serve.version import Make, Version

LOG = logging.getLogger("underlay.serve")


def open_service(
    bundles: Sequence[Named], *, limits: Limits, path: Path | None = None, make: Make = Version
) -> Service:
    """A service of all that is named, each proved by its golden rows, with the aliases of before.

    What the command line names must load, and so must what answered before; another version that was in memory and no
    longer loads is left out, which the log says.

    Args:
        bundles: Of the command line; the first is the default.
        limits: Of the server.
        path: The file of aliases; None: the command line alone counts, and its first version of a name answers.
        make: Makes a version of a bundle.

    Raises:
        UsageError: `name`, `aliases`, `too_many_versions`, `other_form`.
        BundleRefused: One is not what it was, or does not answer its golden rows as then.
    """
    kept = Kept() if path is None else read_kept(path)
    opened = [_open(one) for one in bundles]
    _check_labels(opened, kept)
    if (count := len(opened)) > limits.loaded_versions:
        raise UsageError(
            f"{count} bundles are named; {limits.loaded_versions} may be loaded",
            f"pass --limit loaded_versions={count} if there is memory for them",
            code="too_many_versions",
        )
    service = Service(opened[0], limits=limits, make=make)
    for served in opened[1:]:
        _install(service, served)
    for name, model in kept.models.items():
        _restore(service, name, model, path)
    service.stopped = kept.stopped
    return service


def _restore(service: Service, name: str, kept: KeptModel, path: Path | None) -> None:
    """Bring one model to where it was."""
    for label in sorted(kept.versions, key=lambda label: label != kept.aliases.prod):
        folder, seal = kept.versions[label]
        if name in service.models and label in service.models[name].versions:
            continue
        try:
            served = _open(Named(name, folder, label))
            if served.seal != seal:
                raise BundleRefused(f"{folder} holds another bundle than before", code="bundle_changed")
            if sum(1 for _ in service.versions()) >= service.limits.loaded_versions:
                raise UsageError("as many versions are loaded as may be", code="too_many_versions")
            _install(service, served)
        except UnderlayError as error:
            if label == kept.aliases.prod:
                raise type(error)(
                    f"version {label} of {name} answered before and cannot be loaded: {error.what}",
                    f"restore {folder}; or remove {path}, and only the command line says what is served",
                    code=error.code,
                ) from error
            LOG.warning("left_out", extra={"fields": {"model": name, "version": label, "reason": error.code}})
    model = service.models[name]
    model.aliases, model.stopped = _still(kept.aliases, model.versions), kept.stopped
    service.show_weights(name)


def _still(aliases: Aliases, versions: Mapping[str, object]) -> Aliases:
    """Those aliases whose version is there."""

    def there(label: str | None) -> str | None:
        return label if label in versions else None

    canary = there(aliases.canary)
    weight = aliases.weight if canary is not None else 0.0
    return Aliases(aliases.prod, there(aliases.previous), canary, weight, there(aliases.shadow))


def _open(named: Named) -> Served:
    return Served(named.name, open_bundle(named.folder), named.label)


def _install(service: Service, served: Served) -> None:
    model = service.models.get(served.name)
    if model is not None and served.version in model.versions:
        raise UsageError(f"{served.name}:{served.version} is named twice", "name every bundle once", code="name")
    if model is not None and Form.of(served) != model.form:
        raise UsageError(
            f"version {served.version} of {served.name} reads other columns or answers other targets than "
            f"{model.prod.label}",
            "serve it under another name: NAME=BUNDLE",
            code="other_form",
        )
    service.install(service.prepare(served))


def _check_labels(opened: Sequence[Served], kept: Kept) -> None:
    """A version is one bundle for ever."""
    for served in opened:
        model = kept.models.get(served.name)
        known = None if model is None else model.versions.get(served.version)
        if known is not None and known[1] != served.seal:
            raise UsageError(
                f"{served.name}:{served.version} was another bundle before, {known[1][:12]} in {known[0]}",
                "give the new one another version: NAME:VERSION=BUNDLE",
                code="version_changed",
            )
