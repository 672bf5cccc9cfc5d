"""The model card: what a person should know before they rely on the model."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from underlay.core import Schema, Target

_SHOWN = ("recipe", "data", "seed", "trunk", "credit")
"""What of the provenance is printed, where it is there."""

_LIMITS = """## Limits

Figures hold for data like the test data. Scores are calibrated on the validation split; on other data they may be off.
The labels are taken as given: what was mislabelled was learned."""


def render_card(schema: Schema, metrics: Mapping[str, Any], provenance: Mapping[str, Any], notes: str = "") -> str:
    """Markdown: purpose, labels, figures with their intervals, origin, limits.

    Args:
        schema: Columns and targets.
        metrics: Anywhere within: `{"value": …, "low": …, "high": …}`.
        provenance: Where it came from.
        notes: What its makers want to say.
    """
    columns = ", ".join(f"`{column.name}` ({column.modality})" for column in schema.columns)
    pieces = [
        f"# Model card\n\nReads {columns} and predicts {', '.join(f'`{target.name}`' for target in schema.targets)}.",
        "\n\n".join(_target(target) for target in schema.targets),
        _figures(metrics),
        _origin(provenance),
        notes.strip(),
        _LIMITS,
    ]
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


def _target(target: Target) -> str:
    if not target.labels:
        return f"## Target `{target.name}`\n\nA number ({target.task})."
    shown = ", ".join(f"`{name}`" for name in target.labels[:20])
    more = f" and {len(target.labels) - 20} more" if len(target.labels) > 20 else ""
    return f"## Target `{target.name}`\n\n{target.task}, labels in their order: {shown}{more}."


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = [
        f"| {' / '.join(path)} | {_number(figure['value'])} | {_number(figure['low'])} – {_number(figure['high'])} |"
        for path, figure in _intervals(metrics, ())
    ]
    if not rows:
        return ""
    head = ["## Figures", "", "Measured on this bundle as read from disk.", "", "| what | value | 95 % interval |"]
    return "\n".join([*head, "|---|---|---|", *rows])


def _intervals(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if not isinstance(value, Mapping):
        return
    if {"value", "low", "high"} <= set(value):
        yield path, value
        return
    for key, item in value.items():
        yield from _intervals(item, (*path, str(key)))


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) and math.isfinite(value) else "–"


def _origin(provenance: Mapping[str, Any]) -> str:
    lines = [f"- {key}: `{provenance[key]!s:.200}`" for key in _SHOWN if key in provenance]
    return "\n".join(["## Origin", "", *lines]) if lines else ""
