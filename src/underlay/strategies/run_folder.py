"""Where a run keeps its state, and what may happen to what already stands there."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay.core import BundleRefused, CheckpointRefused, DataChanged, Modality, OutputExists, ResourceError
from underlay.core.durable import write_file
from underlay.modalities import MODALITIES
from underlay.strategies.recipe import Recipe

FITTED = "fitted.json"
"""Names the fitted modalities of a run and the digests of their files."""


@dataclass(frozen=True)
class RunFolder:
    """The bundle's place and, beside it, the run's state: `OUT` and `OUT.run/`.

    Args:
        out: Where the bundle will stand.
    """

    out: Path

    @classmethod
    def at(cls, out: str | Path | None) -> "RunFolder":
        """The run that makes the bundle `out`; a temporary folder when None."""
        return cls(Path(tempfile.mkdtemp(prefix="underlay-")) / "bundle" if out is None else Path(out))

    @property
    def state(self) -> Path:
        """`OUT.run`."""
        return self.out.with_name(self.out.name + ".run")

    @property
    def finished(self) -> bool:
        """Whether the bundle stands."""
        return (self.out / "manifest.json").exists()

    def open(self, *, resume: bool, force: bool) -> None:
        """Make the state folder, or refuse what would be overwritten.

        Raises:
            OutputExists: A bundle, a run or something else is there, and neither flag was given.
            ResourceError: The folder cannot be written to.
        """
        if self.out.exists() and not self.out.is_dir():
            raise OutputExists(f"{self.out} is a file", "choose another --out")
        occupied = self.out.is_dir() and any(self.out.iterdir())
        if occupied and not self.finished:
            raise OutputExists(f"{self.out} holds files that are not a bundle", "choose another --out")
        if occupied and not force:
            raise OutputExists(f"{self.out} already holds a bundle", "choose another --out, or --force to replace it")
        if (self.state / "recipe.yaml").exists() and not (resume or force):
            raise OutputExists(
                f"{self.state} holds the state of a run that did not finish",
                "--resume goes on with it, --force starts again",
            )
        if force and not resume:
            shutil.rmtree(self.state, ignore_errors=True)
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            write_file(self.state / ".writable", b"")
            (self.state / ".writable").unlink()
        except OSError as error:
            raise ResourceError(
                f"{self.state} cannot be written to ({error.strerror})",
                "choose another --out or change the folder's permissions",
                code="not_writable",
            ) from None

    @property
    def recipe(self) -> Recipe | None:
        """The resolved recipe of a run that began here, or None."""
        path = self.state / "recipe.yaml"
        return Recipe.load(path) if path.exists() else None

    def keep(self, recipe: Recipe, facts: Mapping[str, Any], modalities: Mapping[str, Modality]) -> None:
        """Store what was decided, before the first step; `resume` reads it and decides nothing again."""
        self._keep_fitted(modalities)
        write_file(self.state / "begun.json", json.dumps(dict(facts), indent=1, sort_keys=True).encode())
        write_file(self.state / "recipe.yaml", recipe.to_yaml().encode())

    def _keep_fitted(self, modalities: Mapping[str, Modality]) -> None:
        entries = {}
        for index, (column, modality) in enumerate(modalities.items()):
            files, folder = modality.state(), f"modality-{index}"
            for name, data in files.items():
                path = self.state / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, data)
            digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            entries[column] = {"name": modality.name, "folder": folder, "files": digests}
        write_file(self.state / FITTED, json.dumps(entries, indent=1).encode())

    @property
    def modalities(self) -> dict[str, Modality] | None:
        """What a run that began here fitted, by column; None where nothing was kept.

        Raises:
            CheckpointRefused: A file is missing or is not the one that was written.
        """
        if not (self.state / FITTED).exists():
            return None
        try:
            entries = json.loads((self.state / FITTED).read_text(encoding="utf-8"))
            return {column: self._fitted(**entry) for column, entry in entries.items()}
        except (OSError, ValueError, TypeError, BundleRefused) as error:
            raise CheckpointRefused(
                f"the fitted modalities in {self.state} are damaged ({error})", "start again with --force"
            ) from None

    def _fitted(self, *, name: str, folder: str, files: Mapping[str, str]) -> Modality:
        read = {file: (self.state / folder / file).read_bytes() for file in files}
        for file, digest in files.items():
            if hashlib.sha256(read[file]).hexdigest() != digest:
                raise ValueError(f"{folder}/{file} is not the file that was written")
        modality: Modality = MODALITIES[name].from_state(read)
        return modality

    def kept(self, name: str) -> Any:
        """What `keep` was given as the fact `name`; None where a run of an earlier version did not keep it."""
        return json.loads((self.state / "begun.json").read_text(encoding="utf-8")).get(name)

    def require_same_data(self, digests: Mapping[str, str]) -> None:
        """Refuse to go on with other data than the run began with.

        Raises:
            DataChanged: A digest differs.
        """
        path = self.state / "begun.json"
        if not path.exists():
            return
        try:
            began = json.loads(path.read_text(encoding="utf-8"))["data"]
        except (ValueError, KeyError):
            raise CheckpointRefused(f"{path} is damaged", "start again with --force") from None
        for name, digest in digests.items():
            if began.get(name) != digest:
                raise DataChanged(
                    f"the {name} data is not what this run began with (sha256 {str(began.get(name))[:12]}…, now "
                    f"{digest[:12]}…)",
                    "restore the file, or start again with --force",
                )

    def require_space(self, needed: int) -> None:
        """Refuse a run that would fill the disk, before its first step.

        Args:
            needed: Bytes for two checkpoints, the caches and the bundle.

        Raises:
            ResourceError: Fewer are free.
        """
        free = shutil.disk_usage(self.state).free
        if free < needed:
            raise ResourceError(
                f"this run needs {needed / 1e6:,.0f} MB in {self.state} and {free / 1e6:,.0f} MB are free",
                "free some space or choose --out on another disk",
                code="disk_full",
            )
