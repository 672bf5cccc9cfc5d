"""`underlay report`: one HTML file that shows what a bundle does, how sure that is, and where it fails."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Quiet

if TYPE_CHECKING:
    from underlay.bundle import Bundle
    from underlay.evaluate import ReportData


def report(
    bundle: BundleFolder,
    data: Annotated[str | None, typer.Option(metavar="DATA", help=f"Measure on this data instead. {DATA_HELP}")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write; BUNDLE.html if not given.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write the report of a bundle as one HTML file that needs no network."""
    from underlay.bundle import open_bundle
    from underlay.core.durable import write_file
    from underlay.evaluate import render_report

    opened = open_bundle(bundle)
    folder = bundle.resolve()
    shown = _stored(opened, folder) if data is None else _measured(opened, data, quiet=quiet)
    path = html or Path(f"{bundle}".rstrip("/") + ".html")
    write_file(path, render_report(shown).encode("utf-8"))
    typer.echo(path)


def _stored(bundle: "Bundle", folder: Path) -> "ReportData":
    """What the run wrote, or what the bundle itself holds where the run folder is gone."""
    from underlay.evaluate import ReportData
    from underlay.strategies.evaluate import sealed_report

    path = folder.with_name(f"{folder.name}.run") / "report.json"
    if not path.exists():
        return sealed_report(bundle)
    return ReportData.from_dict(json.loads(path.read_text(encoding="utf-8")))


def _measured(bundle: "Bundle", data: str, *, quiet: bool) -> "ReportData":
    from underlay.cli.terminal import Terminal
    from underlay.strategies.evaluate import evaluate, evaluation_report

    with Terminal(quiet=quiet) as terminal, tempfile.TemporaryDirectory(prefix="underlay-") as cache:
        return evaluation_report(bundle, evaluate(bundle, data, cache=Path(cache), listener=terminal))
