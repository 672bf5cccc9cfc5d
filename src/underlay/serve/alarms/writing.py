"""The files that Prometheus and Alertmanager read, from a bundle's own figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from underlay.bundle.manifest import read_sealed
from underlay.core import OutputExists, Schema, UsageError
from underlay.core.durable import resource_errors, write_file
from underlay.serve.alarms import drift, servers
from underlay.serve.alarms.alarm import Alarm, Figure
from underlay.serve.alarms.receivers import alertmanager, prometheus
from underlay.serve.alarms.reference import Spread, spreads
from underlay.serve.metrics import SECONDS

RULES, ALERTMANAGER, PROMETHEUS = FILES = "underlay-rules.yml", "alertmanager.yml", "prometheus.yml"
JOB = "underlay"

EVERY = "1m"
"""Figures over hours need no more."""

READABLE = 0o644
"""Of files without a secret: Prometheus runs as a user of its own. The address of a receiver often is one."""


@dataclass(frozen=True)
class Watched:
    """A bundle as it is to be watched.

    Args:
        name: Under which it is served.
        schema: Of it.
        reference: `reference.json`.
        metrics: `metrics.json`.
        seal: Of it.
    """

    name: str
    schema: Schema
    reference: Mapping[str, Any]
    metrics: Mapping[str, Any]
    seal: str = ""


@dataclass(frozen=True)
class Rules:
    """All that a Prometheus server is to evaluate.

    Args:
        figures: By group.
        alarms: In their order.
        spreads: What is compared with the bundles' references.
    """

    figures: Mapping[str, Sequence[Figure]]
    alarms: Sequence[Alarm]
    spreads: Sequence[Spread] = ()

    def to_yaml(self, *, head: str = "") -> str:
        """The rules file."""
        groups = [
            {"name": name, "interval": EVERY, "rules": [figure.to_dict() for figure in figures]}
            for name, figures in self.figures.items()
            if figures
        ]
        groups.append({"name": "underlay-alarms", "rules": [alarm.to_dict() for alarm in self.alarms]})
        return head + _yaml({"groups": groups})


def read_watched(name: str, folder: Path) -> Watched:
    """What alarms need of a bundle, checked against its digests; nothing of it is run.

    Args:
        name: Under which it is served.
        folder: Of it.

    Raises:
        BundleRefused: It is not what it was.
    """
    manifest, files = read_sealed(folder)
    config, reference, metrics = (json.loads(files[f"{part}.json"]) for part in ("config", "reference", "metrics"))
    return Watched(name, Schema.from_dict(config["schema"]), reference, metrics, manifest.seal)


def rules_of(watched: Sequence[Watched], *, job: str = JOB, latency: float = servers.LATENCY) -> Rules:
    """Figures and alarms of some bundles.

    Args:
        watched: Each under another name.
        job: As Prometheus calls the servers.
        latency: Seconds within which 99 of 100 requests are to be answered.

    Raises:
        UsageError: `latency`: the server does not count at that bound.
    """
    if latency not in SECONDS:
        raise UsageError(
            f"requests are not counted at {latency:g} s", f"give one of {', '.join(map(str, SECONDS))}", code="latency"
        )
    compared = [spread for one in watched for spread in spreads(one.name, one.schema.targets, one.reference, job=job)]
    quality = drift.quality_figures({one.name: (one.schema.targets, one.metrics) for one in watched}, job=job)
    return Rules(
        {
            "underlay-level": servers.figures(job),
            "underlay-answers": drift.figures(compared),
            "underlay-quality": quality,
        },
        [*servers.alarms(job, latency=latency), *drift.alarms(compared), *drift.quality_alarms(quality)],
        compared,
    )


def write(
    rules: Rules,
    out: Path,
    *,
    webhook: str,
    watchdog: str | None = None,
    server: str,
    seals: Mapping[str, str],
    force: bool,
) -> list[Path]:
    """The three files; each is there as a whole or as it was.

    Args:
        rules: To evaluate.
        out: Folder, made if there is none.
        webhook: Address that is told of alarms.
        watchdog: Address that is told that all is well, and misses it; None: the same.
        server: `HOST:PORT` of the figures.
        seals: Of the bundles, by name.
        force: Replace what is there.

    Raises:
        OutputExists: A file is there.
        UsageError: `webhook`, `server`.
        ResourceError: The folder cannot be written.
    """
    texts = {
        RULES: rules.to_yaml(head=_head(seals)),
        ALERTMANAGER: _yaml(alertmanager(webhook, watchdog=watchdog or webhook)),
        PROMETHEUS: _yaml(prometheus(server, job=JOB, rules=RULES)),
    }
    there = [name for name in texts if (out / name).exists()]
    if there and not force:
        raise OutputExists(f"{out} already holds {', '.join(there)}", "name another folder, or pass --force")
    with resource_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_file(out / name, text.encode())
        if name != ALERTMANAGER:
            (out / name).chmod(READABLE)
    return [out / name for name in texts]


def _head(seals: Mapping[str, str]) -> str:
    """Which bundles the numbers come from; a new version of one needs a new file."""
    lines = [f"#   {name}: {seal[:12]}" for name, seal in seals.items()]
    return "\n".join(["# Written by `underlay alarms` from the figures of these bundles:", *lines, ""])


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1_000)
