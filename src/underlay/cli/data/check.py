"""`underlay data check`: what is wrong with a data set before it is learned from."""

from typing import Annotated

import typer

from underlay.cli.options import Data, Json, Targets, Texts


def check(
    data: Data,
    target: Targets = None,
    text: Texts = None,
    test: Annotated[str | None, typer.Option(help="Test data to look for leakage into.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 on a warning too.")] = False,
    json: Json = False,
) -> None:
    """Say what the columns are taken for, and list duplicates, conflicts, leakage, imbalance and rare labels."""
    raise NotImplementedError
