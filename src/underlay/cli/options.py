"""Arguments and options that several commands share, declared once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from underlay.core import UsageError

DATA_HELP = (
    "A .csv, .tsv, .jsonl, .parquet, .arrow, .conll, .ts or .npz file, a folder of class folders, sample:NAME or "
    "hf:NAME."
)

Data = Annotated[str, typer.Argument(help=DATA_HELP, metavar="DATA")]
BundleFolder = Annotated[Path, typer.Argument(help="The folder that `underlay fit` wrote.", metavar="BUNDLE")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; results only.")]
Json = Annotated[bool, typer.Option("--json", help="Put a machine-readable result on stdout.")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Column to predict; repeat for several.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="Text column to read; repeat for several.")]
WordLists = Annotated[
    list[str] | None, typer.Option("--words", help="Column of lists of words, which can each have a tag.")
]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="Column of numbers or categories; repeat, or '*' for all that are left."),
]
Images = Annotated[list[str] | None, typer.Option("--image", help="Column of pictures; repeat for several.")]
Audios = Annotated[list[str] | None, typer.Option("--audio", help="Column of recordings; repeat for several.")]
SeriesColumns = Annotated[list[str] | None, typer.Option("--series", help="Column of time series; repeat for several.")]


def input_columns(flags: Mapping[str, list[str] | None]) -> dict[str, str]:
    """The input columns and how they are read, from what each flag names.

    >>> input_columns({"text": ["title"], "table": ["price", "shop"], "image": None})
    {'title': 'text', 'price': 'table', 'shop': 'table'}

    Raises:
        UsageError: Two flags name one column.
    """
    found: dict[str, str] = {}
    for modality, columns in flags.items():
        for column in columns or []:
            if found.setdefault(column, modality) != modality:
                raise UsageError(f"--{found[column]} and --{modality} both name {column!r}", "a column is read one way")
    return found
