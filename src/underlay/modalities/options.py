"""What the options of every modality share: unknown keys named with the nearest known one."""

from collections.abc import Iterable
from dataclasses import fields

from underlay.core import nearest

OF_SEQUENCES = ("max_length", "long")
"""Every modality is told these; one whose values are all of one length passes over them."""


def option_names(record: type) -> list[str]:
    """The names that a dataclass of options knows."""
    return [field.name for field in fields(record)]


def unknown_options(given: Iterable[str], record: type, where: str) -> list[str]:
    """A sentence for each key that a dataclass of options does not know.

    Args:
        given: Keys.
        record: The dataclass.
        where: Whose options they are: `image.augment`.

    >>> from underlay.modalities.text_options import Augmentation
    >>> unknown_options(["typoes"], Augmentation, "text.augment")
    ["text.augment has no option 'typoes': did you mean 'typos'?"]
    """
    known = option_names(record)
    return [f"{where} has no option {key!r}: {nearest(str(key), known)}" for key in given if key not in known]
