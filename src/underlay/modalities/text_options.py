"""What a recipe may say about how texts are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from underlay.core import RecipeError
from underlay.modalities.options import unknown_options
from underlay.modalities.text_segments import RULES


@dataclass(frozen=True)
class Augmentation:
    """Share of words that `augment` damages, each 0 to 1.

    Args:
        typos: Words that get one slip of the finger.
        drop: Words left out.
        swap: Words that change places with the next one.
    """

    typos: float = 0.03
    drop: float = 0.05
    swap: float = 0.03


@dataclass(frozen=True)
class TextOptions:
    """How texts are read.

    Args:
        max_length: Positions of a segment, or `auto`: from the training texts.
        long: What happens to longer texts: `head-tail`, `windows` or `head`.
        windows: At most this many segments where `long` is `windows`.
        characters: The tokenizer never sees more characters of one text.
        vocabulary: Entries of a tokenizer that is trained here.
        lower: Whether a tokenizer that is trained here ignores case.
        second: Whether it is the second text of a pair: framed as such, `b [SEP]` behind `[CLS] a [SEP]`.
        augment: Rates of the augmentation.

    >>> TextOptions.read({"max_length": 64}).max_length
    64
    """

    max_length: int | Literal["auto"] = "auto"
    long: str = "head-tail"
    windows: int = 8
    characters: int = 20_000
    vocabulary: int = 16_000
    lower: bool = True
    second: bool = False
    augment: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "TextOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        rates = options.get("augment") or {}
        if isinstance(rates, Augmentation):
            rates = vars(rates)
        problems = unknown_options(options, cls, "text") + unknown_options(rates, Augmentation, "text.augment")
        if problems:
            raise RecipeError(problems)
        chosen = cls(**{**options, "augment": Augmentation(**rates)})
        problems = chosen._problems()
        if problems:
            raise RecipeError(problems)
        return chosen

    def _problems(self) -> list[str]:
        least = {"windows": 1, "characters": 1, "vocabulary": 300}
        if self.max_length != "auto":
            least["max_length"] = 3  # [CLS], one token, [SEP]
        values = {name: getattr(self, name) for name in least}
        found = [
            f"{name} is {values[name]!r}; it must be a whole number of at least {low}"
            for name, low in least.items()
            if not isinstance(values[name], int) or values[name] < low
        ]
        if self.second not in (True, False):
            found.append(f"second is {self.second!r}; it must be true or false")
        elif self.second and self.long == "windows":
            found.append("second is true and long is 'windows'; a pair is read as one segment: head-tail or head")
        if self.long not in RULES:
            found.append(f"long is {self.long!r}; it must be one of {', '.join(RULES)}")
        rates = {name: rate for name, rate in vars(self.augment).items() if not 0 <= rate <= 1}
        return found + [f"augment.{name} is {rate}; it must be between 0 and 1" for name, rate in rates.items()]
