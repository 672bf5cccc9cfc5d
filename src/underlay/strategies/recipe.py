"""Everything that decides a run, in one file a person can read, check and repeat."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from underlay.core import RecipeError, UsageError, nearest

Auto = Literal["auto"]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class Section(BaseModel):
    """Keys of one part of a recipe; an unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SplitRecipe(Section):
    """How rows are divided."""

    validation: Share = Field(0.1, description="share of the rows that choose the best epoch and the calibration")
    test: Share = Field(0.1, description="share of the rows kept for the figures; unused when a test file is given")
    by: Literal["stratified", "random", "group", "time", "leave-last-out"] = Field(
        "stratified", description="what splits keep together; leave-last-out: the last events of each row are asked"
    )
    piece: Annotated[int, Field(ge=2)] | None = Field(
        None, description="leave-last-out: most events of a row that teaches; null: model.max_length, or 200"
    )


class DataRecipe(Section):
    """Which columns mean what."""

    target: str | tuple[str, ...] | None = Field(None, description="column(s) to predict; null: inferred and said")
    columns: dict[str, str] | None = Field(None, description="input columns and their modality; null: inferred")
    task: Literal["binary", "multiclass", "multilabel", "regression", "tagging", "next-item"] | None = Field(
        None, description="null: inferred"
    )
    group: str | None = Field(None, description="rows of one group stay in one split")
    time: str | None = Field(None, description="later rows are for validation and test")
    weight: str | None = Field(None, description="importance of a row, > 0")
    merge: dict[str, str] = Field({}, description="label spellings that are one label: {'yes ': 'Yes'}")
    series: dict[str, str | tuple[str, ...]] | Literal[False] | None = Field(
        None, description="{wide: t} or {id: COLUMN, time: COLUMN, value: COLUMN}: gathered; null: if clear, and said"
    )
    events: dict[str, str | tuple[str, ...]] | None = Field(
        None, description="{id: COLUMN, time: COLUMN, item: COLUMN, attributes: [COLUMN]}: rows that are events"
    )
    extra: tuple[str, ...] = Field((), description="further columns for objectives and slices")
    split: SplitRecipe = SplitRecipe()
    suspects: bool = Field(True, description="look for labels that are probably wrong")
    strict: bool = Field(False, description="findings of the data checks stop the run")


class ModelRecipe(Section):
    """What learns."""

    stem: str = Field("auto", description="how values become vectors; follows from the columns")
    trunk: str = Field("auto", description="a packaged name, a folder, hf:NAME, or from scratch; auto: by the columns")
    branches: dict[str, str] = Field({}, description="modality and its trunk, where each has its own")
    fusion: str = Field("auto", description="of several: joint (one trunk), late, gated, cross; auto: joint or late")
    branch_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.0, description="rows that lose one in training")
    read: dict[str, dict[str, Any]] = Field({}, description="how a modality is read: {image: {size: 96}}")
    options: dict[str, Any] = Field({}, description="arguments of a trunk from scratch (layers, width, cell)")
    pooling: str = Field("auto", description="positions to one vector: mean, first, last, max, attention")
    head: str = Field("auto", description="linear, mlp or tied (to the vectors of the items); auto: by the task")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.1, description="share of values dropped in training")
    max_length: Auto | Annotated[int, Field(ge=4)] = Field("auto", description="most positions of a row")
    long: Literal["head-tail", "windows", "head"] = Field("head-tail", description="how a longer value is read")


