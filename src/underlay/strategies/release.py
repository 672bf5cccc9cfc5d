"""From a trained model to a bundle and its report: calibrate, seal, measure what stands on disk."""

import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from underlay.bundle import Answers, Bundle, Contents, Rule, reference_sketch, seal
from underlay.bundle.machine import installed
from underlay.core import Beside, FollowedModality, Modality, Target, joined
from underlay.core.durable import write_file
from underlay.evaluate import (
    Baseline,
    DataFacts,
    Examination,
    Fact,
    FactGroup,
    Learning,
    Phase,
    ReportData,
    Search,
    SideBySide,
    baselines,
    choose_thresholds,
    counted_kinds,
    examine,
    fit_temperature,
    next_item_baselines,
    render_report,
    tag_baselines,
)
from underlay.strategies.assembly import Assembly
from underlay.strategies.checks import Checked
from underlay.strategies.inputs import lengths, said_of, thumbnails, with_contributions
from underlay.strategies.learn import Learned
from underlay.strategies.listening import Say
from underlay.strategies.prepare import column_values
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.run_folder import RunFolder

REFERENCE_ROWS = 20_000
"""Rows a drift reference is drawn from; its counts change no more beyond them."""

PACKAGES = (
    "underlay",
    "torch",
    "numpy",
    "pyarrow",
    "tokenizers",
    "safetensors",
    "scikit-learn",
    "accelerate",
    "pillow",
)


@dataclass(frozen=True)
class Lineage:
    """What a model was made from besides data and a trunk.

    Args:
        parent: Seal of the bundle it comes from.
        facts: What the provenance says of it, JSON data by key.
        told: A sentence for the card.
        search: What the report shows of how it was found.
    """

    parent: str
    facts: Mapping[str, Any]
    told: str
    search: Search | None = None


@dataclass(frozen=True)
class Measured:
    """Everything a release is made from.

    Args:
        data: The data set.
        modalities: Fitted, by column.
        assembly: What the model started from.
        config: What `models.configure` gave.
        learned: The trained model.
        recipe: Resolved.
        checked: What the data checks found.
        seconds: By phase so far.
        say: Told what happens; holds the warnings.
        lineage: The bundle it comes from; None where it comes from none.
    """

    data: Prepared
    modalities: Mapping[str, Modality]
    assembly: Assembly
    config: Mapping[str, Any]
    learned: Learned
    recipe: Recipe
    checked: Checked
    seconds: dict[str, float]
    say: Say
    lineage: Lineage | None = None


def release(
    measured: Measured, run: RunFolder, *, force: bool, sealing: Callable[..., Bundle] = seal
) -> tuple[Bundle, ReportData]:
    """Seal the bundle, measured as re-read from disk, and write the report beside it.

    Args:
        measured: What it is made from.
        run: Where it will stand.
        force: Whether what stands there goes.
        sealing: Called as `bundle.seal` is.
    """
    began = datetime.now(UTC)
    measured.say.phase("evaluate", "measuring the bundle as it stands on disk")
    calibration = calibrate(measured)
    examined: list[Examination] = []

    def measure(bundle: Bundle) -> dict[str, Any]:
        examined.extend(_examine(measured, bundle))
        return {
            one.target: {name: _plain(interval) for name, interval in one.metrics.items()}
            | {f"{one.key} without {part.column}": _plain(part.figure) for part in one.contributions}
            | {"n": one.count}
            for one in examined
        }

    bundle = sealing(run.out, contents_of(measured, calibration), measure=measure, force=force)
    measured.seconds["evaluate"] = (datetime.now(UTC) - began).total_seconds()
    report = _report(measured, tuple(examined), run)
    write_file(run.state / "report.json", json.dumps(report.to_dict()).encode())
    write_file(run.state / "report.html", render_report(report).encode())
    return bundle, report


def read_report(run: RunFolder) -> ReportData | None:
    """What the report of a finished run shows, if it is still there."""
    path = run.state / "report.json"
    return ReportData.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def calibrate(measured: Measured) -> dict[str, dict[str, Any]]:
    """Temperature and thresholds of each target from the validation rows; mean and scale of a number."""
    found: dict[str, dict[str, Any]] = {}
    for target in measured.data.schema.targets:
        logits = measured.learned.validation_logits[target.name]
        truth = measured.data.truth("validation", target.name)
        if target.dense:  # over the positions that have a label, of all rows
            logits, truth = joined(logits), joined(measured.learned.validation_labels[target.name])
        if target.task == "regression":
            mean, scale = measured.data.scales[target.name]
            found[target.name] = {"mean": mean, "scale": scale}
            continue
        known = truth >= 0 if truth.ndim == 1 else (truth >= 0).all(1)
        temperature = fit_temperature(logits[known], truth[known].astype(np.int64))
        found[target.name] = {"temperature": temperature}
        if target.task == "multilabel":
            rule = Rule(target, temperature=temperature)
            probabilities = rule.probabilities(logits[known])
            found[target.name]["thresholds"] = list(choose_thresholds(probabilities, truth[known]))
    return found


