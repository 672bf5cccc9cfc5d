"""What a recipe may say about how series are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from underlay.core import RecipeError
from underlay.modalities.options import option_names, unknown_options

SCALES = ("auto", "none", "global", "each")
LONG = ("head-tail", "resample", "windows", "head")
RAGGED = ("refuse", "resample")
MOST_KERNEL_FEATURES = 100_000


@dataclass(frozen=True)
class SeriesAugmentation:
    """How far `augment` goes.

    Args:
        jitter: Noise on every value, over the channel's standard deviation.
        scaling: Standard deviation of a factor on every channel, around 1.
        warp: Largest local change of speed, over the speed.
        crop: Largest share cut off at an end; what is left is stretched back.
        shift: Largest share of the length by which the series is moved; the end that opens is missing.
    """

    jitter: float = 0.03
    scaling: float = 0.1
    warp: float = 0.1
    crop: float = 0.1
    shift: float = 0.05


@dataclass(frozen=True)
class SeriesOptions:
    """How series are read.

    Args:
        max_length: Most positions of a segment, or `auto`: from the training series.
        long: What happens to longer series: `resample`, `windows` or `head`. The recipe's usual `head-tail` means
            `resample` here: what a series has in its middle says as much as its ends.
        windows: At most this many segments where `long` is `windows`.
        scale: `global` (by the training values of each channel), `each` (every series by itself), `none`, or `auto`.
        ragged: What happens to channels of several lengths: `refuse`, or `resample` to the longest.
        patch: Positions that the stem reads as one.
        kernels: Compute about so many fixed kernel features in place of the values; 0: none.
        augment: How far the augmentation goes.

    >>> SeriesOptions.read({"scale": "each"}).scale
    'each'
    """

    max_length: int | Literal["auto"] = "auto"
    long: str = "head-tail"
    windows: int = 8
    scale: str = "auto"
    ragged: str = "refuse"
    patch: int = 1
    kernels: int = 0
    augment: SeriesAugmentation = field(default_factory=SeriesAugmentation)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "SeriesOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        rates = options.get("augment") or {}
        if isinstance(rates, SeriesAugmentation):
            rates = vars(rates)
        if not isinstance(rates, Mapping):
            raise RecipeError([f"series.augment is {rates!r}; it is a mapping of {option_names(SeriesAugmentation)}"])
        problems = unknown_options(options, cls, "series") + unknown_options(
            rates, SeriesAugmentation, "series.augment"
        )
        if problems:
            raise RecipeError(problems)
        chosen = cls(**{**options, "augment": SeriesAugmentation(**rates)})
        problems = chosen._problems()
        if problems:
            raise RecipeError(problems)
        return chosen

    def _problems(self) -> list[str]:
        least = {"windows": 1, "patch": 1, "kernels": 0}
        if self.max_length != "auto":
            least["max_length"] = 1
        found = [
            f"series.{name} is {value!r}; it must be a whole number of at least {low}"
            for name, low in least.items()
            for value in [getattr(self, name)]
            if type(value) is not int or value < low
        ]
        if type(self.kernels) is int and self.kernels > MOST_KERNEL_FEATURES:
            found.append(f"series.kernels is {self.kernels}; at most {MOST_KERNEL_FEATURES:,} are computed")
        for name, known in (("scale", SCALES), ("long", LONG), ("ragged", RAGGED)):
            if getattr(self, name) not in known:
                found.append(f"series.{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        for name, rate in vars(self.augment).items():
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
                found.append(f"series.augment.{name} is {rate!r}; it must be from 0 up to 1")
        return found
