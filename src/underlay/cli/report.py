"""`underlay report`: one HTML file that shows what a bundle does, how sure that is, and where it fails."""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Quiet


def report(
    bundle: BundleFolder,
    data: Annotated[str | None, typer.Option(metavar="DATA", help=f"Measure on this data instead. {DATA_HELP}")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write; BUNDLE.html if not given.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write the report of a bundle as one HTML file that needs no network."""
    from underlay.cli.terminal import Terminal
    from underlay.core import Event
    from underlay.core.durable import write_file
    from underlay.estimator import load

    with Terminal(quiet=quiet) as terminal:
        if data is not None:
            terminal(Event("phase", f"measuring {bundle} on {data}", {}))
        page = load(bundle).report(data)
    path = html or bundle.with_name(f"{bundle.name}.html")
    write_file(path, page.encode("utf-8"))
    typer.echo(path)