def contents_of(measured: Measured, calibration: Mapping[str, Mapping[str, Any]]) -> Contents:
    """What is sealed, but for the figures.

    Args:
        measured: What it is made from.
        calibration: What `calibrate` gave.
    """
    data, recipe, lineage = measured.data, measured.recipe, measured.lineage
    rows = data.splits.train[:REFERENCE_ROWS]
    values = {column.name: column_values(data.table, column.name, rows) for column in data.schema.columns}
    return Contents(
        schema=data.schema,
        modalities=measured.modalities,
        model=measured.config,
        weights=measured.learned.model.state_dict(),
        calibration=calibration,
        provenance={
            "recipe": recipe.model_dump(mode="json"),
            "seed": recipe.seed,
            "versions": package_versions(),
            "data": data.digests,
            "sources": {
                "training": data.table.name,
                **({} if data.test_table is None else {"test": data.test_table.name}),
            },
            "rows": _row_counts(data),
            "backbone": {
                "name": measured.assembly.name,
                "digest": measured.assembly.digest,
                "credit": measured.assembly.credit,
                **({"why": dict(measured.assembly.reasons)} if measured.assembly.reasons else {}),
            },
            "history": measured.learned.state.progress.history,
            "best_step": measured.learned.state.progress.best_step,
            "steps": measured.learned.state.progress.step,
            "stopped": measured.learned.state.progress.stopped,
            **({"averaged": list(measured.learned.averaged)} if measured.learned.averaged else {}),
            **(lineage.facts if lineage is not None else {}),
        },
        reference=reference_sketch(data.schema, measured.modalities, values, answers=_said(measured, calibration)),
        notes="\n".join(
            [*([f"{lineage.told}\n"] if lineage is not None else []), *(f"- {one}" for one in measured.say.warnings)]
        ),
        seed=recipe.seed,
        parent=None if lineage is None else lineage.parent,
    )


def _said(measured: Measured, calibration: Mapping[str, Mapping[str, Any]]) -> Answers:
    """What the trained model says of the validation rows: the reference of decisions and confidence."""
    rules = {t.name: Rule.from_calibration(t, calibration[t.name]) for t in measured.data.schema.targets}
    logits = {
        target.name: joined(found) if target.ranked else found
        for target in measured.data.schema.targets
        for found in [measured.learned.validation_logits[target.name]]
    }
    probabilities = {name: rule.probabilities(logits[name]) for name, rule in rules.items()}
    return Answers(
        logits,
        probabilities,
        {name: rule.decide(probabilities[name]) for name, rule in rules.items()},
        {name: rule.confidence(probabilities[name]) for name, rule in rules.items()},
        {},
    )


def _examine(measured: Measured, bundle: Bundle) -> list[Examination]:
    data, schema = measured.data, measured.data.schema
    if not len(data.splits.test):
        measured.say.warning("there are no test rows, so nothing was measured")
        return []
    names = [column.name for column in schema.columns]
    columns = {name: data.values("test", name) for name in names}
    learned = {name: data.values("train", name) for name in names}
    said = said_of(bundle, columns, {target.name: data.truth("test", target.name) for target in schema.targets})
    by = lengths(measured.modalities, columns)
    leaked = measured.checked.leaked
    if leaked is not None and len(leaked):
        seen = set(leaked.tolist())
        by["seen in training"] = ["yes" if row in seen else "no" for row in range(len(data.splits.test))]
    examined = [
        examine(
            target,
            said.scores[target.name],
            data.truth("test", target.name),
            values=columns,
            logits=said.logits.get(target.name),
            temperature=bundle.rules[target.name].temperature,
            threshold=list(bundle.rules[target.name].thresholds) or None,
            opponents=_opponents(measured, target, learned, columns),
            columns=by,
            places=lambda row: data.tests_on.place(int(data.splits.test[row])),
            thumbnails=thumbnails(measured.modalities),
            seed=measured.recipe.seed,
        )
        for target in schema.targets
    ]
    return with_contributions(examined, bundle, columns, said, data, seed=measured.recipe.seed)


