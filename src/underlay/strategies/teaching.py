"""What the teacher says of the training rows: asked once, kept in the run's cache, laid beside the rows."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy.special import log_softmax

from underlay.bundle import Bundle, Rule
from underlay.core import CheckpointRefused, Model, RecipeError, Target, UsageError
from underlay.core.durable import resource_errors, write_file
from underlay.models import SignalModel, build, is_spatial
from underlay.objectives import FEATURES, HIDDEN, layer_column, logits_column
from underlay.strategies.listening import Say
from underlay.strategies.positions import hidden_of
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe
from underlay.strategies.stacked import Stacked, open_unlabelled, with_unlabelled
from underlay.strategies.students import feature_width, model_of
from underlay.strategies.teacher_terms import taught_terms
from underlay.train import EncodedRows, sweep

SLICE = 8_192
"""Rows a teacher is asked at a time, so that their raw values are never all in memory."""

LAYERS = "layers"
"""Asked for beside the top layer's vectors: those of the layers below."""

TOKENS = 8_192
"""Positions its vectors are computed for at a time."""


@dataclass(frozen=True)
class Lesson:
    """The rows a student learns from, with what its teacher says of them.

    Args:
        rows: The labelled training rows, the unlabelled ones behind them; the answers are extra columns.
        values: (column, row numbers of the store) -> raw values.
        width: Of the teacher's vectors, where a term compares them one by one; else None.
        digests: Of all that decided it: data, teachers, unlabelled rows.
        seals: Of the teachers.
        facts: For the provenance.
        told: For the card.
    """

    rows: EncodedRows
    values: Callable[[str, np.ndarray], Sequence[Any]]
    width: int | None
    digests: Mapping[str, str]
    seals: tuple[str, ...]
    facts: Mapping[str, Any]
    told: str


def teach(
    teachers: Sequence[Bundle],
    data: Prepared,
    rows: EncodedRows,
    *,
    recipe: Recipe,
    config: Mapping[str, Any],
    unlabelled: Any = None,
    cache: Path,
    say: Say,
) -> Lesson:
    """Ask the teachers about every training row, or read what they said before.

    Args:
        teachers: What answers; their calibrated log-probabilities are averaged.
        data: Read and split.
        rows: Encoded training rows.
        recipe: Its objective says what is asked for.
        config: Of the student: how many layers it has.
        unlabelled: Further rows, as `fine_tune` reads them.
        cache: Where encoded rows and answers are kept.
        say: Told how many rows are taught.

    Raises:
        UsageError: A term asks for vectors that these teachers do not give.
        CheckpointRefused: The answers in the cache are not those that were written.
    """
    seals, wanted = tuple(map(seal_of, teachers)), _wanted(recipe, teachers, rows)
    stacked, first = Stacked((data.table,)), len(data.table)
    if unlabelled is not None:
        columns = dict.fromkeys([*rows.modalities, *(name for one in teachers for name in one.modalities)])
        files = [name for name, one in rows.modalities.items() if one.files]
        files += [name for one in teachers for name in one.file_columns]
        stacked = Stacked((data.table, open_unlabelled(unlabelled, data, columns, dict.fromkeys(files), cache)))
        rows = with_unlabelled(rows, stacked, cache)

    def ask() -> dict[str, np.ndarray]:
        found = {
            logits_column(target.name): _answers(teachers, target, data, stacked, rows.rows)
            for target in data.schema.targets
        }
        return found | ({FEATURES: _features(teachers[0], stacked, rows.rows, cache)} if FEATURES in wanted else {})

    decided = " ".join([*seals, stacked.digest, *sorted(wanted)]).encode() + rows.rows.tobytes()
    key = hashlib.sha256(decided).hexdigest()[:16]
    known = kept(cache / f"taught-{key}", ask)
    extra: dict[str, Any] = {name: _laid(values, rows.rows, len(stacked)) for name, values in known.items()}
    if HIDDEN in wanted:
        encoded = stacked.encoded(teachers[0].modalities, cache)
        stops: dict[str, int | None] = {HIDDEN: None, **(_answering(teachers[0], config) if LAYERS in wanted else {})}
        for name, stop in stops.items():
            place = cache / f"hidden-{key}{'' if stop is None else f'-{stop}'}"
            extra[name] = hidden_of(teachers[0], encoded, rows.rows, place, tokens=TOKENS, stop=stop)
    rows = _worth(replace(rows, extra={**rows.extra, **extra}), first)
    added = int((rows.rows >= first).sum())
    say.note(f"the teacher answered {len(rows):,} rows" + (f", {added:,} of them unlabelled" if added else ""))
    more = "none" if unlabelled is None else stacked.tables[1].digest
    return Lesson(
        rows,
        stacked.values,
        _width(teachers[0], recipe),
        {**data.digests, "teacher": " ".join(seals), "unlabelled": more},
        seals,
        {"teachers": list(seals), **({} if unlabelled is None else {"unlabelled": {"digest": more, "rows": added}})},
        _told(teachers, seals, added),
    )