class TrainRecipe(Section):
    """How it learns."""

    epochs: Auto | Annotated[int, Field(ge=1)] = Field("auto", description="passes over the rows; auto: 3, more of few")
    batch_tokens: Annotated[int, Field(ge=16)] = Field(4096, description="most positions in a batch")
    batch_rows: Annotated[int, Field(ge=1)] = Field(32, description="most rows in a batch")
    accumulate: Annotated[int, Field(ge=1)] = Field(1, description="batches to one optimiser step")
    optimizer: str = Field("adamw", description="adamw, adafactor, sgd")
    learning_rate: Auto | Annotated[float, Field(gt=0.0)] = Field("auto", description="peak rate of the top layer")
    head_factor: Annotated[float, Field(gt=0.0)] = Field(5.0, description="rate of the heads over that")
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(1.0, description="rate of a layer over the next")
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.01, description="on matrices")
    schedule: str = Field("one-cycle", description="one-cycle, cosine, linear, constant")
    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.1, description="share of the run in which the rate rises")
    clip: Annotated[float, Field(ge=0.0)] = Field(1.0, description="largest gradient norm; 0: no limit")
    freeze: Auto | Annotated[int, Field(ge=0)] = Field("auto", description="layers frozen from below; 1: the stem")
    cache: Auto | bool = Field("auto", description="keep the frozen layers' outputs on disk")
    probe: Auto | bool = Field("auto", description="fit the head alone first (LP-FT)")
    augment: Annotated[float, Field(ge=0.0, le=1.0)] = Field(0.0, description="share of rows changed in an epoch")
    mixup: Annotated[float, Field(ge=0.0, le=100.0)] = Field(0.0, description="alpha of mixtures of two rows; 0: none")
    cutmix: Annotated[float, Field(ge=0.0, le=100.0)] = Field(0.0, description="alpha of rectangles swapped; 0: none")
    masked: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.2, description="bert4rec: share of the events that are hidden and asked for in a batch"
    )
    repeat: Auto | Annotated[int, Field(ge=1)] = Field("auto", description="times a row is drawn in an epoch")
    early_stopping: Auto | Annotated[int, Field(ge=0)] = Field("auto", description="validations without gain; 0: never")
    keep: Literal["best", "last"] = Field("best", description="best: the epoch of the best validation; last: the end")
    checkpoint_every: Annotated[int, Field(ge=0)] = Field(200, description="optimiser steps; 0: at ends of epochs")
    nan_retries: Annotated[int, Field(ge=0)] = Field(1, description="returns to the last checkpoint on a NaN loss")
    precision: Auto | Literal["fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: fp32 unless a probe says better"
    )
    threads: Auto | Annotated[int, Field(ge=1)] = Field("auto", description="auto: one a core")
    time_limit: Annotated[float, Field(gt=0.0)] | None = Field(None, description="seconds of training")
    seeds: Annotated[int, Field(ge=1)] = Field(1, description="runs with seeds seed, seed+1, …; the best one is kept")
    average: bool = Field(
        False, description="of several seeds: average the weights of those that help on validation rows"
    )

    @field_validator("keep")
    @classmethod
    def _the_end_is_reached(cls, keep: str, known: ValidationInfo) -> str:
        if keep == "last" and known.data.get("early_stopping", "auto") not in ("auto", 0):
            raise ValueError("early stopping would end it before the last; set train.early_stopping=0")
        return keep

    @field_validator("average")
    @classmethod
    def _several_are_averaged(cls, average: bool, known: ValidationInfo) -> bool:
        if average and known.data.get("seeds") == 1:
            raise ValueError("an average takes train.seeds of 2 or more")
        return average


class TrackRecipe(Section):
    """Where curves go."""

    tensorboard: bool = Field(True, description="event files in OUT.run/tensorboard")
    wandb: bool = Field(False, description="Weights & Biases; WANDB_MODE=offline stays on this machine")
    mlflow: bool = Field(False, description="MLflow, at MLFLOW_TRACKING_URI or in OUT.run/mlflow")


