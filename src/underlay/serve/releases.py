"""What an operator changes while others ask: versions come, go and change places, and no request is lost."""

import asyncio
import ctypes
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from underlay.bundle import open_bundle
from underlay.bundle.layout import MANIFEST, MANIFEST_BYTES
from underlay.bundle.manifest import parse_manifest
from underlay.core import BundleRefused, ResourceError, UnderlayError
from underlay.serve.admin_refusals import AdminRefusal
from underlay.serve.aliases import Aliases
from underlay.serve.kept_aliases import Kept, KeptModel, write_kept
from underlay.serve.model import Form, Model
from underlay.serve.refusals import Refusal
from underlay.serve.served import Served
from underlay.serve.service import Service
from underlay.serve.version import Version

TRIM_SECONDS = 0.1
"""After a model is gone; its arrays go with it."""

LOG = logging.getLogger("underlay.serve")
T = TypeVar("T")


class Releases:
    """Changes to what is served. Each is whole or not at all, on disk before it is told, and one after another.

    Loading, which takes long, holds up no other change; a stop waits for nothing.

    Args:
        service: That is changed.
        path: The file that outlives the server; None: nothing does.
    """

    def __init__(self, service: Service, path: Path | None = None) -> None:
        self.service = service
        self._path = path
        self._loading = asyncio.Lock()
        self._changing = asyncio.Lock()
        self.loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def load(self, name: str, folder: Path, label: str | None, *, actor: str) -> tuple[Version, bool]:
        """Have a bundle in memory, proved by its golden rows; whoever answers goes on meanwhile.

        Args:
            name: Of the model; a new one is served from then on.
            folder: Of the bundle.
            label: Of the version; None: the start of the bundle's seal.
            actor: Whose wish it is.

        Returns:
            The version, and whether it was not there before.

        Raises:
            AdminRefusal: `version_exists`, `too_many_versions`, `bundle_refused`, `other_form`, `no_memory`,
                `aliases_unwritten`; nothing has changed.
        """
        async with self._loading:
            if self.service.draining:
                raise Refusal("draining")
            seal = await self._apart(_seal_of, folder)
            if (known := self._known(name, label or seal[:12], seal)) is not None:
                return known, False
            self._refuse_full()
            version = await self._apart(self._open, name, folder, label)
            if version.served.seal != seal:
                raise AdminRefusal("bundle_refused", reason="changed_meanwhile")
            async with self._changing:
                model = self.service.models.get(name)
                if model is not None and Form.of(version.served) != model.form:
                    raise AdminRefusal("other_form")
                async with self._keeping(self._kept_with(version)):
                    await self.service.records.note(actor, "load", version.served)
                self.service.install(version)
                version.batcher.start()
        self._say("loaded", name, version.label)
        return version, True

    async def unload(self, name: str, label: str, *, actor: str) -> bool:
        """Let a version go: it answers whoever counts on it, then its memory is given back.

        Returns:
            Whether everybody was answered, in the time that a server has to end.

        Raises:
            AdminRefusal: `unknown_model`, `unknown_version`, `version_in_use`, `aliases_unwritten`.
        """
        async with self._changing:
            model = self.model(name)
            version = _version(model, label)
            if pointing := model.aliases.to(label):
                raise AdminRefusal("version_in_use", expected=pointing)
            aliases = model.aliases.without(label)
            left = {other: one for other, one in self._kept_versions(model).items() if other != label}
            async with self._keeping(self._kept().with_model(name, KeptModel(aliases, left, model.stopped))):
                await self.service.records.note(actor, "unload", version.served)
            model.aliases = aliases
            self.service.uninstall(version)
        return await self._gone(version)

    async def remove(self, name: str, *, actor: str) -> bool:
        """Let a model go, with all its versions.

        Returns:
            Whether everybody was answered.

        Raises:
            AdminRefusal: `unknown_model`, `default_model`, `aliases_unwritten`.
        """
        async with self._changing:
            model = self.model(name)
            if name == self.service.default:
                raise AdminRefusal("default_model")
            versions = list(model.versions.values())
            async with self._keeping(self._kept().with_model(name, None)):
                for version in versions:
                    await self.service.records.note(actor, "unload", version.served)
            for version in versions:
                self.service.uninstall(version)
        del model
        return all([await self._gone(versions.pop()) for _ in range(len(versions))])

    async def move(
        self, name: str, changed: Callable[[Model], Aliases], *, actor: str, was: Mapping[str, str | None] | None = None
    ) -> Model:
        """Move aliases of a model; a request goes by the old ones or by the new, never by a mixture.

        Args:
            name: Of the model.
            changed: The new ones; may refuse.
            actor: Whose wish it is.
            was: Where some of them point, as far as the operator knows.

        Raises:
            AdminRefusal: `unknown_model`, `stale`, `aliases_unwritten`, or what `changed` refuses.
        """
        async with self._changing:
            model = self.model(name)
            for alias, label in (was or {}).items():
                if getattr(model.aliases, alias) != label:
                    raise AdminRefusal("stale", expected=getattr(model.aliases, alias))
            aliases = changed(model)
            if aliases != model.aliases:
                kept = KeptModel(aliases, self._kept_versions(model), model.stopped)
                served = model.versions[aliases.prod].served
                async with self._keeping(self._kept().with_model(name, kept)):
                    await self.service.records.note(actor, "alias", served, extra=aliases.to_dict())
                model.aliases = aliases
                self.service.show_weights(name)
                self.service.edition += 1
                LOG.info("aliases", extra={"fields": {"model": name, **aliases.to_dict()}})
        return model

    async def switch(self, name: str | None, *, stopped: bool, actor: str) -> None:
        """Stop a model, or all, at once; or start again.

        Args:
            name: Of the model; None: all.
            stopped: Whether it shall be.
            actor: Whose wish it is.

        Raises:
            AdminRefusal: `unknown_model`; `aliases_unwritten`: it is stopped, but would not be after a restart.
        """
        model = None if name is None else self.model(name)
        if stopped and model is not None:
            self.service.stop_model(model)
        elif stopped:
            self.service.stop_all()
        LOG.warning("stopped_by_operator" if stopped else "starting", extra={"fields": {"model": name or "all"}})
        async with self._changing:
            kept = self._kept()
            if model is None:
                kept = replace(kept, stopped=stopped)
            else:
                self.model(model.name)  # it may have gone meanwhile
                kept = kept.with_model(model.name, replace(kept.models[model.name], stopped=stopped))
            served = self.service.served if model is None else model.served
            async with self._keeping(kept):
                await self.service.records.note(actor, "stop_answering" if stopped else "start_answering", served)
            if model is None:
                self.service.stopped = stopped
            else:
                model.stopped = stopped

    def model(self, name: str) -> Model:
        """One that is loaded.

        Raises:
            AdminRefusal: `unknown_model`.
        """
        if name not in self.service.models:
            raise AdminRefusal("unknown_model", expected=sorted(self.service.models))
        return self.service.models[name]

    def close(self) -> None:
        """Load nothing more."""
        self.loader.shutdown(wait=False, cancel_futures=True)

    async def _apart(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` gives, done in the thread that loads.

        Raises:
            AdminRefusal: `bundle_refused`, `no_memory`.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self.loader, work, *arguments)
        except MemoryError:
            raise AdminRefusal("no_memory", retry_after=60.0) from None
        except (UnderlayError, OSError) as error:
            LOG.warning("bundle_refused", extra={"fields": {"reason": str(error)}})
            raise AdminRefusal("bundle_refused", reason=getattr(error, "code", type(error).__name__)) from None

    def _open(self, name: str, folder: Path, label: str | None) -> Version:
        return self.service.prepare(Served(name, open_bundle(folder), label))

    def _known(self, name: str, label: str, seal: str) -> Version | None:
        """The version of that label, if it is loaded already.

        Raises:
            AdminRefusal: `version_exists`: another bundle is.
        """
        model = self.service.models.get(name)
        known = None if model is None else model.versions.get(label)
        if known is not None and known.served.seal != seal:
            raise AdminRefusal("version_exists", expected=known.served.seal)
        return known

    def _refuse_full(self) -> None:
        loaded, most = sum(1 for _ in self.service.versions()), self.service.limits.loaded_versions
        if loaded >= most:
            raise AdminRefusal("too_many_versions", expected=f"at most {most}")

    async def _gone(self, version: Version) -> bool:
        answered = await version.leave(self.service.limits.drain_seconds)
        self.service.forget(version)
        self._say("unloaded", version.served.name, version.label)
        # Whoever was answered last may hold it a while yet.
        freed = weakref.finalize(version.served, self._freed, asyncio.get_running_loop(), self.loader)
        freed.atexit = False
        return answered

    @staticmethod
    def _freed(loop: asyncio.AbstractEventLoop, loader: ThreadPoolExecutor) -> None:
        def trim() -> None:
            loader.submit(give_memory_back)

        def soon() -> None:
            loop.call_later(TRIM_SECONDS, trim)

        with suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(soon)

    def _kept(self) -> Kept:
        models = {
            name: KeptModel(model.aliases, self._kept_versions(model), model.stopped)
            for name, model in self.service.models.items()
        }
        return Kept(models, self.service.stopped)

    def _kept_with(self, version: Version) -> Kept:
        """With one more version; the first of a name is its `prod`."""
        kept, name = self._kept(), version.served.name
        one = {version.label: (_folder_of(version), version.served.seal)}
        model = kept.models.get(name)
        if model is None:
            return kept.with_model(name, KeptModel(Aliases(version.label), one))
        return kept.with_model(name, replace(model, versions={**model.versions, **one}))

    @staticmethod
    def _kept_versions(model: Model) -> dict[str, tuple[Path, str]]:
        return {label: (_folder_of(version), version.served.seal) for label, version in model.versions.items()}

    async def _keep(self, kept: Kept) -> None:
        if self._path is None:
            return
        try:
            await asyncio.to_thread(write_kept, self._path, kept)
        except ResourceError as error:
            raise AdminRefusal("aliases_unwritten", reason=error.code, retry_after=10.0) from None

    @asynccontextmanager
    async def _keeping(self, kept: Kept) -> AsyncIterator[None]:
        """Keep a change; where what follows refuses it, keep that nothing changed, or a restart would make it."""
        await self._keep(kept)
        try:
            yield
        except BaseException:
            await self._keep(self._kept())
            raise

    @staticmethod
    def _say(event: str, name: str, label: str) -> None:
        LOG.info(event, extra={"fields": {"model": name, "version": label}})


def pointed_to_prod(label: str) -> Callable[[Model], Aliases]:
    """What `Releases.move` needs for another `prod`."""
    return lambda model: model.aliases.pointed(_version(model, label).label)


def with_canary(label: str | None, weight: float) -> Callable[[Model], Aliases]:
    """What it needs for another canary, or None."""

    def changed(model: Model) -> Aliases:
        if label is not None and _version(model, label).label == model.aliases.prod:
            raise AdminRefusal("version_in_use", expected=["prod"])
        return model.aliases.with_canary(label, weight)

    return changed


def with_shadow(label: str | None) -> Callable[[Model], Aliases]:
    """What it needs for another shadow, or None."""

    def changed(model: Model) -> Aliases:
        if label is not None and _version(model, label).label == model.aliases.prod:
            raise AdminRefusal("version_in_use", expected=["prod"])
        return model.aliases.with_shadow(label)

    return changed


def rolled_back(model: Model) -> Aliases:
    """What it needs to go back to where `prod` pointed before."""
    if model.aliases.previous is None:
        raise AdminRefusal("no_way_back")
    return model.aliases.pointed(model.aliases.previous)


def give_memory_back() -> None:
    """Return freed pages to the system, where the C library keeps them for itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)


def _version(model: Model, label: str) -> Version:
    if label not in model.versions:
        raise AdminRefusal("unknown_version", expected=sorted(model.versions))
    return model.versions[label]


def _folder_of(version: Version) -> Path:
    path = version.served.bundle.path
    if path is None:  # it was never sealed, so it lies nowhere
        raise Refusal("bug")
    return path.absolute()


def _seal_of(folder: Path) -> str:
    """The seal of a bundle, without reading more of it.

    Raises:
        BundleRefused: It has no manifest that could be one.
    """
    path = folder / MANIFEST
    if not path.is_file() or path.stat().st_size > MANIFEST_BYTES:
        raise BundleRefused(f"there is no bundle at {folder}", "name the folder that `fit` wrote", code="no_bundle")
    return parse_manifest(path.read_bytes()).seal
