"""`underlay predict`: answers for a file, a stream or one value."""

import os
import re
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import BundleFolder, Quiet
from underlay.core import DataError, OutputExists, UsageError

if TYPE_CHECKING:
    from underlay.bundle import Bundle

DATA_ENDINGS = re.compile(r"\.(csv|tsv|jsonl|parquet|arrow|feather|ts|npz|conll|iob|bio)(\.(gz|zst))?$", re.IGNORECASE)
NAMED = re.compile(r"(sample|hf):\S+")

BAD_ROWS = 3
"""Exit code when some rows could not be answered."""


def predict(
    bundle: BundleFolder,
    value: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file like DATA, one value in quotes, or - for JSONL on stdin.")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; its ending decides the format.")] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Add the probability of every label.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")] = False,
    quiet: Quiet = False,
) -> None:
    """Predict for the rows of a file, for JSONL on stdin, or for one value."""
    from underlay.bundle import open_bundle

    if out is not None and out.exists() and not force and out.resolve() != Path(value).resolve():
        raise OutputExists(f"{out} exists", "name another file or pass --force")
    opened = open_bundle(bundle)
    if value == "-":
        from underlay.cli.lines import predict_lines

        bad = predict_lines(opened, out=out, scores=scores)
    elif is_data(value) and not names_cell(opened, value):
        from underlay.cli.files import predict_file

        bad = predict_file(opened, value, out=out, scores=scores, quiet=quiet)
    else:
        bad = _predict_value(opened, value, out=out, scores=scores)
    if bad:
        raise DataError(
            f"{bad} {'row' if bad == 1 else 'rows'} could not be answered; all others were",
            "the error cells say why",
            code="bad_rows",
        )


def is_data(text: str) -> bool:
    """Whether INPUT names data rather than being a value itself.

    >>> is_data("sample:tweets"), is_data("reviews.csv"), is_data("a quiet, wonderful film")
    (True, True, False)
    """
    named = NAMED.fullmatch(text) or (DATA_ENDINGS.search(text) and not re.search(r"\s", text))
    return bool(named) or os.path.exists(text)  # Path.exists raises on a text too long for a path


def names_cell(bundle: "Bundle", text: str) -> bool:
    """Whether INPUT is a file that is one value: a recording or a picture for a bundle that reads nothing else."""
    modalities = list(bundle.modalities.values())
    return len(modalities) == 1 and modalities[0].files and os.path.isfile(text) and not DATA_ENDINGS.search(text)


def _predict_value(bundle: "Bundle", value: str, *, out: Path | None, scores: bool) -> int:
    from underlay.cli.answers import answer_columns

    if out is not None:
        raise UsageError("--out is for the rows of a file", "leave it out for one value")
    if len(bundle.schema.columns) != 1:
        names = [column.name for column in bundle.schema.columns]
        raise UsageError(f"this bundle reads the columns {names}", "give a file, or JSONL on stdin with `-`")
    answers = bundle.answer({bundle.schema.columns[0].name: [value]})
    if answers.problems:
        problem = answers.problems[0]
        raise DataError(problem.message, code=problem.code)
    said = {name: column[0] for name, column in answer_columns(answers, bundle.schema, scores=scores).items()}
    between = "|" if any(target.ranked for target in bundle.schema.targets) else " "  # items may hold spaces
    typer.echo("\t".join(_shown(name, cell, between) for name, cell in said.items()))
    return 0


def _shown(name: str, cell: object, between: str) -> str:
    """The answer and its confidence as they are, all further figures with their names."""
    if isinstance(cell, list) and all(isinstance(item, str) for item in cell) and name == "prediction":
        return between.join(cell)
    cell = [round(one, 4) if isinstance(one, float) else one for one in cell] if isinstance(cell, list) else cell
    text = f"{cell:.4f}" if isinstance(cell, float) else dumps(cell) if isinstance(cell, list) else str(cell)
    return text if name in ("prediction", "confidence") else f"{name}={text}"
