"""The data that a bundle was trained on, read and split as it was then."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay.bundle import Bundle
from underlay.core import DataChanged, UsageError
from underlay.data import open_table
from underlay.strategies import prepare
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe

NAMED = ("sample:", "hf:")
"""Sources that are found by name alone."""


@dataclass(frozen=True)
class Sources:
    """Where the data of a bundle is.

    Args:
        training: As `fine_tune` takes it.
        test: Test data of its own; None: a part of the training data, or data that is not asked for.
    """

    training: Any
    test: Any = None


def sources_of(bundle: Bundle, training: Any = None, *, test: Any = None) -> Sources:
    """What was given, or what the bundle names: `sample:NAME`, or a file in the current folder or beside it.

    Args:
        bundle: Names its data and knows their digests.
        training: None: the one it names.
        test: Likewise, where it was measured on test data of its own.

    Raises:
        UsageError: `no_data`: the data is not named, or is not where it was looked for.
    """
    own = "test" in bundle.provenance.get("data", {})
    if test is not None and not own:
        raise UsageError("this bundle was measured on a part of its training data", "leave out --test", code="no_data")
    return Sources(_found(bundle, "training", training), _found(bundle, "test", test) if own else None)


def read_again(bundle: Bundle, sources: Sources, *, cache: Path, say: Say) -> Prepared:
    """The rows of training, validation and test.

    Args:
        bundle: Knows the digests of its data, and how it was read.
        sources: Where the data is.
        cache: Folder for what reading keeps.
        say: Told what is read.

    Raises:
        DataChanged: It is other data than the bundle was trained on: its validation rows may have been learned from.
    """
    for part, digest in bundle.provenance.get("data", {}).items():
        source = getattr(sources, part, None)
        found = "" if source is None else open_table(source, cache=cache).digest
        if source is not None and found != digest:
            raise DataChanged(
                f"{source} is not the {part} data of {bundle.path} (sha256 {digest[:12]}…, now {found[:12]}…): "
                "what was learned from and what was not can no longer be told apart",
                "give the data it was trained on, or train again",
            )
    recipe = Recipe.check(bundle.provenance["recipe"])
    # With test data of its own no test rows were drawn; where it is not asked for, any stands in for it.
    elsewhere = sources.test is None and "test" in bundle.provenance.get("data", {})
    test = sources.training if elsewhere else sources.test
    data = prepare.read(sources.training, recipe, test=test, cache=cache, say=say)
    if data.schema != bundle.schema:
        raise DataChanged(
            f"{sources.training} is read with other columns or labels than {bundle.path} has",
            "train again: this version reads the data in another way",
        )
    return data


def _found(bundle: Bundle, part: str, given: Any) -> Any:
    """The source that was given, or the one the bundle names, where it is found."""
    if given is not None:
        return given
    flag = "--data" if part == "training" else "--test"
    name = bundle.provenance.get("sources", {}).get(part)
    if name is None:
        raise UsageError(f"{bundle.path} does not name its {part} data", f"pass {flag} FILE", code="no_data")
    if str(name).startswith(NAMED):
        return name
    places = [Path(name), *([] if bundle.path is None else [bundle.path.parent / name])]
    standing = [place for place in places if place.exists()]
    if not standing:
        raise UsageError(
            f"{bundle.path} was trained on {name}, which is neither in this folder nor beside the bundle",
            f"pass {flag} FILE",
            code="no_data",
        )
    return str(standing[0])
