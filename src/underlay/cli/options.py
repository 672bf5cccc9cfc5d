"""Arguments and options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = "A .csv, .tsv, .jsonl, .parquet or .arrow file, a folder of class folders, sample:NAME or hf:NAME."

Data = Annotated[str, typer.Argument(help=DATA_HELP, metavar="DATA")]
BundleFolder = Annotated[Path, typer.Argument(help="The folder that `underlay fit` wrote.", metavar="BUNDLE")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; results only.")]
Json = Annotated[bool, typer.Option("--json", help="Put a machine-readable result on stdout.")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Column to predict; repeat for several.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="Text column to read; repeat for several.")]
