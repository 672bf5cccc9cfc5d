"""`series.v1`: numbers over time, of one channel or several -> scaled values and what is missing of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from underlay.core import BundleRefused, Encoded, Part, RowError, RowProblem, UsageError, attempt
from underlay.modalities import series_noise, series_slices
from underlay.modalities.registry import MODALITIES
from underlay.modalities.series_cell import BLANK, even_grid, is_blank, read_cell
from underlay.modalities.series_fit import BINS, check_learned, fit_series
from underlay.modalities.series_kernels import KERNELS, KernelFeatures, Kernels, feature_scaling, standardised
from underlay.modalities.series_length import segments, shortened
from underlay.modalities.series_options import SeriesOptions
from underlay.modalities.series_scaling import bridged, scaled
from underlay.modalities.series_sketch import sketch_series

LARGEST = 1e30
"""Beyond it sums of squares leave single precision."""

MOST_STORED = 400_000_000
"""Kernel features of all training rows together: 1.6 GB on disk; more rows get fewer kernels."""

CLASSICAL_VALUES = 20_000_000
"""Features of the classical baseline over all its rows: 80 MB."""

ARRAYS = "kernels.safetensors"
"""File of fitted kernels and of the scaling of their features."""


@MODALITIES("series.v1")
@dataclass(frozen=True)
class Series:
    """Series of one column; `fit` returns the one that can encode.

    Args:
        limit: Positions the trunk can read; None where it reads any number.
        options: What the recipe asked for.
        learned: What `fit` found, JSON data; see `series_fit.fit_series`.
        kernels: Fitted fixed kernels, where the options ask for them.
        centre: Mean and deviation of each kernel feature over the training series, float32 `[2, F]`.
    """

    limit: int | None = None
    options: SeriesOptions = field(default_factory=SeriesOptions)
    learned: Mapping[str, Any] = field(default_factory=dict)
    kernels: Kernels | None = None
    centre: np.ndarray | None = None

    trunk: ClassVar[str] = "minirocket"
    shared: ClassVar[str] = "inception"
    files: ClassVar[bool] = False
    features: ClassVar[str] = "MiniROCKET"
    oddities: ClassVar[Mapping[str, str]] = {
        "constant_series": "in which nothing ever changes",
        "gappy_series": "of which more than half of the values are missing",
    }

    @property
    def name(self) -> str:
        """`series.v1`."""
        return "series.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Series":  # noqa: ARG003
        """An unfitted modality.

        Args:
            assets: The trunk's files; none is used.
            limit: Positions the trunk can read.
            options: See `SeriesOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(limit, SeriesOptions.read(options))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Series":
        """Learn channels, scaling and the length; fit the kernels where they are asked for.

        Raises:
            DataError: No value is a series.
        """
        rows = (row for value in values if (row := self._row_or_none(value)) is not None)
        learned, sample = fit_series(rows, rng, limit=self.limit, options=self.options)
        fitted = replace(self, learned=learned)
        if not self.options.kernels:
            return fitted
        most = min(self.options.kernels, MOST_STORED // int(learned["rows"]))
        kernels = Kernels.fit(sample, features=most, rng=rng)
        middle, width = feature_scaling(np.array([kernels.transform(row) for row in sample]))
        return replace(fitted, kernels=kernels, centre=np.stack([middle, width]))

    def encode(self, value: Any) -> Encoded:
        """The arrays of one series.

        Gives `values` float32 `[T, C]`, 0 where a value is missing; `observed` `[T, C]`, 1 where one is there; and the
        number of its segment at each position, `mask` int64 `[T]`. With kernels: `features` float32 `[1, F]` alone.

        Raises:
            RowError: No series, or not of as many channels as the training series.
        """
        row = self._scaled(value)
        if self.kernels is not None and self.centre is not None:
            found = self.kernels.transform(bridged(shortened(row, min(len(row), self.max_length))))
            return {"features": standardised(found, *self.centre).reshape(1, -1)}
        pieces = segments(row, room=self.max_length, long=self.options.long, most=self.options.windows)
        joined = np.concatenate(pieces)
        return {
            "values": np.nan_to_num(joined, nan=0.0).astype(np.float32),
            "observed": (~np.isnan(joined)).astype(np.float32),
            "mask": np.repeat(np.arange(1, len(pieces) + 1), [len(piece) for piece in pieces]),
        }

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many; a problem stands where a value cannot be used."""
        return [attempt(self.encode, value) for value in values]

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`values`, `observed` `[B, T, C]` and `mask` `[B, T]`, 0 at padding; or `features` `[B, F]`."""
        if "features" in encoded[0]:
            return {"features": np.concatenate([row["features"] for row in encoded])}
        longest = max(len(row["mask"]) for row in encoded)
        shape = (len(encoded), longest, encoded[0]["values"].shape[1])
        values, observed = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        mask = np.zeros(shape[:2], np.int64)
        for place, row in enumerate(encoded):
            stop = len(row["mask"])
            values[place, :stop], observed[place, :stop] = row["values"], row["observed"]
            mask[place, :stop] = row["mask"]
        return {"values": values, "observed": observed, "mask": mask}

    def length(self, encoded: Encoded) -> int:
        """Positions of one encoded series: patches, or 1 for features."""
        return 1 if "features" in encoded else -(-len(encoded["mask"]) // self.options.patch)

    @property
    def max_length(self) -> int:
        """Positions of the longest segment, patches not yet joined."""
        return int(self._learned("max_length"))

    @property
    def channels(self) -> int:
        """C."""
        return int(self._learned("channels"))

    def describe(self) -> Mapping[str, Any]:
        """What the stem needs: `series.v1` with `channels` and `patch`, or `features.v1` with `count`."""
        if self.kernels is not None:
            return {"name": "features.v1", "count": self.kernels.features, "limit": 1}
        patch = self.options.patch
        return {"name": self.name, "channels": self.channels, "patch": patch, "limit": -(-self.max_length // patch)}

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why: lengths, scaling, channels and `warnings`."""
        return dict(self.learned.get("facts", {}))

    def augment(self, value: Any, rng: np.random.Generator) -> np.ndarray:
        """The series `[C, T]` with noise, another scale, speed, cut and place, as far as the options say."""
        return series_noise.augment(self._row(value), rng, rates=self.options.augment).T

    def parts(self, value: Any) -> tuple[Part, ...]:
        """Equal slices of time; none where it is no series."""
        row = self._row_or_none(value)
        return () if row is None else series_slices.parts(len(row))

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        """The series `[C, T]` with these slices missing; `{"blank": T}` where nothing is left."""
        row = series_slices.without(self._row(value), parts)
        return {BLANK: len(row)} if np.isnan(row).all() else row.T

    def substitutes(self, value: Any, part: Part) -> tuple[np.ndarray, ...]:
        """The series `[C, T]` with that slice smoothed, or drawn as a line between its ends."""
        row = self._row(value)
        inside = slice(part.start, part.stop)
        variants = []
        for change in (series_noise.smoothed, lambda piece: even_grid(piece[[0, -1]], len(piece))):
            changed = row.copy()
            changed[inside] = change(row[inside]) if part.stop - part.start > 1 else row[inside]
            if not np.array_equal(changed, row, equal_nan=True):
                variants.append(changed.T)
        return tuple(variants)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
        """The series `[C, T]` damaged in one of `series_noise.KINDS`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        return series_noise.corrupt(self._row(value), kind, severity, rng).T

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """An inline SVG of the series, each slice shaded by its weight, -1 to 1."""
        return series_slices.render(self._row(value), weights)

    def thumbnail(self, value: Any) -> str:
        """The lines of its first channels, small, as a `data:` address.

        Raises:
            RowError: No series.
        """
        return series_slices.thumbnail(self._row(value))

    def odd(self, value: Any) -> tuple[str, ...]:
        """Whether it never changes, or is mostly missing."""
        row = self._own_row_or_none(value)
        if row is None:
            return ()
        constant = np.nanmax(row, axis=0, initial=-np.inf) <= np.nanmin(row, axis=0, initial=np.inf)
        return (
            *(("constant_series",) if len(row) > 1 and constant.all() else ()),
            *(("gappy_series",) if np.isnan(row).mean() > 0.5 else ()),
        )

    def probe(self, rng: np.random.Generator) -> list[Any]:
        """A series with the usual spectrum and random phases, JSON lists: none that anybody measured."""
        lengths = np.array(self._learned("lengths"))
        length = max(1, round(float(np.interp(rng.random(), np.linspace(0, 1, len(lengths)), lengths))))
        power = np.array(self._learned("power")).T * np.exp(0.7 * rng.standard_normal((BINS, 1)))  # [BINS, C]
        amplitudes = even_grid(power, length // 2 + 1)
        phases = np.exp(2j * np.pi * rng.random(amplitudes.shape))
        drawn = np.fft.irfft(amplitudes * phases * length, n=length, axis=0) if length > 1 else amplitudes
        drawn = drawn + 0.5 * rng.standard_normal(drawn.shape[1])
        raw = drawn if self._learned("scale") == "none" else drawn * self._spread + self._mean
        cells = np.vectorize(lambda number: float(f"{number:.5g}"), otypes=[object])(raw)
        cells[rng.random(cells.shape) < min(float(self._learned("missing")), 0.5)] = None
        if all(cell is None for cell in cells.ravel()):
            cells[0, 0] = 0.0
        return list(cells[:, 0]) if self.channels == 1 else [list(channel) for channel in cells.T]

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms of lengths, gaps, and by channel of level and spread."""
        rows = (row for value in values if (row := self._own_row_or_none(value)) is not None)
        return sketch_series(rows, mean=self._mean, spread=self._spread)

    def fingerprint(self, value: Any) -> np.ndarray:
        """Hashed shingles of the rounded values, uint64, sorted; empty for what is no series."""
        row = self._own_row_or_none(value)
        if row is None:
            return np.empty(0, dtype=np.uint64)
        return series_slices.fingerprint(row, mean=self._mean, spread=self._spread)

    def classical(self) -> KernelFeatures:
        """MiniROCKET; fewer kernels where there are many rows."""
        most = CLASSICAL_VALUES // max(1, int(self._learned("rows")))
        return KernelFeatures(self._bridged_or_none, max(4 * KERNELS, min(9996, most)), channels=self.channels)

    def state(self) -> Mapping[str, bytes]:
        """`series.json`, and `kernels.safetensors` where kernels are fitted."""
        settings: dict[str, Any] = {
            "limit": self.limit,
            "options": asdict(self.options),
            "learned": dict(self.learned),
            "dilations": None if self.kernels is None else [self.kernels.dilations, self.kernels.counts],
        }
        files = {"series.json": json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True).encode()}
        if self.kernels is None or self.centre is None:
            return files
        own, (middle, width) = self.kernels, self.centre
        arrays = {"members": own.members, "sizes": own.sizes, "biases": own.biases, "middle": middle, "width": width}
        return files | {ARRAYS: save({name: np.ascontiguousarray(array) for name, array in arrays.items()})}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Series":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: A file is missing, foreign or unreadable.
        """
        if set(files) not in ({"series.json"}, {"series.json", ARRAYS}):
            raise BundleRefused(
                f"series.v1 reads series.json and {ARRAYS}; there is {sorted(files)}",
                "seal it again",
                code="modality",
            )
        try:
            settings = json.loads(files["series.json"])
            series = cls(settings["limit"], SeriesOptions.read(settings["options"]), dict(settings["learned"]))
            check_learned(series.learned)
            if series.limit is not None and (type(series.limit) is not int or series.limit < 1):
                raise ValueError(f"limit is {series.limit!r}")
            if bool(series.options.kernels) != (len(files) > 1):
                raise ValueError(f"{series.options.kernels} kernel features in {len(files) - 1} files")
            if len(files) > 1:
                series = series._with_kernels(settings["dilations"], load(files[ARRAYS]))
            series.encode({BLANK: 1})
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
            RowError,
            SafetensorError,
            UsageError,
        ) as error:
            raise BundleRefused(f"series.json cannot be read: {error}", "seal it again", code="modality") from error
        return series

    def _with_kernels(self, spread: Sequence[Sequence[int]], arrays: Mapping[str, np.ndarray]) -> "Series":
        members, sizes, biases = arrays["members"], arrays["sizes"], arrays["biases"]
        middle, width = arrays["middle"], arrays["width"]
        dilations, counts = (tuple(int(one) for one in numbers) for numbers in spread)
        kernels = Kernels(dilations, counts, members, sizes, biases)
        kernels.check(channels=self.channels)
        for one in (middle, width):
            if one.shape != biases.shape or one.dtype != np.float32 or not np.isfinite(one).all():
                raise ValueError("the scaling of the kernel features does not fit the kernels")
        if width.min() <= 0:
            raise ValueError("a kernel feature has no width")
        return replace(self, kernels=kernels, centre=np.stack([middle, width]))

    @cached_property
    def _mean(self) -> np.ndarray:
        return np.array(self._learned("mean"), dtype=np.float64)

    @cached_property
    def _spread(self) -> np.ndarray:
        return np.array(self._learned("spread"), dtype=np.float64)

    def _learned(self, name: str) -> Any:
        if name not in self.learned:
            raise UsageError("this series modality has learned nothing yet", "call fit first")
        return self.learned[name]

    def _row(self, value: Any) -> np.ndarray:
        """Raw numbers `[T, C]`, NaN where one is missing.

        Raises:
            RowError: No series.
        """
        row = read_cell(value, ragged=self.options.ragged)
        if is_blank(value) and "channels" in self.learned:
            row = np.repeat(row, self.channels, axis=1)
        if np.nanmax(np.abs(row), initial=0.0) > LARGEST:
            raise RowError(f"the series holds a value beyond {LARGEST:g}", "give it in another unit", code="infinite")
        return row

    def _own_row(self, value: Any) -> np.ndarray:
        """`_row`, of as many channels as the training series."""
        row = self._row(value)
        if row.shape[1] != self.channels:
            raise RowError(
                f"the series has {row.shape[1]} {'channel' if row.shape[1] == 1 else 'channels'}; "
                f"the training series have {self.channels}",
                "give a list of as many channels, each a list of numbers",
                code="wrong_channels",
            )
        return row

    def _scaled(self, value: Any) -> np.ndarray:
        return scaled(self._own_row(value), scale=self._learned("scale"), mean=self._mean, spread=self._spread)

    def _row_or_none(self, value: Any) -> np.ndarray | None:
        row = attempt(self._row, value)
        return None if isinstance(row, RowProblem) else row

    def _own_row_or_none(self, value: Any) -> np.ndarray | None:
        row = attempt(self._own_row, value)
        return None if isinstance(row, RowProblem) else row

    def _bridged_or_none(self, value: Any) -> np.ndarray | None:
        row = attempt(self._scaled, value)
        return None if isinstance(row, RowProblem) else bridged(shortened(row, min(len(row), self.max_length)))
