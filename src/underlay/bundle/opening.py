"""A folder -> a bundle that has proved itself, or a sentence that says what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay.bundle.backends import BACKENDS, GRAPH_BACKENDS, Backend
from underlay.bundle.bundle import Bundle
from underlay.bundle.golden import Replay
from underlay.bundle.golden import replay as replay_golden
from underlay.bundle.graph import Graph
from underlay.bundle.layout import (
    CARD,
    CONFIG,
    EXPORT,
    FORMAT,
    GOLDEN,
    GRAPH,
    LABELS,
    METRICS,
    PROVENANCE,
    REFERENCE,
    WEIGHTS,
)
from underlay.bundle.manifest import Manifest, read_sealed
from underlay.bundle.rules import parse_labels
from underlay.bundle.strict_json import parse
from underlay.bundle.weights import read_weights
from underlay.core import BundleRefused, Modality, Schema, UnderlayError, UnknownName
from underlay.modalities import MODALITIES

_CONFIG_KEYS = {"format", "backend", "schema", "modalities", "model"}


@dataclass(frozen=True)
class Verification:
    """What `verify` found to be right.

    Args:
        seal: The bundle's identity.
        files: How many were compared with their digests.
        bytes: How many bytes they have.
        golden: How its golden rows were answered.
    """

    seal: str
    files: int
    bytes: int
    golden: Replay


def open_bundle(folder: str | Path, *, replay: bool = True) -> Bundle:
    """Read a bundle; nothing of it is used before it is checked, and nothing stays mapped to the disk.

    Args:
        folder: What `seal` wrote.
        replay: Whether the golden rows are answered again.

    Raises:
        BundleRefused: It is not what it was when it was sealed, or answers otherwise; the code says which.
        MissingExtra: What computes its answers is not installed.
    """
    manifest, files = read_sealed(Path(folder))
    bundle = assemble(Path(folder), manifest, files)
    if replay:
        replay_golden(bundle, files[GOLDEN])
    return bundle


def verify(folder: str | Path) -> Verification:
    """Check every file and answer every golden row.

    Args:
        folder: What `seal` wrote.

    Raises:
        BundleRefused: As `open_bundle`.
        MissingExtra: What computes its answers is not installed.
    """
    manifest, files = read_sealed(Path(folder))
    outcome = replay_golden(assemble(Path(folder), manifest, files), files[GOLDEN])
    return Verification(manifest.seal, len(files), sum(map(len, files.values())), outcome)


def assemble(folder: Path | None, manifest: Manifest | None, files: Mapping[str, bytes]) -> Bundle:
    """A bundle from the bytes of its files.

    Args:
        folder: Where they came from.
        manifest: Its list.
        files: By path.

    Raises:
        BundleRefused: They do not fit together.
    """
    config = _config(parse(files[CONFIG], CONFIG))
    schema = _schema(config["schema"])
    modalities = _modalities(config["modalities"], schema, files)
    _check_outputs(config["model"], schema)
    backend = _backend(config, files)
    others = {name: parse(files[name], name) for name in (METRICS, PROVENANCE, REFERENCE)}
    return Bundle(
        path=folder,
        schema=schema,
        modalities=modalities,
        rules=parse_labels(parse(files[LABELS], LABELS), schema.targets),
        backend=backend,
        config=config["model"],
        manifest=manifest,
        metrics=others[METRICS],
        provenance=others[PROVENANCE],
        reference=others[REFERENCE],
        card=_text(files[CARD]),
    )


def _backend(config: Mapping[str, Any], files: Mapping[str, bytes]) -> Backend:
    name, model = _versioned(config["backend"]), config["model"]
    try:
        if GRAPH not in files:
            return BACKENDS[name](model, read_weights(files[WEIGHTS]))
        build = GRAPH_BACKENDS[name]
    except UnknownName as error:
        raise BundleRefused(str(error), code="config_name") from error
    record = parse(files[EXPORT], EXPORT) if EXPORT in files else None
    if not isinstance(record, dict) or not isinstance(record.get("runtime"), dict):
        raise _refused(f"{EXPORT} does not say how {GRAPH} is run", "graph")
    return build(model, read_weights(files[WEIGHTS]), Graph(files[GRAPH], record["runtime"]))


def _config(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict) or set(config) != _CONFIG_KEYS:
        keys = sorted(config) if isinstance(config, dict) else type(config).__name__
        raise _refused(f"{CONFIG} has {keys}; it should have {sorted(_CONFIG_KEYS)}", "config_key")
    if config["format"] != FORMAT:
        raise _refused(f"{CONFIG} has the format {config['format']!r}; known: {FORMAT}", "format")
    return config


def _schema(data: Any) -> Schema:
    try:
        schema = Schema.from_dict(data)
        known = schema.to_dict()
        same = set(data) == set(known)
    except (KeyError, TypeError, AttributeError, UnderlayError) as error:
        raise _refused(f"the schema in {CONFIG} cannot be read: {error}", "config_key") from error
    if not same or not schema.columns or not schema.targets:
        raise _refused(f"the schema in {CONFIG} has {sorted(data)}; it should have {sorted(known)}", "config_key")
    for target in schema.targets:
        if len(set(target.labels)) != len(target.labels):
            raise _refused(f"target {target.name!r} has a label twice: {target.labels!r:.200}", "labels")
    return schema


def _modalities(data: Any, schema: Schema, files: Mapping[str, bytes]) -> dict[str, Modality]:
    names = [column.name for column in schema.columns]
    if not isinstance(data, dict) or list(data) != names:
        raise _refused(f"{CONFIG} has modalities for {list(data)!r:.200}; the columns are {names}", "config_key")
    return {column.name: _modality(data[column.name], files) for column in schema.columns}


def _modality(entry: Any, files: Mapping[str, bytes]) -> Modality:
    if not isinstance(entry, dict) or set(entry) != {"name", "folder"}:
        raise _refused(f"{CONFIG} describes a modality as {entry!r:.120}", "config_key")
    prefix = f"{entry['folder']}/"
    own = {path.removeprefix(prefix): data for path, data in files.items() if path.startswith(prefix)}
    for path, data in own.items():
        if path.endswith(".json"):
            parse(data, prefix + path)  # double keys and the like, which its own reader may let pass
    try:
        modality: Modality = MODALITIES[_versioned(entry["name"])].from_state(own)
    except UnknownName as error:
        raise BundleRefused(str(error), code="config_name") from error
    return modality


def _check_outputs(model: Any, schema: Schema) -> None:
    """The heads give one logit a label, for the targets of the schema in their order."""
    try:
        heads = [(head["target"], head["outputs"]) for head in model["heads"]]
        branches = model.get("branches", [model])
        columns = [stem["column"] for branch in branches for stem in branch["stems"]]
    except (KeyError, TypeError) as error:
        raise _refused(f"the model in {CONFIG} has no heads or stems as it should: {error!r}", "config_key") from error
    wanted = [(target.name, target.outputs) for target in schema.targets]
    if heads != wanted:
        raise _refused(f"the model gives the outputs {heads}; the labels ask for {wanted}", "labels")
    wanted_columns = [column.name for column in schema.columns]
    if "branches" in model:  # they stand by branch there
        columns, wanted_columns = sorted(columns), sorted(wanted_columns)
    if columns != wanted_columns:
        raise _refused(f"the model reads {columns}; the columns are {[c.name for c in schema.columns]}", "config_key")


def _versioned(name: Any) -> str:
    """A registry name with its version: a bundle never takes the newest of something."""
    if not isinstance(name, str) or ".v" not in name:
        raise _refused(f"{CONFIG} names {name!r:.80} without a version", "config_name")
    return name


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(f"{CARD} is not UTF-8: {error}", "file_kind") from error


def _refused(what: str, code: str) -> BundleRefused:
    return BundleRefused(what, "restore the bundle or seal it again", code=code)