def _opponents(
    measured: Measured, target: Target, learned: Mapping[str, Sequence[Any]], asked: Mapping[str, Sequence[Any]]
) -> tuple[Baseline, ...]:
    """The baselines of one target: of units by their names, else of rows by classical features."""
    truths = [measured.data.truth(part, target.name) for part in ("train", "test")]
    seed = measured.recipe.seed
    if target.ranked:
        name, modality = next(iter(measured.modalities.items()))
        assert isinstance(modality, FollowedModality)  # as the trunk was chosen
        return next_item_baselines(
            target,
            [modality.named(value) for value in learned[name]],
            [modality.named(value) for value in asked[name]],
            truths[1],
            barred=[modality.barred(value) for value in asked[name]],
            seed=seed,
        )
    if target.by_unit:
        name, modality = next(iter(measured.modalities.items()))
        seen, tested = (
            [[part.text for part in modality.parts(one)] for one in rows[name]] for rows in (learned, asked)
        )
        return tag_baselines(target, seen, truths[0], tested, truths[1], seed=seed)
    classical, features = _classical([measured.modalities[name] for name in asked])
    return baselines(
        target,
        _rows(learned),
        truths[0],
        _rows(asked),
        truths[1],
        classical=classical,
        features=features,
        seed=seed,
    )


def _rows(columns: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
    """The values of the only column, or a tuple a row."""
    return next(iter(columns.values())) if len(columns) == 1 else Beside(list(columns.values()))


def _classical(modalities: Sequence[Modality]) -> tuple[Any, str]:
    """The transformer of the honest baseline, and what it computes."""
    features = " + ".join(dict.fromkeys(modality.features for modality in modalities))
    if len(modalities) == 1:
        return modalities[0].classical(), features
    return SideBySide([modality.classical() for modality in modalities]), features


def _report(measured: Measured, examined: tuple[Examination, ...], run: RunFolder) -> ReportData:
    data, recipe, progress = measured.data, measured.recipe, measured.learned.state.progress
    return ReportData(
        title=run.out.name,
        model=f"{measured.assembly.name}, {_parameters(measured):.1f} M parameters",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=DataFacts(
            data.table.name,
            _row_counts(data),
            tuple(Fact("note", note) for note in data.table.notes)
            + tuple(Fact(f"digest of the {name} data", digest) for name, digest in data.digests.items())
            + tuple(Fact(f"rows with {why}", f"{count:,} set aside") for why, count in data.set_aside.items()),
            {target.name: _label_counts(data, target) for target in data.schema.targets if target.labels},
        ),
        targets=examined,
        checks=measured.checked.lines,
        learning=_learning(measured),
        run=(
            FactGroup("Seeds and steps", (Fact("seed", str(recipe.seed)), Fact("steps", f"{progress.step:,}"))),
            FactGroup("Versions", tuple(Fact(name, text) for name, text in package_versions().items())),
            FactGroup("Machine", tuple(Fact(name, text) for name, text in _machine(recipe).items())),
            FactGroup(
                "Weights",
                (
                    Fact("trunk", measured.assembly.name),
                    *(Fact(f"why, of {kind}", why) for kind, why in measured.assembly.reasons.items()),
                    Fact("digest", measured.assembly.digest or "none: from scratch"),
                    Fact("credit", measured.assembly.credit or "none"),
                ),
            ),
        ),
        recipe=recipe.to_yaml(),
        phases=tuple(Phase(name, seconds) for name, seconds in measured.seconds.items()),
        notes=tuple(measured.say.warnings),
        unmeasured=(
            "Robustness to attacks, fairness between groups and faithfulness of explanations were not measured.",
            "Figures hold for rows like the test rows; later data may differ.",
        ),
        search=None if measured.lineage is None else measured.lineage.search,
    )


def _learning(measured: Measured) -> Learning:
    progress = measured.learned.state.progress
    validations = [record for record in progress.history if "epoch" in record]
    metric = next(
        (name for name in ("f1", "ndcg@10", "accuracy", "micro_f1", "loss") if validations and name in validations[0]),
        "loss",
    )
    return Learning(
        tuple((int(record["step"]), record["loss"]) for record in progress.history if "epoch" not in record),
        tuple((int(record["step"]), record[metric]) for record in validations if metric in record),
        metric,
        progress.best_step,
    )


def _label_counts(data: Prepared, target: Target) -> dict[str, int]:
    if target.by_unit:
        return counted_kinds(target, data.truth("train", target.name))
    if target.ranked:
        return {}
    truth = joined(data.truth("train", target.name))
    if truth.ndim == 2:
        return {name: int((truth[:, index] == 1).sum()) for index, name in enumerate(target.labels)}
    counts = np.bincount(truth[truth >= 0], minlength=len(target.labels))
    return {name: int(counts[index]) for index, name in enumerate(target.labels)}


def _row_counts(data: Prepared) -> dict[str, int]:
    return {part: len(getattr(data.splits, part)) for part in ("train", "validation", "test")}


def _parameters(measured: Measured) -> float:
    return sum(parameter.numel() for parameter in measured.learned.model.parameters()) / 1e6


def _machine(recipe: Recipe) -> dict[str, str]:
    return {
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(recipe.train.threads),
        "precision": recipe.train.precision,
    }


def _plain(interval: Any) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide the arithmetic."""
    found = {name: installed(name) for name in PACKAGES}
    return {name: text for name, text in found.items() if text != "none"}
