"""`underlay redact`: personal data and secrets out of a file, or only counted."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from underlay.cli.options import Json, Quiet
from underlay.core import DataError, OutputExists, UsageError

if TYPE_CHECKING:
    from underlay.cli.redacted import Redacted


def redact(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A .csv, .tsv, .jsonl, .json, .parquet, .arrow or text file, or -.")
    ],
    column: Annotated[
        list[str] | None, typer.Option("--column", metavar="COL", help="Redact this column only; repeat for several.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; without it, the result goes to stdout.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Redact only this, PHONE for example; repeat for several.")
    ] = None,
    mode: Annotated[
        Literal["index", "pseudonym", "drop"],
        typer.Option(help="[PHONE_1], a keyed pseudonym, or nothing in its place."),
    ] = "index",
    key_file: Annotated[Path | None, typer.Option(help="File with the secret key of the pseudonyms.")] = None,
    words: Annotated[
        Path | None, typer.Option(help="File of names and other words that always go, one a line.")
    ] = None,
    lines: Annotated[bool, typer.Option("--lines", help="What comes on stdin is JSON Lines, not plain text.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Replace personal data and secrets in a file; with --json and no --out, only count them."""
    from underlay.cli.redacted import redact_source
    from underlay.cli.streams import put_json
    from underlay.serve.redaction import KINDS, Policy

    if out is not None and file != "-" and out.resolve() == Path(file).resolve():
        raise UsageError(f"--out {out} is the input itself", "name another file")
    if out is not None and out.exists() and not force:
        raise OutputExists(f"{out} exists", "name another file or pass --force")
    policy = Policy(
        kinds=tuple(kind) if kind else KINDS,
        mode=mode,
        key=key_file.read_bytes() if key_file else b"",
        words=_words(words) if words else (),
    )
    done = redact_source(
        file, policy, columns=tuple(column or ()), out=out, lines=lines, write=not (json and out is None), quiet=quiet
    )
    if json:
        put_json(done.to_dict())
    elif not quiet:
        _show(done, out)
    if done.failed:
        raise DataError(
            f"{done.failed} {'text' if done.failed == 1 else 'texts'} could not be redacted and "
            f"{'is' if done.failed == 1 else 'are'} masked whole; all others were",
            "they were no JSON or no valid text, or took too long",
            code="redaction_failed",
        )


def _words(path: Path) -> tuple[str, ...]:
    """The lines of a file that are not blank."""
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte {error.start + 1:,} does not decode", "save it again as UTF-8"
        ) from None


def _show(done: "Redacted", out: Path | None) -> None:
    """The counts: where the result went to stdout, beside it."""
    from underlay.cli.streams import progress, results
    from underlay.cli.tables import table

    console = progress() if out is None else results()
    rows: list[list[Any]] = [[kind, count] for kind, count in sorted(done.counts.items(), key=lambda one: -one[1])]
    if rows:
        console.print(table("", ["what", "found"], rows))
    said = f"{sum(done.counts.values()):,} found in {done.texts:,} {'text' if done.texts == 1 else 'texts'}"
    console.print(f"{said}; rules {done.rule_set}", markup=False)
    if out is not None:
        sys.stdout.flush()
        console.print(str(out), markup=False, soft_wrap=True)