def seal_of(teacher: Bundle) -> str:
    """The identity of a teacher.

    Raises:
        UsageError: It stands on no disk yet.
    """
    if teacher.manifest is None:
        raise UsageError("this teacher stands on no disk yet", "seal it first")
    return teacher.manifest.seal


def kept(folder: Path, ask: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `ask` gives, or those it gave when `folder` was written.

    Args:
        folder: Named by all that decides them.
        ask: Computes them by name.

    Raises:
        CheckpointRefused: A file is not the one that was written.
    """
    mark = folder / "taught.json"
    if not mark.exists():
        with resource_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            entries = {}
            for number, (name, values) in enumerate(ask().items()):
                file = BytesIO()
                np.save(file, values, allow_pickle=False)
                write_file(folder / f"{number}.npy", file.getbuffer())
                entries[name] = {"file": f"{number}.npy", "sha256": hashlib.sha256(file.getbuffer()).hexdigest()}
            write_file(mark, json.dumps(entries, indent=1).encode())
    found = {}
    for name, entry in json.loads(mark.read_text(encoding="utf-8")).items():
        data = (folder / entry["file"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise CheckpointRefused(
                f"what the teacher said ({folder / entry['file']}) is not what was written", "start again with --force"
            )
        found[name] = np.load(BytesIO(data), allow_pickle=False)
    return found


def calibrated(target: Target, rule: Rule, logits: np.ndarray) -> np.ndarray:
    """Calibrated log-probabilities `[N, K]`; log-odds of multilabel; the number in its unit, `[N, 1]`.

    Args:
        target: What is answered.
        rule: How a bundle decides it.
        logits: `[N, K]`.

    >>> rule = Rule(Target("y", "binary", ("n", "j")), temperature=2.0)
    >>> calibrated(rule.target, rule, np.array([[0.0, 0.0]])).round(3).tolist()
    [[-0.693, -0.693]]
    """
    if target.task == "regression":
        return rule.probabilities(logits)
    scaled = np.asarray(logits, dtype=np.float64) / rule.temperature
    return np.asarray(scaled if target.task == "multilabel" else log_softmax(scaled, axis=-1))


def _wanted(recipe: Recipe, teachers: Sequence[Bundle], rows: EncodedRows) -> set[str]:
    """Which of the teacher's vectors the terms read.

    Raises:
        UsageError: There are several teachers, or its positions are not the student's.
        RecipeError: Rows are changed in training, so that positions would slip.
    """
    terms = taught_terms(recipe)
    places = {str(term.get("at", "pooled")) for term in terms if not term["name"].startswith("distil_logits.")}
    of_place = {"positions": {HIDDEN}, "layers": {HIDDEN, LAYERS}}
    wanted: set[str] = set().union(*(of_place.get(place, {FEATURES}) for place in places))
    if wanted and len(teachers) > 1:
        raise UsageError(
            f"a term compares vectors and there are {len(teachers)} teachers", "give one, or take distil_logits alone"
        )
    if HIDDEN not in wanted:
        return wanted
    train, read = recipe.train, teachers[0].modalities
    if changed := [name for name in ("augment", "mixup", "cutmix") if getattr(train, name)]:
        raise RecipeError([f"train.{changed[0]} changes the positions that distil_hidden compares; take at: pooled"])
    alike = list(read) == list(rows.modalities) and all(read[n].state() == rows.modalities[n].state() for n in read)
    model = model_of(teachers[0])
    if not alike or not isinstance(model, SignalModel) or is_spatial(teachers[0].config["trunk"]["name"]):
        raise UsageError(
            "distil_hidden at positions or layers: student and teacher do not read alike", "take at: pooled"
        )
    return wanted


def _answering(teacher: Bundle, config: Mapping[str, Any]) -> dict[str, int]:
    """By the column of each layer of the student below its last: the first layer that the teacher does not run for it.

    Raises:
        UsageError: The student has more layers than the teacher.
    """
    own, taught = build(config, seed=0).depth, model_of(teacher).depth
    if own > taught:
        raise UsageError(
            f"distil_hidden at layers: the student has {own} layers and the teacher {taught}", "take at: positions"
        )
    return {layer_column(layer): round(layer * taught / own) for layer in range(1, own)}


def _answers(
    teachers: Sequence[Bundle], target: Target, data: Prepared, stacked: Stacked, rows: np.ndarray
) -> np.ndarray:
    """The mean of what they say of these rows, `[n, K]`; NaN where one of them cannot read the row."""
    said = np.zeros((len(rows), target.outputs))
    for teacher in teachers:
        for start in range(0, len(rows), SLICE):
            part = rows[start : start + SLICE]
            answers = teacher.answer({name: stacked.values(name, part) for name in teacher.modalities})
            logits = answers.logits[target.name]
            said[start : start + SLICE] += calibrated(target, teacher.rules[target.name], logits) / len(teachers)
    if target.task == "regression":
        mean, scale = data.scales[target.name]
        said = (said - mean) / scale
    return said.astype(np.float32)


def _features(teacher: Bundle, stacked: Stacked, rows: np.ndarray, cache: Path) -> np.ndarray:
    """The teacher's pooled vectors of these rows, `[n, D]`; NaN where it cannot read one."""
    model, encoded = model_of(teacher), stacked.encoded(teacher.modalities, cache)
    readable = np.all([store.lengths[rows] > 0 for store in encoded.columns.values()], axis=0)
    seen = sweep(cast("Model", model), encoded.select(rows[readable]), batch_tokens=TOKENS).features.numpy()
    found = np.full((len(rows), seen.shape[1]), np.nan, np.float32)
    found[readable] = seen
    return found


def _laid(values: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """`[n, ...]` of some rows -> `[size, ...]` of all, NaN at the others."""
    laid = np.full((size, *values.shape[1:]), np.nan, values.dtype)
    laid[rows] = values
    return laid


def _worth(rows: EncodedRows, first: int) -> EncodedRows:
    """Without the unlabelled rows of which the teacher says nothing: there is nothing to learn from them."""
    said = [values for name, values in rows.extra.items() if name.startswith(logits_column(""))]
    heard = np.all([np.isfinite(values[rows.rows]).all(-1) for values in said], axis=0)
    return rows.select(rows.rows[heard | (rows.rows < first)])


def _width(teacher: Bundle, recipe: Recipe) -> int | None:
    """Of the vectors that a term compares one by one."""
    if not any(term["name"].startswith("distil_hidden.") for term in taught_terms(recipe)):
        return None
    return feature_width(model_of(teacher))


def _told(teachers: Sequence[Bundle], seals: Sequence[str], added: int) -> str:
    """From whom it learned, for the card."""
    names = [
        f"`{teacher.path.name if teacher.path is not None else 'a bundle'}` (`{seal[:12]}`, "
        f"{teacher.provenance.get('backbone', {}).get('name', 'unknown trunk')})"
        for teacher, seal in zip(teachers, seals, strict=True)
    ]
    rows = f", and from its answers on {added:,} unlabelled rows" if added else ""
    return f"Distilled: this student learned from labels and from what {' and '.join(names)} said of the rows{rows}."
