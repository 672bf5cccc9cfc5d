"""What turns the logits of one target into a decision: temperature, thresholds, scale, label names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.bundle.ranked import SHOWN, likeliest
from underlay.core import OUTSIDE, BundleRefused, Target, is_ragged, ragged


@dataclass(frozen=True)
class Rule:
    """How one target is decided.

    Args:
        target: Its task and its labels in their order.
        temperature: Divides the logits; > 0.
        thresholds: Binary: one, for the second label. Multilabel: one a label. Empty: 0.5.
        mean: Regression: added to the scaled output.
        scale: Regression: multiplies the output.

    >>> rule = Rule(Target("label", "binary", ("no", "yes")))
    >>> rule.decide(rule.probabilities(np.array([[0.0, 2.0]])))
    ['yes']
    """

    target: Target
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def from_calibration(cls, target: Target, calibration: Mapping[str, Any]) -> "Rule":
        """The rule of what calibration found: `temperature`, `threshold` or `thresholds`, `mean`, `scale`."""
        thresholds = calibration.get("thresholds", [calibration["threshold"]] if "threshold" in calibration else ())
        numbers = {key: float(calibration.get(key, default)) for key, default in _NUMBERS.items()}
        return cls(target, thresholds=tuple(float(number) for number in thresholds), **numbers)

    def __post_init__(self) -> None:
        wanted = {"binary": 1, "multilabel": len(self.target.labels)}.get(self.target.task, 0)
        if len(self.thresholds) not in (0, wanted):
            raise BundleRefused(
                f"target {self.target.name!r} has {len(self.thresholds)} thresholds instead of {wanted}", code="labels"
            )
        if not (
            self.temperature > 0 and self.scale > 0 and np.isfinite([self.temperature, self.scale, self.mean]).all()
        ):
            raise BundleRefused(
                f"target {self.target.name!r} has temperature {self.temperature}, scale {self.scale}", code="labels"
            )

    @property
    def calibration(self) -> dict[str, Any]:
        """What `from_calibration` reads back."""
        return {key: getattr(self, key) for key in _NUMBERS} | {"thresholds": list(self.thresholds)}

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities `[N, K]`; for regression the numbers in their unit, `[N, 1]`; by unit as logits."""
        if is_ragged(logits):
            return ragged(self.probabilities(row) for row in logits)
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        if self.target.task == "regression":
            return np.asarray(scaled * self.scale + self.mean)
        if self.target.task == "multilabel":
            return np.asarray(0.5 * (1 + np.tanh(scaled / 2)))  # the sigmoid without overflow
        powers = np.exp(scaled - scaled.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True))

    def decide(self, probabilities: np.ndarray) -> list[Any]:
        """A label name a row; a tuple of names for multilabel, and of one a unit for tagging; a number for regression.

        Of a ranked target the likeliest ten in order. A unit that was cut lies outside: `O` where there is such a tag,
        else None.
        """
        if self.target.task == "regression":
            return [float(value) for value in probabilities[:, 0]]
        if is_ragged(probabilities):
            return [self._tags(row) for row in probabilities]
        names = self.target.labels
        if self.target.ranked:
            return [
                tuple(names[k] for k in best if row[k] > 0)
                for best, row in zip(likeliest(probabilities), probabilities, strict=True)
            ]
        chosen = self._chosen(probabilities)
        if self.target.task == "multilabel":
            return [tuple(names[k] for k in np.flatnonzero(row)) for row in chosen]
        return [names[int(k)] for k in chosen]

    def confidence(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probability of the decision `[N]`, of the least sure of several; NaN for regression."""
        if self.target.task == "regression":
            return np.full(len(probabilities), np.nan)
        if is_ragged(probabilities):
            return np.array([_least(_seen(row).max(-1, initial=0.0)) for row in probabilities])
        chosen = self._chosen(probabilities)
        if self.target.task == "multilabel":
            return np.asarray(np.where(chosen, probabilities, 1 - probabilities).min(-1))
        return np.asarray(np.take_along_axis(probabilities, chosen[:, None], -1)[:, 0])

    def margin(self, probabilities: np.ndarray) -> np.ndarray:
        """How far each decision is from another one, in probability `[N]`; infinite for regression."""
        if self.target.task == "regression":
            return np.full(len(probabilities), np.inf)
        if is_ragged(probabilities):
            return np.array([self.margin(_seen(row)).min(initial=np.inf) for row in probabilities])
        if self.target.task in ("multilabel", "binary"):
            compared = probabilities if self.target.task == "multilabel" else probabilities[:, 1:]
            return np.asarray(np.abs(compared - self._bounds()).min(-1))
        top = np.sort(probabilities, axis=-1)
        if self.target.ranked:
            return np.asarray(np.diff(top[:, -SHOWN - 1 :], axis=-1).min(-1))
        return np.asarray(top[:, -1] - top[:, -2])

    def _chosen(self, probabilities: np.ndarray) -> np.ndarray:
        if self.target.task == "multiclass" or self.target.dense:
            return np.asarray(probabilities.argmax(-1))
        if self.target.task == "binary":
            return np.asarray(probabilities[:, 1] >= self._bounds()[0], dtype=np.int64)
        return np.asarray(probabilities >= self._bounds())

    def _tags(self, probabilities: np.ndarray) -> tuple[str | None, ...]:
        names = self.target.labels
        cut = OUTSIDE if OUTSIDE in names else None
        seen = np.isfinite(probabilities).all(-1)
        return tuple(
            names[int(label)] if there else cut for label, there in zip(probabilities.argmax(-1), seen, strict=True)
        )

    def _bounds(self) -> np.ndarray:
        return np.asarray(self.thresholds or (0.5,))


def _least(values: np.ndarray) -> float:
    """The smallest, NaN of none."""
    return float(values.min()) if len(values) else np.nan


def _seen(probabilities: np.ndarray) -> np.ndarray:
    """The units of a row that have an answer."""
    return np.asarray(probabilities[np.isfinite(probabilities).all(-1)])


_NUMBERS = {"temperature": 1.0, "mean": 0.0, "scale": 1.0}


def render_labels(rules: Mapping[str, Rule]) -> dict[str, Any]:
    """What `labels.json` holds: by target, its task, labels with index and threshold, and the numbers."""
    return {name: _render(rule) for name, rule in rules.items()}


def _render(rule: Rule) -> dict[str, Any]:
    bounds: Sequence[float | None] = rule.thresholds
    if rule.target.task == "binary" and rule.thresholds:
        bounds = (None, rule.thresholds[0])
    labels = [
        {"index": index, "name": name, "threshold": bounds[index] if bounds else None}
        for index, name in enumerate(rule.target.labels)
    ]
    return {"task": rule.target.task, "labels": labels, "abstain": None} | {key: getattr(rule, key) for key in _NUMBERS}


def parse_labels(data: Any, targets: Sequence[Target]) -> dict[str, Rule]:
    """Read back `labels.json` and hold it against the schema.

    Raises:
        BundleRefused: `labels`: other targets, other names, another order, or doubles.
    """
    if not isinstance(data, dict) or list(data) != [target.name for target in targets]:
        raise _refused(f"labels.json has the targets {list(data) if isinstance(data, dict) else data!r:.80}")
    try:
        return {target.name: _parse(data[target.name], target) for target in targets}
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(f"labels.json cannot be read: {error!r}") from error


def _parse(entry: dict[str, Any], target: Target) -> Rule:
    if set(entry) != {"task", "labels", "abstain", *_NUMBERS} or entry["task"] != target.task:
        raise _refused(f"labels.json describes target {target.name!r} as {sorted(entry)}, task {entry.get('task')!r}")
    found = [(label["index"], label["name"]) for label in entry["labels"]]
    if found != list(enumerate(target.labels)) or len(set(target.labels)) != len(target.labels):
        raise _refused(
            f"labels.json gives target {target.name!r} the labels {found!r:.200}, config.json {target.labels!r:.200}"
        )
    bounds = tuple(float(label["threshold"]) for label in entry["labels"] if label["threshold"] is not None)
    numbers = {key: float(entry[key]) for key in _NUMBERS}
    return Rule(target, thresholds=bounds, **numbers)


def _refused(what: str) -> BundleRefused:
    return BundleRefused(what, "restore the bundle", code="labels")
