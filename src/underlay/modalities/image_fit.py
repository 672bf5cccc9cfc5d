"""What a picture modality learns: a size, the colours, and what a person should hear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import DataError, RowError, Suited
from underlay.modalities.image_decoding import decode, size_of
from underlay.modalities.image_options import ImageOptions
from underlay.modalities.image_resizing import COVERED, choose_patch, choose_size
from underlay.modalities.text_fit import reservoir

SAMPLE = 1_000
"""Pictures that are looked at, drawn at random: colours are then known to a grey level."""

NEAR = 64
"""Colour statistics are taken at about this side."""

COLOURLESS = 6
"""Grey levels: channels that differ less, nearly everywhere, are those of a grey picture after compression."""

LARGEST = 1024

SMALL, SMALL_TRUNK = 40, "resnet"
"""Grey pictures of so few pixels a side look like no photo, and a trunk from scratch sees them whole.

Of 500 validation rows of `mnist-5k` three passes from nothing had 99.0 % right, one pass of the trained trunk, which
costs as much, 97.8 %; of 180 rows of `digits` 97.2 % and 98.3 %, in a tenth of the time. Of coloured ones (300 rows of
CIFAR-10, 2,700 learned from) three passes had 24 % right and one of the trained trunk 78 %.
"""


@dataclass
class Survey:
    """What pictures are like.

    Args:
        shapes: (height, width) of each.
        means: Of each channel, white = 1, by picture.
        squares: Of each channel squared, likewise.
        grey: How many have no colour.
        last: Why the last one that could not be read could not.
    """

    shapes: list[tuple[int, int]] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)
    grey: int = 0
    last: str = ""

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Survey":
        """Look at each."""
        found = cls()
        for value in values:
            try:
                height, width, _ = size_of(value)
                pixels = decode(value, near=NEAR).astype(np.float64) / 255
            except RowError as error:
                found.last = str(error)
                continue
            found.shapes.append((height, width))
            found.means.append(pixels.mean((0, 1)))
            found.squares.append((pixels**2).mean((0, 1)))
            apart = pixels.max(2) - pixels.min(2)
            found.grey += bool(np.quantile(apart, 0.98) * 255 <= COLOURLESS)
        return found

    @property
    def sides(self) -> list[float]:
        """Of each: the root of its pixel count."""
        return [float(np.sqrt(height * width)) for height, width in self.shapes]

    @property
    def greyness(self) -> float:
        """Share without colour."""
        return self.grey / max(1, len(self.shapes))

    def sizes(self) -> str:
        """A clause for people."""
        least, middle, most = (f"{width} x {height}" for height, width in _spread(self.shapes))
        if least == most:
            return f"pictures of {most} pixels"
        return f"pictures of {least} to {most} pixels, half of them up to {middle}"


def fit_pictures(values: Iterable[Any], rng: np.random.Generator, options: ImageOptions) -> dict[str, Any]:
    """What was learned, JSON data.

    Args:
        values: Raw training values, read once.
        rng: Draws the sample that is looked at.
        options: What the recipe and the trunk say.

    Raises:
        DataError: No value is a picture.
    """
    sample, rows = reservoir(values, SAMPLE, rng)
    seen = Survey.of(sample)
    if not seen.shapes:
        raise DataError(
            f"no row holds a picture: {seen.last or 'there are no rows'}",
            "name the column that does: --image COLUMN",
            code="no_image",
        )
    mean = np.mean(seen.means, axis=0)
    std = np.sqrt(np.maximum(np.mean(seen.squares, axis=0) - mean**2, 1e-4))  # a blank data set still divides
    size, why = choose_size(seen.sides, least=options.least, most=options.most)
    if options.size != "auto":
        size, why = options.size, "asked for"
    aspects = np.array([width / height for height, width in seen.shapes])
    grey = round(seen.greyness, 4)
    facts = {
        "size": size,
        "why": why,
        "side": round(float(np.median(seen.sides)), 1),
        "sizes": seen.sizes(),
        "aspect": round(float(np.median(aspects)), 3),
        "grey": grey,
        "unreadable": len(sample) - len(seen.shapes),
        "warnings": _warnings(aspects, options),
    }
    colours = {"mean": mean.round(5).tolist(), "std": std.round(5).tolist(), "grey": grey}
    return {"size": size, "patch": _patch(size, options), "rows": rows, "colours": colours, "facts": facts}


def suited_trunk(values: Iterable[Any], *, trained: str) -> Suited:
    """The trunk that suits pictures like these, and why.

    Args:
        values: Raw values of some training rows.
        trained: The trunk for photos.
    """
    seen = Survey.of(values)
    if not seen.shapes:
        return Suited(trained, "none of the pictures looked at can be read")
    side = round(float(np.quantile(seen.sides, COVERED)))
    colour = "grey" if seen.greyness > COVERED else "in colour"
    why = f"the pictures are {colour}, nine in ten of at most {side} x {side} pixels"
    return Suited(SMALL_TRUNK if side <= SMALL and seen.greyness > COVERED else trained, why)


def check_learned(learned: Mapping[str, Any], options: ImageOptions) -> None:
    """Hold what a file says was learned against what `fit_pictures` could have learned.

    Raises:
        ValueError: It could not.
    """
    if set(learned) != {"size", "patch", "rows", "colours", "facts"}:
        raise ValueError(f"learned has {sorted(learned)}")
    size, patch, rows, colours = (learned[key] for key in ("size", "patch", "rows", "colours"))
    whole = all(type(one) is int for one in (size, patch, rows))
    if not whole or not 1 <= patch <= size <= LARGEST or size % patch or rows < 0:
        raise ValueError(f"size is {size!r}, patch {patch!r}, rows {rows!r}")
    if options.size not in ("auto", size) or options.patch not in ("auto", patch):
        raise ValueError(f"size {size} and patch {patch} are not those that were asked for")
    if set(colours) != {"mean", "std", "grey"}:
        raise ValueError(f"colours has {sorted(colours)}")
    numbers = [*colours["mean"], *colours["std"], colours["grey"]]
    if len(numbers) != 7 or not all(type(one) in (int, float) and 0 <= one <= 1 for one in numbers):
        raise ValueError(f"colours are {colours!r:.200}")
    if min(colours["std"]) <= 0 or not isinstance(learned["facts"], dict):
        raise ValueError("a channel has no spread, or facts is no mapping")


def _spread(shapes: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The smallest, the middle and the largest by their pixels."""
    ordered = sorted(shapes, key=lambda shape: (shape[0] * shape[1], shape))
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _patch(size: int, options: ImageOptions) -> int:
    if options.patch == "auto":
        return choose_patch(size)
    if size % options.patch:
        raise DataError(
            f"patches of {options.patch} do not fit into pictures of {size} x {size} pixels",
            f"set model.read: {{image: {{size: {-(-size // options.patch) * options.patch}}}}}",
            code="image_patch",
        )
    return options.patch


def _warnings(aspects: np.ndarray, options: ImageOptions) -> list[str]:
    long = float(np.mean((aspects > 2) | (aspects < 0.5)))
    if long <= 0.25 or options.fit == "pad":
        return []
    lost = "loses their ends" if options.fit == "crop" else "distorts them"
    share = f"{long:.0%}".replace("%", " %")
    found = f"{share} of the pictures are more than twice as long as broad, and fit = {options.fit} {lost}"
    return [f"{found}; model.read: {{image: {{fit: pad}}}} keeps them whole"]
