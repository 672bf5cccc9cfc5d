"""`underlay data split`: the rows that `underlay fit` would train, validate and test on, as files."""

import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from underlay.cli.options import Data, Json, Targets
from underlay.core import OutputExists


class By(StrEnum):
    """How rows are divided."""

    STRATIFIED = "stratified"
    RANDOM = "random"
    GROUP = "group"
    TIME = "time"


def split(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; NAME-split if not given.")] = None,
    by: Annotated[By, typer.Option(help="What the parts keep together.")] = By.STRATIFIED,
    target: Targets = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows stay together.")] = None,
    time: Annotated[str | None, typer.Option(help="Column to order by.")] = None,
    validation: Annotated[float, typer.Option(help="Share of rows.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows.")] = 0.1,
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    json: Json = False,
) -> None:
    """Write train, validation and test files, divided exactly as `underlay fit` divides with the same settings."""
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.cli.writing import WRITERS, format_of, write_table
    from underlay.strategies.listening import Say
    from underlay.strategies.prepare import read
    from underlay.strategies.recipe import Recipe

    drawn: dict[str, Any] = {"validation": validation, "test": test, "by": by.value}
    recipe = Recipe.check({"seed": seed, "data": {"target": target, "group": group, "time": time, "split": drawn}})
    folder = out or Path(f"{Path(data.rpartition(':')[2]).name.partition('.')[0]}-split")
    with Terminal() as terminal, tempfile.TemporaryDirectory() as cache:
        prepared = read(data, recipe, cache=Path(cache), say=Say(terminal))
        ending = format_of(Path(prepared.table.name))
        ending = ending if ending in WRITERS else "csv"
        files = {part: folder / f"{part}.{ending}" for part in ("train", "validation", "test")}
        existing = [path for path in files.values() if path.exists()]
        if existing and not force:
            raise OutputExists(f"{existing[0]} exists", "name another folder with --out, or pass --force")
        folder.mkdir(parents=True, exist_ok=True)
        rows = {part: getattr(prepared.splits, part) for part in files}
        for part, path in files.items():
            write_table(prepared.table.take(rows[part]).arrow, path)
    counted = {part: {"file": str(path), "rows": len(rows[part])} for part, path in files.items()}
    if json:
        put_json(counted)
        return
    for found in counted.values():
        typer.echo(f"{found['file']}\t{found['rows']}")
