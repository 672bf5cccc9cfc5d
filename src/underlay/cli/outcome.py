"""What a finished run shows: figures beside baselines, where things are, what to type next."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cli.streams import results
from underlay.cli.tables import put_table
from underlay.core import stream

if TYPE_CHECKING:
    from underlay.evaluate import Examination, Interval
    from underlay.strategies import FineTuned

WIDE = 100
"""Columns of a terminal that has room for the baselines' intervals; a narrower one leaves them to the report."""


MOST_INPUTS = 12
"""Inputs shown on the terminal; the report shows all."""


def summary(tuned: "FineTuned") -> dict[str, Any]:
    """The run for a program that reads stdout."""
    bundle, report = tuned.bundle, tuned.report
    targets = report.targets if report else ()
    return {
        "bundle": str(bundle.path),
        "seal": bundle.manifest.seal if bundle.manifest else None,
        "targets": {target.name: {"task": target.task, "labels": target.labels} for target in bundle.schema.targets},
        **counted(bundle.metrics),
        "baselines": _only({one.target: _baselines(one) for one in targets}),
        "warnings": list(report.notes) if report else [],
        "report": str(report_of(tuned)),
        "seconds": dict(tuned.seconds),
        "recipe": tuned.recipe.model_dump(mode="json"),
    }


def counted(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`{"metrics": ..., "n": ...}`, both by target where there are several.

    >>> counted({"label": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}, "n": 40}})
    {'metrics': {'accuracy': {'value': 0.9, 'low': 0.8, 'high': 0.95}}, 'n': 40}
    """
    figures = {
        target: {name: figure for name, figure in found.items() if name != "n"} for target, found in metrics.items()
    }
    return {"metrics": _only(figures), "n": _only({target: found.get("n", 0) for target, found in metrics.items()})}


def show(tuned: "FineTuned") -> None:
    """Print the figures of a run and the next command."""
    for one in tuned.report.targets if tuned.report else ():
        show_figures(one)
        show_contributions(one)
    folder = shlex.quote(str(tuned.bundle.path))
    results().print(f"report: {report_of(tuned)}", markup=False)
    results().print(f"next:   underlay predict {folder} {_example(tuned)}", markup=False)


def show_figures(one: "Examination") -> None:
    """Print a table of one target's figures with their 95 % intervals, baselines beside them."""
    from underlay.evaluate.wording import gap_text, metric_of, verdict

    if not one.count:
        return
    title = f"{one.target}: {one.count:,} rows measured, 95 % intervals"
    beside = spread if results().width >= WIDE else alone
    columns = ["", "this model", *(opponent.name for opponent in one.opponents)]
    rows = [
        [
            metric_of(name).title,
            spread(name, figure),
            *(beside(name, opponent.metrics.get(name)) for opponent in one.opponents),
        ]
        for name, figure in one.metrics.items()
    ]
    put_table(title, columns, rows)
    for opponent in one.opponents:
        if verdict(one.key, opponent.gap) != "better":
            word = "is better" if verdict(one.key, opponent.gap) == "worse" else "is not clearly beaten"
            results().print(f"mind: {opponent.name} {word} ({gap_text(one.key, opponent.gap)})", markup=False)


def alone(name: str, figure: "Interval | None") -> str:
    """A figure without its interval, or nothing."""
    from underlay.evaluate.wording import figure as written

    return "" if figure is None else written(name, figure.value)


def show_contributions(one: "Examination") -> None:
    """Print what each of several inputs contributes, the dearest first."""
    from underlay.evaluate.wording import gap_text, metric_of

    if not one.contributions:
        return
    rows = [
        [part.column, spread(one.key, part.figure), gap_text(one.key, part.gap)]
        for part in one.contributions[:MOST_INPUTS]
    ]
    title = "what each input contributes"
    put_table(title, ["input", f"{metric_of(one.key).title} without it", "all inputs against that"], rows)
    if (left := len(one.contributions) - MOST_INPUTS) > 0:
        results().print(f"and {left} more in the report", markup=False)


def spread(name: str, figure: "Interval | None") -> str:
    """A figure with its interval, or nothing."""
    from underlay.evaluate.wording import figure as written
    from underlay.evaluate.wording import span

    return "" if figure is None else f"{written(name, figure.value)}  ({span(name, figure)})"


def report_of(tuned: "FineTuned") -> Path | None:
    """The HTML report that the run left beside its bundle."""
    path = tuned.bundle.path
    return None if path is None else path.with_name(f"{path.name}.run") / "report.html"


def _baselines(one: "Examination") -> dict[str, Any]:
    return {
        opponent.name: {
            "metrics": {name: figure.to_dict() for name, figure in opponent.metrics.items()},
            "seconds": opponent.seconds,
        }
        for opponent in one.opponents
    }


def _only(by_target: Mapping[str, Any]) -> Any:
    """The value of the only target, or all of them."""
    return next(iter(by_target.values())) if len(by_target) == 1 else dict(by_target)


def _example(tuned: "FineTuned") -> str:
    """What `predict` can be given: a value where the only column holds strings that say all, else a file."""
    modalities = list(tuned.bundle.modalities.values())
    typed = len(modalities) == 1 and not modalities[0].files
    return '"some text"' if typed and isinstance(modalities[0].probe(stream(0, "example")), str) else "FILE"
