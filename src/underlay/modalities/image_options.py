"""What a recipe may say about how pictures are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from underlay.core import RecipeError
from underlay.modalities.image_header import MOST_SIDE
from underlay.modalities.image_resizing import FITS
from underlay.modalities.options import OF_SEQUENCES, unknown_options


@dataclass(frozen=True)
class ImageAugmentation:
    """How much `augment` changes a picture.

    Args:
        crop: Share of the side that is added as a border before a random crop, 0 to 0.5.
        flip: Whether half of the pictures are mirrored; wrong for digits, letters and signs.
        colour: Largest change of brightness, contrast and saturation, 0 to 1.
        policy: Operations drawn for each picture (RandAugment), 0 to 4.
        magnitude: How strong these are, 0 to 1.
    """

    crop: float = 0.1
    flip: bool = False
    colour: float = 0.2
    policy: int = 0
    magnitude: float = 0.3


@dataclass(frozen=True)
class ImageOptions:
    """How pictures are read.

    Args:
        size: Pixels a side that the model sees, or `auto`: from the training pictures.
        least: `auto` goes no lower.
        most: `auto` goes no higher.
        fit: What becomes of pictures that are not square: `squash`, `crop` or `pad`.
        patch: Side of the patches a sequence trunk reads, a divisor of the size; `auto`: at least seven a side.
        class_token: Whether a learned position stands before the patches.
        grid: Cells a side that explanations and attacks act on.
        mean: Of each channel, subtracted before a spatial trunk, 0 to 1; `auto`: of the training pictures.
        std: Of each channel, divides; `auto` likewise.
        augment: How much the augmentation changes.

    >>> ImageOptions.read({"size": 96, "augment": {"flip": True}}).augment.flip
    True
    """

    size: int | Literal["auto"] = "auto"
    least: int = 8
    most: int = 128
    fit: str = "squash"
    patch: int | Literal["auto"] = "auto"
    class_token: bool = False
    grid: int = 7
    mean: tuple[float, ...] | Literal["auto"] = "auto"
    std: tuple[float, ...] | Literal["auto"] = "auto"
    augment: ImageAugmentation = field(default_factory=ImageAugmentation)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "ImageOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        own = {key: value for key, value in options.items() if key not in OF_SEQUENCES}
        changes: Any = own.get("augment") or {}
        if not isinstance(changes, Mapping):
            raise RecipeError([f"image.augment is {changes!r}; it is a mapping: {{flip: true}}"])
        problems = unknown_options(own, cls, "image") + unknown_options(changes, ImageAugmentation, "image.augment")
        if problems:
            raise RecipeError(problems)
        for name in ("mean", "std"):
            if isinstance(own.get(name), list):
                own[name] = tuple(own[name])
        chosen = cls(**{**own, "augment": ImageAugmentation(**changes)})
        if problems := chosen._problems():
            raise RecipeError([f"image.{problem}" for problem in problems])
        return chosen

    def _problems(self) -> list[str]:
        return _numbers(self) + _statistics(self) + _rates(self.augment)


def _numbers(options: ImageOptions) -> list[str]:
    wanted = {"least": options.least, "most": options.most, "grid": options.grid}
    wanted |= {name: getattr(options, name) for name in ("size", "patch") if getattr(options, name) != "auto"}
    most = {"grid": 32, "size": 1024, "most": 1024, "least": 1024, "patch": 1024}  # what a trunk here can read
    found = [
        f"{name} is {value!r}; it must be a whole number from 1 to {most.get(name, MOST_SIDE)}"
        for name, value in wanted.items()
        if type(value) is not int or not 1 <= value <= most.get(name, MOST_SIDE)
    ]
    if found:
        return found
    if options.least > options.most:
        found.append(f"least is {options.least}, above most, {options.most}")
    if options.size != "auto" and options.patch != "auto" and options.size % options.patch:
        found.append(f"patch is {options.patch}; it must divide the size, {options.size}")
    if options.fit not in FITS:
        found.append(f"fit is {options.fit!r}; it must be one of {', '.join(FITS)}")
    token: Any = options.class_token
    if type(token) is not bool:
        found.append(f"class_token is {options.class_token!r}; it is true or false")
    return found


def _statistics(options: ImageOptions) -> list[str]:
    found = []
    for name, low in (("mean", -10.0), ("std", 1e-6)):
        value: Any = getattr(options, name)
        numbers = isinstance(value, tuple) and all(
            isinstance(one, int | float) and not isinstance(one, bool) and low <= one <= 10 for one in value
        )
        if value != "auto" and not (numbers and len(value) in (1, 3)):
            found.append(f"{name} is {value!r}; it is auto, or 1 or 3 numbers in units of white = 1")
    return found


def _rates(augment: ImageAugmentation) -> list[str]:
    most = {"crop": 0.5, "colour": 1.0, "magnitude": 1.0, "policy": 4}
    given: dict[str, Any] = {name: getattr(augment, name) for name in most}
    found = [
        f"augment.{name} is {value!r}; it must be between 0 and {most[name]}"
        for name, value in given.items()
        if not isinstance(value, int | float) or not 0 <= value <= most[name]
    ]
    flip: Any = augment.flip
    if type(flip) is not bool:
        found.append(f"augment.flip is {augment.flip!r}; it is true or false")
    return found
