"""`underlay data check`: what is wrong with a data set before it is learned from."""

import json as to_json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import (
    Audios,
    Data,
    Images,
    Json,
    Quiet,
    SeriesColumns,
    Tables,
    Targets,
    Texts,
    WordLists,
    input_columns,
)
from underlay.core import DataError


def check(
    data: Data,
    target: Targets = None,
    text: Texts = None,
    words: WordLists = None,
    table: Tables = None,
    image: Images = None,
    audio: Audios = None,
    series: SeriesColumns = None,
    test: Annotated[str | None, typer.Option(metavar="DATA", help="Test data to look for leakage into.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 on a warning too.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what the columns are taken for, and list what `underlay fit` would.

    Values that cannot be read or hold nothing, sizes, duplicates, leakage, rare and doubtful labels.
    """
    from dataclasses import asdict

    from underlay.cli.streams import put_json, results
    from underlay.cli.tables import put_table
    from underlay.cli.terminal import Terminal
    from underlay.strategies import Recipe, prepare
    from underlay.strategies.assembly import assemble
    from underlay.strategies.checks import check_data
    from underlay.strategies.listening import Say
    from underlay.strategies.suited import suited, without_weights

    columns = (
        input_columns({"text": text, "words": words, "table": table, "image": image, "audio": audio, "series": series})
        or None
    )
    wanted = {"data.target": target, "data.columns": columns}
    recipe = Recipe.load(overrides=[f"{key}={to_json.dumps(value)}" for key, value in wanted.items()])
    with Terminal(quiet=quiet) as terminal, tempfile.TemporaryDirectory(prefix="underlay-") as cache:
        say = Say(terminal)
        prepared = prepare.read(data, recipe, test=test, cache=Path(cache), say=say)
        recipe = without_weights(recipe, prepared.schema)
        assembly = assemble(recipe, prepared.schema, suited(prepared, recipe, say=say))
        modalities = prepare.fit_modalities(prepared, assembly, recipe, say=say)
        prepared, *rows = prepare.encode(prepared, modalities, cache=Path(cache), say=say)
        lines = check_data(prepared, modalities, rows[0], recipe, say=Say(None)).lines
    if json:
        put_json({"schema": prepared.schema.to_dict(), "findings": [asdict(line) for line in lines]})
    elif lines:
        shown = [(line.severity, line.count, line.message, "; ".join(line.rows)) for line in lines]
        put_table("", ["", "rows", "what", "where"], shown)
    else:
        results().print("nothing found")
    warnings = [line for line in lines if line.severity != "info"]
    if strict and warnings:
        raise DataError(f"{len(warnings)} of the findings are warnings", "correct the data", code=warnings[0].code)
