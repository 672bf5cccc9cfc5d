"""A signal that the package has never heard of: walks on a grid, lists of `U`, `D`, `L`, `R`; modality and stem.

A package of one's own would look like this: what it registers at import is found by name, in recipes and in bundles.
"""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from underlay.core import BundleRefused, Encoded, Part, RecipeError, RowError, RowProblem, UsageError
from underlay.modalities import MODALITIES
from underlay.models import STEMS

WAYS = "UDLR"
KINDS = ("turn", "stop")


@MODALITIES("steps.v1")
@dataclass(frozen=True)
class Steps:
    """Walks of one column; a walk of no step is the neutral one."""

    most: int = 32
    shares: tuple[float, ...] = ()

    trunk: ClassVar[str] = "convolution"
    files: ClassVar[bool] = False
    features: ClassVar[str] = "step counts"

    @property
    def name(self) -> str:
        return "steps.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Steps":
        own = {key: value for key, value in options.items() if key not in ("max_length", "long")}
        if stray := sorted(set(own) - {"most"}):
            raise RecipeError([f"steps has no option {stray[0]!r}; known: most"])
        return cls(own.get("most", 32))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Steps":
        counts = np.ones(len(WAYS))
        for value in values:
            counts += [value.count(way) for way in WAYS] if isinstance(value, list) else 0
        return replace(self, shares=tuple((counts / counts.sum()).tolist()))

    def encode(self, value: Any) -> Encoded:
        if not isinstance(value, list) or any(step not in WAYS for step in value):
            raise RowError(f"{value!r:.40} is no walk", "give a list of U, D, L and R", code="not_steps")
        kept = value[: self.most - 1]
        return {"way": np.array([0, *(WAYS.index(step) + 1 for step in kept)], np.int64)}  # 0: where it begins

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        found: list[Encoded | RowProblem] = []
        for value in values:
            try:
                found.append(self.encode(value))
            except RowError as error:
                found.append(RowProblem(error.code, str(error)))
        return found

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        longest = max(map(self.length, encoded))
        ways, real = np.zeros((2, len(encoded), longest), np.int64)
        for row, arrays in enumerate(encoded):
            ways[row, : self.length(arrays)], real[row, : self.length(arrays)] = arrays["way"], 1
        return {"way": ways, "real": real}

    def length(self, encoded: Encoded) -> int:
        return len(encoded["way"])

    def augment(self, value: Any, rng: np.random.Generator) -> Any:
        return self.corrupt(value, "turn", 1, rng)

    def parts(self, value: Any) -> tuple[Part, ...]:
        return tuple(Part(place, place + 1, step) for place, step in enumerate(value))

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        gone = {part.start for part in parts}
        return [step for place, step in enumerate(value) if place not in gone]

    def substitutes(self, value: Any, part: Part) -> Sequence[Any]:
        return [[*value[: part.start], way, *value[part.stop :]] for way in WAYS if way != value[part.start]]

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> Any:
        if kind not in KINDS or not 1 <= severity <= 5:
            raise UsageError(f"no damage {kind!r} of severity {severity}", f"known: {KINDS}, 1 to 5")
        if kind == "stop":
            return value[: len(value) - len(value) * severity // 6]
        return [WAYS[int(rng.integers(4))] if rng.random() < severity / 10 else step for step in value]

    def render(self, value: Any, weights: Sequence[float]) -> str:
        return " ".join(f"{html.escape(step)}({weight:+.2f})" for step, weight in zip(value, weights, strict=True))

    def probe(self, rng: np.random.Generator) -> Any:
        return [WAYS[int(at)] for at in rng.choice(len(WAYS), size=int(rng.integers(1, self.most)), p=self.shares)]

    def describe(self) -> Mapping[str, Any]:
        return {"name": self.name, "ways": len(WAYS), "limit": self.most}

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        lengths = [len(value) for value in values if isinstance(value, list)]
        return {"rows": len(lengths), "mean_length": float(np.mean(lengths)) if lengths else 0.0}

    def fingerprint(self, value: Any) -> np.ndarray:
        if not isinstance(value, list):
            return np.empty(0, np.uint64)
        number = int.from_bytes("".join(value).encode()[:7].ljust(8, b"."), "little")
        return np.unique(np.array([number, len(value)], np.uint64))

    def classical(self) -> Any:
        from sklearn.preprocessing import FunctionTransformer

        return FunctionTransformer(_counts)

    def facts(self) -> Mapping[str, Any]:
        return {"warnings": []}

    def state(self) -> Mapping[str, bytes]:
        return {"steps.json": json.dumps({"most": self.most, "shares": self.shares}).encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Steps":
        try:
            (content,) = files.values()
            read = json.loads(content) if list(files) == ["steps.json"] else {}
            return cls(int(read["most"]), tuple(map(float, read["shares"])))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleRefused(f"{sorted(files)} are no steps: {error!r}", "seal it again", code="modality") from error


def _counts(values: Sequence[Any]) -> np.ndarray:
    return np.array([[value.count(way) if isinstance(value, list) else 0 for way in WAYS] for value in values])


@STEMS("steps.v1")
class StepsStem(nn.Module):
    """A vector for each way, and learned positions where the trunk has none."""

    def __init__(self, *, ways: int, width: int, positions: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = width
        self.ways = nn.Embedding(ways + 1, width)
        self.places = nn.Embedding(positions, width) if positions else None

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        embedded: Tensor = self.ways(arrays["way"])
        if self.places is not None:
            embedded = embedded + self.places(torch.arange(embedded.shape[1]))
        return embedded

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        return arrays["real"]

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        rows, length = arrays["way"].shape
        return rows, length
