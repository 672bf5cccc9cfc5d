"""`image.v1`: a picture -> its pixels at one size."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from underlay.core import BundleRefused, Encoded, Part, RowError, RowProblem, Suited, UsageError, attempt
from underlay.modalities import image_augmentation, image_cells, image_noise, image_print, image_probe
from underlay.modalities.image_classical import classical
from underlay.modalities.image_decoding import decode
from underlay.modalities.image_file import read_bytes
from underlay.modalities.image_fit import check_learned, fit_pictures, suited_trunk
from underlay.modalities.image_options import ImageOptions
from underlay.modalities.image_resizing import resize
from underlay.modalities.image_sketch import sketch_pictures
from underlay.modalities.image_thumbnail import SIDE, thumbnail
from underlay.modalities.registry import MODALITIES

DECODERS = 4
"""Threads that decode side by side; Pillow leaves Python's lock while it does."""


@MODALITIES("image.v1")
@dataclass(frozen=True)
class Image:
    """Pictures of one column; `fit` returns the one that can encode.

    A value is a path, a `data:image/...;base64,` address, the bytes of a file, a mapping with `bytes` or `path`, or a
    uint8 array `[H, W, 3]`.

    Args:
        options: What the recipe and the trunk asked for.
        learned: What `fit` found, JSON data: `size`, `patch`, `rows`, `colours`, `facts`.
    """

    options: ImageOptions = field(default_factory=ImageOptions)
    learned: Mapping[str, Any] = field(default_factory=dict)

    trunk: ClassVar[str] = "efficientnet-lite0"
    files: ClassVar[bool] = True
    features: ClassVar[str] = "pixels + gradients"
    standalone: ClassVar[bool] = True
    oddities: ClassVar[Mapping[str, str]] = {"blank_picture": "of one colour from edge to edge"}

    @property
    def name(self) -> str:
        """`image.v1`."""
        return "image.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Image":  # noqa: ARG003
        """An unfitted modality.

        Args:
            assets: The trunk's files; a picture needs none.
            limit: The longest segment of the trunk; a trained stem says its own size among the options.
            options: See `ImageOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(ImageOptions.read(options))

    @classmethod
    def suits(cls, values: Sequence[Any]) -> Suited:
        """A small trunk from scratch for small grey pictures, the one trained on photos for all others."""
        return suited_trunk(values, trained=cls.trunk)

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Image":
        """Choose the size and learn the colours from at most a thousand of the pictures.

        Raises:
            DataError: No value is a picture.
            MissingExtra: Pillow is not installed.
        """
        return replace(self, learned=fit_pictures(values, rng, self.options))

    @property
    def size(self) -> int:
        """Pixels a side of what the model sees."""
        if not self.learned:
            raise UsageError("this image modality has no size yet", "call fit first")
        return int(self.learned["size"])

    def encode(self, value: Any) -> Encoded:
        """`pixels`, uint8 `[H, W, 3]`.

        Raises:
            RowError: Not a picture, none that can be read, or beyond the limits.
        """
        return {"pixels": self._seen(value)}

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many, several at a time; a problem stands where a value cannot be used."""
        with ThreadPoolExecutor(DECODERS) as pool:
            return list(pool.map(partial(attempt, self.encode), values))

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`pixels` `[B, H, W, 3]`, uint8; all are of one size."""
        return {"pixels": np.stack([row["pixels"] for row in encoded])}

    def length(self, encoded: Encoded) -> int:
        """Positions a sequence trunk reads: patches, and the class token where there is one."""
        side = len(encoded["pixels"]) // int(self.learned["patch"])
        return side * side + self.options.class_token

    def describe(self) -> Mapping[str, Any]:
        """What the stems `image.v1` and, under `picture`, `picture.v1` need."""
        size, patch, colours = self.size, int(self.learned["patch"]), self.learned["colours"]
        mean, std = (
            colours[name] if given == "auto" else list(given)
            for name, given in (("mean", self.options.mean), ("std", self.options.std))
        )
        return {
            "name": self.name,
            "height": size,
            "breadth": size,
            "patch": patch,
            "class_token": self.options.class_token,
            "limit": (size // patch) ** 2 + self.options.class_token,
            "picture": {
                "name": "picture.v1",
                "height": size,
                "breadth": size,
                "channels": 3,
                "mean": [float(one) for one in mean],
                "std": [float(one) for one in std],
            },
        }

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why: `size`, `why`, what the pictures are like, and `warnings`."""
        return dict(self.learned.get("facts", {}))

    def augment(self, value: Any, rng: np.random.Generator) -> np.ndarray:
        """The picture moved, in other light, perhaps mirrored, as the options say; uint8 `[H, W, 3]`.

        Raises:
            RowError: As `encode`.
        """
        return image_augmentation.augment(self._seen(value), rng, self.options.augment)

    def parts(self, value: Any) -> tuple[Part, ...]:
        """The cells of a grid over the picture, in rows."""
        return image_cells.cells(self.options.grid)

    def without(self, value: Any, parts: Sequence[Part]) -> np.ndarray:
        """The picture as the model sees it, these cells in the mean colour.

        Without all it is the neutral picture, whatever the value was.
        """
        colour = [255 * one for one in self.learned["colours"]["mean"]]
        every = len(set(parts)) == self.options.grid**2
        pixels = np.zeros((self.size, self.size, 3), np.uint8) if every else self._seen(value)
        return image_cells.paint(pixels, parts, colour, self.options.grid)

    def substitutes(self, value: Any, part: Part) -> tuple[np.ndarray, ...]:
        """The picture with that cell blurred, darker, brighter or mirrored."""
        return image_cells.substitutes(self._seen(value), part, self.options.grid)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
        """The picture damaged in one of `image_noise.KINDS`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        return image_noise.corrupt(self._seen(value), kind, severity, rng)

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML of the picture, each cell shaded by its weight, -1 to 1."""
        return image_cells.render(self._seen(value), weights, self.options.grid)

    def thumbnail(self, value: Any) -> str:
        """The whole picture, small, as a `data:` address.

        Raises:
            RowError: As `encode`.
        """
        return thumbnail(decode(value, near=SIDE))

    def odd(self, value: Any) -> tuple[str, ...]:
        """Whether it shows nothing."""
        pixels = attempt(self._seen, value)
        return ("blank_picture",) if isinstance(pixels, np.ndarray) and np.ptp(pixels, axis=(0, 1)).max() == 0 else ()

    def probe(self, rng: np.random.Generator) -> str:
        """A synthetic picture in the colours of the training pictures, as a `data:` address."""
        return image_cells.png_address(image_probe.probe(rng, self.learned["colours"]))

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms of brightness, contrast, saturation, size and aspect, and counts of formats."""
        return sketch_pictures(values)

    def fingerprint(self, value: Any) -> np.ndarray:
        """Hashes of the content and of what the picture shows, uint64, sorted; empty for what is no picture."""
        try:
            content = value.tobytes() if isinstance(value, np.ndarray) else read_bytes(value)
            pixels = decode(value if isinstance(value, np.ndarray) else content, near=image_print.NEAR)
        except RowError:
            return np.empty(0, np.uint64)
        return image_print.fingerprint(content, pixels)

    def classical(self) -> Any:
        """Small pixels and histograms of gradients, scaled."""
        return classical()

    def state(self) -> Mapping[str, bytes]:
        """`image.json`."""
        settings = {"options": asdict(self.options), "learned": dict(self.learned)}
        return {"image.json": json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True).encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Image":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: The file is missing, foreign or unreadable.
        """
        if set(files) != {"image.json"}:
            raise BundleRefused(
                f"image.v1 reads image.json; there is {sorted(files)}", "seal it again", code="modality"
            )
        try:
            settings = json.loads(files["image.json"])
            if set(settings) != {"options", "learned"}:
                raise ValueError(f"it has {sorted(settings)}")
            options, learned = ImageOptions.read(settings["options"]), dict(settings["learned"])
            check_learned(learned, options)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
            raise BundleRefused(f"image.json cannot be read: {error}", "seal it again", code="modality") from error
        return cls(options, learned)

    def _seen(self, value: Any) -> np.ndarray:
        """The picture as the model sees it, uint8 `[S, S, 3]`."""
        return resize(decode(value, near=self.size), self.size, fit=self.options.fit)
