"""`table.v1`: one cell of a table -> a scaled number or a category, and whether it says anything."""

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from underlay.core import BundleRefused, Encoded, Part, RowProblem, UsageError, attempt
from underlay.modalities import table_noise
from underlay.modalities.registry import MODALITIES
from underlay.modalities.table_cell import CATEGORY, category_of, is_missing, read_number, require_scalar
from underlay.modalities.table_fit import Learned, Scale, check_learned, fit_table, warnings
from underlay.modalities.table_options import TableOptions
from underlay.modalities.table_sketch import TableFeatures, sketch_cells

EMPTY, OTHER, KNOWN = 0, 1, 2
"""Ids of a cell that says nothing, of a category nobody knows, and of the first known one."""


@MODALITIES("table.v1")
@dataclass(frozen=True)
class Cells:
    """Cells of one column; `fit` returns the one that can encode.

    A missing cell is a value like others: it has a vector of its own in the stem.

    Args:
        options: What the recipe asked for.
        learned: What `fit` found.

    >>> cells = Cells().fit(["red", "blue", "red", None, "blue"], np.random.default_rng(0))
    >>> [int(cells.encode(value)["category"][0]) for value in ("blue", "red", "green", None)]
    [2, 3, 1, 0]
    """

    options: TableOptions = field(default_factory=TableOptions)
    learned: Learned = field(default_factory=Learned)

    trunk: ClassVar[str] = "tabular"
    files: ClassVar[bool] = False
    features: ClassVar[str] = "scaled columns"

    @property
    def name(self) -> str:
        """`table.v1`."""
        return "table.v1"

    @classmethod
    def create(
        cls,
        *,
        assets: Mapping[str, bytes],  # noqa: ARG003 - a cell needs no files
        limit: int | None,  # noqa: ARG003 - a cell is one position
        options: Mapping[str, Any],
    ) -> "Cells":
        """An unfitted modality.

        Args:
            assets: The trunk's files; none is read.
            limit: The longest segment the trunk reads; a cell takes one position.
            options: See `TableOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(TableOptions.read(options))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Cells":
        """Decide what the column holds, and learn its scale or its categories.

        Raises:
            DataError: No cell says anything.
        """
        return replace(self, learned=fit_table(values, rng, options=self.options))

    def encode(self, value: Any) -> Encoded:
        """`number` float32, `category` and `observed` int64, each `[1]`; 0 where the column has none of it.

        Raises:
            RowError: It cannot stand in a cell, or is not what this column holds.
        """
        number, category = self._read(value)
        score = float(self.learned.scale(number)) if number is not None else 0.0
        return _arrays(score, category, self._observed(number, category))

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many; a problem stands where a value cannot be used."""
        read = [attempt(self._read, value) for value in values]
        numbers = [one[0] if isinstance(one, tuple) and one[0] is not None else 0.0 for one in read]
        scores = self.learned.scale(numbers) if self._numeric else np.zeros(len(read))
        return [
            one
            if isinstance(one, RowProblem)
            else _arrays(float(score) if one[0] is not None else 0.0, one[1], self._observed(*one))
            for one, score in zip(read, scores, strict=True)
        ]

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`number`, `category` and `observed`, each `[B, 1]`."""
        return {name: np.stack([row[name] for row in encoded]) for name in ("number", "category", "observed")}

    def length(self, encoded: Encoded) -> int:
        """1: a cell is one position."""
        return 1

    def describe(self) -> Mapping[str, Any]:
        """What the stem `table.v1` needs: the `edges` of a number's bins, or how many `categories` there are."""
        learned = self._fitted
        if self._numeric:
            shape: dict[str, Any] = {"edges": learned.scale.edges(self.options.bins), "categories": 0}
        else:
            shape = {"edges": [], "categories": len(learned.categories) + KNOWN - OTHER}
        return {"name": self.name, **shape, "limit": 1}

    def facts(self) -> Mapping[str, Any]:
        """What `fit` found: `kind`, share `missing`, its range or number of categories, and `warnings`."""
        learned = self._fitted
        found: dict[str, Any] = {"kind": learned.kind, "missing": learned.missing}
        if self._numeric:
            found |= {"least": learned.ends[0], "most": learned.ends[1]}
        else:
            found |= {"categories": len(learned.categories), "other": learned.other}
        return {**found, "warnings": warnings(learned)}

    def notices(self, value: Any) -> tuple[str, ...]:
        """Codes of what happens to this cell unseen: `missing`, `unseen_category`, `out_of_range`.

        Raises:
            RowError: As `encode`.
        """
        number, category = self._read(value)
        if not self._observed(number, category):
            return ("missing",)
        if number is None:
            return ("unseen_category",) if category == OTHER else ()
        least, most = self.learned.ends
        return () if least <= number <= most else ("out_of_range",)

    def augment(self, value: Any, rng: np.random.Generator) -> Any:
        """A number moved by about a fiftieth of the distance between the quartiles; other cells as they are."""
        return table_noise.augment(value, self.learned, rng)

    def parts(self, value: Any) -> tuple[Part, ...]:
        """The cell; nothing where it says nothing."""
        return () if is_missing(value) else (Part(0, 1, category_of(value)),)

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        """The cell, or None with its only part taken out."""
        return None if len(parts) else value

    def substitutes(self, value: Any, part: Part) -> tuple[Any, ...]:
        """Other quantiles of the column, or its most frequent other categories."""
        return table_noise.substitutes(value, self.learned)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> Any:
        """The cell damaged in one of `table_noise.KINDS`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        return table_noise.corrupt(value, self.learned, kind, severity, rng)

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML of the cell shaded by its weight: green pushes towards the answer (1), red away from it (-1)."""
        weight = float(weights[0]) if len(weights) else 0.0
        colour = "46,160,67" if weight >= 0 else "218,54,51"
        shade = f"background:rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})"
        shown = "(empty)" if is_missing(value) else html.escape(category_of(value))
        return f'<span class="table"><mark style="{shade}" title="{weight:+.3f}">{shown}</mark></span>'

    def probe(self, rng: np.random.Generator) -> Any:
        """A number between learned quantiles or a frequent category; now and then no value, or a category unseen."""
        return table_noise.drawn(self._fitted, rng)

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Counts of scores or of category ids, and of what is missing, unseen, out of range or unusable."""
        return sketch_cells(values, self)

    def fingerprint(self, value: Any) -> np.ndarray:
        """One hash of the number or the category; none of a missing or unusable cell."""
        read = attempt(self._read, value)
        if isinstance(read, RowProblem) or not self._observed(*read):
            return np.empty(0, dtype=np.uint64)
        said = category_of(value) if read[0] is None else repr(read[0] + 0.0)  # -0.0 is 0.0
        digest = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def classical(self) -> Any:
        """The scaled number beside a flag of the missing ones, or one column a category."""
        return TableFeatures(self)

    def state(self) -> Mapping[str, bytes]:
        """`table.json`."""
        settings = {"options": asdict(self.options), "learned": asdict(self.learned)}
        return {"table.json": json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True).encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Cells":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: The file is missing, foreign or unreadable.
        """
        if set(files) != {"table.json"}:
            raise BundleRefused(
                f"table.v1 reads table.json; there is {sorted(files)}", "seal it again", code="modality"
            )
        try:
            settings = json.loads(files["table.json"])
            if set(settings) != {"options", "learned"}:
                raise ValueError(f"it has the keys {sorted(settings)}")
            scale = Scale(**{name: tuple(values) for name, values in settings["learned"].pop("scale").items()})
            least, most = settings["learned"].pop("ends")
            names = tuple(settings["learned"].pop("categories"))
            learned = Learned(scale=scale, categories=names, ends=(least, most), **settings["learned"])
            cells = cls(TableOptions.read(settings["options"]), learned)
            check_learned(cells.learned)
            cells.encode(None)
        except (AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
            raise BundleRefused(f"table.json cannot be read: {error}", "seal it again", code="modality") from error
        return cells

    @property
    def _fitted(self) -> Learned:
        if not self.learned.kind:
            raise UsageError("this table modality has seen no column yet", "call fit first")
        return self.learned

    @property
    def _numeric(self) -> bool:
        return self._fitted.kind != CATEGORY

    def _read(self, value: Any) -> tuple[float | None, int]:
        """The number of a cell, or None and the id of its category."""
        if is_missing(value):
            return None, EMPTY
        if self._numeric:
            return read_number(value, self.learned.kind), EMPTY
        require_scalar(value)
        return None, self._ids.get(category_of(value), OTHER)

    def _observed(self, number: float | None, category: int) -> bool:
        return number is not None or category != EMPTY

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return {name: KNOWN + place for place, name in enumerate(self.learned.categories)}


def _arrays(score: float, category: int, observed: bool) -> Encoded:
    return {
        "number": np.array([score], np.float32),
        "category": np.array([category], np.int64),
        "observed": np.array([int(observed)], np.int64),
    }
