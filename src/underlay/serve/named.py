"""What `underlay serve` is told to serve: `BUNDLE`, `NAME=BUNDLE` or `NAME:VERSION=BUNDLE`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from underlay.bundle import valid_name
from underlay.core import UsageError
from underlay.serve.aliases import ALIASES

_DO = "small letters, digits, dots, dashes and underscores make a name: NAME:VERSION=BUNDLE"


@dataclass(frozen=True)
class Named:
    """A bundle under a name.

    Args:
        name: Of the model.
        folder: Of the bundle.
        label: Of the version; None: the start of the bundle's seal.
    """

    name: str
    folder: Path
    label: str | None = None


def read_named(text: str) -> Named:
    """What one argument names.

    A path with a sign `=` in it is written so that what stands before the sign is no name: `./a=b`.

    Raises:
        UsageError: `name`.

    >>> read_named("reviews:2=bundles/new").label
    '2'
    >>> read_named("bundles/reviews").name
    'reviews'
    """
    head, equals, tail = text.partition("=")
    name, colon, label = head.partition(":")
    if equals and "/" not in head:
        check_name(name)
        if colon:
            check_label(label)
        if not tail:
            raise UsageError(f"{text!r:.80} names no bundle", "write NAME=BUNDLE", code="name")
        return Named(name, Path(tail), label if colon else None)
    folder = Path(text)
    name = folder.resolve().name
    if not valid_name(name):
        raise UsageError(f"a model cannot be called {name!r:.80} in an address", f"write NAME={text}", code="name")
    return Named(name, folder)


def read_all(texts: Sequence[str], *, name: str | None = None) -> tuple[Named, ...]:
    """What the arguments name; the first is the default.

    Args:
        texts: At least one.
        name: Of the model, where there is one bundle without a name.

    Raises:
        UsageError: `name`: a name that cannot be one, or that several bundles have without a version.
    """
    found = tuple(read_named(text) for text in texts if name is None)
    if name is not None:
        if len(texts) != 1 or "=" in texts[0]:
            raise UsageError("--name is for one bundle without a name", "write NAME=BUNDLE for each", code="name")
        check_name(name)
        found = (Named(name, Path(texts[0])),)
    named = Counter((one.name, one.label) for one in found)
    if twice := [one for one, times in named.items() if times > 1]:
        raise UsageError(
            f"{named[twice[0]]} bundles are called {':'.join(filter(None, twice[0]))}",
            "tell versions apart: NAME:1=BUNDLE NAME:2=BUNDLE",
            code="name",
        )
    return found


def check_name(name: str) -> None:
    """Refuse what is no name of a model.

    Raises:
        UsageError: `name`.
    """
    if not valid_name(name):
        raise UsageError(f"a model cannot be called {name!r:.80} in an address", _DO, code="name")


def check_label(label: str) -> None:
    """Refuse what is no name of a version.

    Raises:
        UsageError: `name`.
    """
    if not valid_name(label) or label in ALIASES:
        raise UsageError(
            f"a version cannot be called {label!r:.80}", f"{_DO}; {', '.join(ALIASES)} are aliases", code="name"
        )