class Recipe(Section):
    """A run: every key has a default, a resolved recipe has no `auto` left."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="of every random number")
    preset: Literal["fast", "balanced", "best"] = Field("balanced", description="defaults for the other keys")
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    adapter: None = Field(None, description="parameter-efficient fine-tuning; none yet")
    objective: dict[str, dict[str, Any]] = Field({}, description="named loss terms; empty: by the task")
    train: TrainRecipe = TrainRecipe()
    track: TrackRecipe = TrackRecipe()

    @classmethod
    def load(cls, file: str | Path | None = None, *, preset: str | None = None, overrides: Sequence[str] = ()) -> Self:
        """Read a recipe: the preset's defaults, then the file, then `KEY=VALUE` overrides.

        Raises:
            RecipeError: Unknown keys, values out of range, a YAML file that asks for more than data.

        >>> Recipe.load(overrides=["train.epochs=1"]).train.epochs
        1
        """
        written = read_yaml(Path(file)) if file is not None else {}
        changes: dict[str, Any] = {}
        for override in overrides:
            _set(changes, override)
        name = preset or changes.get("preset") or written.get("preset") or "balanced"
        if name not in PRESETS:
            raise RecipeError([f"preset is {name!r}; {nearest(str(name), sorted(PRESETS))}"])
        layers = _merge(_merge(PRESETS[name], written), changes)
        return cls.check({**layers, "preset": name})

    @classmethod
    def check(cls, data: Mapping[str, Any]) -> Self:
        """Validate plain data.

        Raises:
            RecipeError: With one sentence for each problem.
        """
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise RecipeError(_sentences(cls, error.errors())) from None

    def to_yaml(self, *, notes: bool = True) -> str:
        """As YAML, with a half-line on each key."""
        return "\n".join(_lines(self, 0, notes)) + "\n"

    def change(self, changes: Mapping[str, Any]) -> Self:
        """The same recipe with nested keys replaced: `{"train": {"freeze": 1}}`."""
        return self.check(_merge(self.model_dump(mode="json"), changes))


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"train": {"epochs": 2, "freeze": 4, "early_stopping": 0}},
    "balanced": {},
    "best": {"train": {"epochs": 6, "layer_decay": 0.9, "early_stopping": 3, "seeds": 1}},
}


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file of plain data: no tags, no anchors.

    Raises:
        RecipeError: The file is missing, is not such a mapping, or cannot be parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"recipe {path} cannot be read ({error.strerror})", "check the path") from None
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.TagToken | yaml.AnchorToken | yaml.AliasToken):
                mark = token.start_mark
                raise RecipeError([f"{path}, line {mark.line + 1}: tags, anchors and aliases are not allowed"])
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError([f"{path} is not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(data, dict | None):
        raise RecipeError([f"{path} holds a {type(data).__name__}; a recipe is a mapping of keys"])
    return data or {}


def _set(changes: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError([f"--set {override!r} is not KEY=VALUE (train.epochs=1)"])
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, str):
        parsed = _number(parsed)
    *path, last = key.split(".")
    for part in path:
        changes = changes.setdefault(part, {})
        if not isinstance(changes, dict):
            raise RecipeError([f"--set {override!r}: {part!r} already has a value"])
    changes[last] = parsed


def _number(text: str) -> float | str:
    """YAML 1.1 reads `1e-4` as text; people mean a number."""
    try:
        return float(text)
    except ValueError:
        return text


OWN_NAMES = ("objective", "columns", "options", "merge", "branches")
"""Mappings whose keys the user names: one's own replace ours."""


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        replaced = key in OWN_NAMES
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and not replaced
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _sentences(recipe: type[Section], problems: Sequence[Any]) -> list[str]:
    """One sentence a key: where a key takes one of several kinds, what each of them wants is joined by `or`."""
    found: dict[str, str] = {}
    for problem in problems:
        sentence = _sentence(recipe, problem)
        subject, colon, wanted = sentence.partition(": ")
        found[subject] = f"{found[subject]}, or {wanted}" if colon and subject in found else sentence
    return list(found.values())


def _sentence(recipe: type[Section], problem: Any) -> str:
    path = [
        str(part)
        for part in problem["loc"]
        if not (isinstance(part, str) and part.startswith(("literal", "constrained", "function")))
    ]
    key = ".".join(path)
    if problem["type"] != "extra_forbidden":
        said = problem["msg"].removeprefix("Value error, ")  # where a check of our own refused it
        return f"{key} is {problem['input']!r}: {said[0].lower()}{said[1:]}"
    section: Any = recipe
    for part in path[:-1]:
        section = section.model_fields[part].annotation
    near = nearest(path[-1], list(section.model_fields))
    return f"no key {key!r} in a recipe; {near}"


def _lines(section: Section, depth: int, notes: bool) -> list[str]:
    lines = []
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        pad = "  " * depth
        if isinstance(value, Section):
            lines += [f"{pad}{name}:", *_lines(value, depth + 1, notes)]
            continue
        plain = section.model_dump(mode="json", include={name})[name]
        # Keys keep their order: that of the columns is the order of a model's parts.
        written = yaml.safe_dump(
            plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
        ).splitlines()[0]
        text = f"{pad}{name}: {written}"
        lines.append(f"{text:<34}  # {info.description}" if notes and info.description else text)
    return lines
