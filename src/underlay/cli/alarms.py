"""`underlay alarms`: what Prometheus and Alertmanager are to read, from a bundle's own figures."""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json


def alarms(
    bundles: Annotated[list[str], typer.Argument(metavar="BUNDLE|NAME=BUNDLE", help="As they are served.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the three files.")],
    webhook: Annotated[str, typer.Option(metavar="URL", help="Is told of every alarm, and when it is over.")],
    watchdog: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Is told every minute that alarms get through; without it the webhook."),
    ] = None,
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where /metrics is.")] = "127.0.0.1:8001",
    latency: Annotated[
        float, typer.Option(metavar="SECONDS", help="Within which 99 of 100 requests are to be answered.")
    ] = 0.3,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    json: Json = False,
) -> None:
    """Write alarm rules, their receivers and a scrape configuration; bounds are what was measured on the bundles."""
    from underlay.cli.streams import put_json
    from underlay.serve.alarms import read_watched, rules_of, write
    from underlay.serve.named import read_all

    named = {one.name: one.folder for one in read_all(bundles)}
    watched = [read_watched(name, folder) for name, folder in named.items()]
    rules = rules_of(watched, latency=latency)
    seals = {one.name: one.seal for one in watched}
    paths = write(rules, out, webhook=webhook, watchdog=watchdog, server=server, seals=seals, force=force)
    if json:
        compared = [{"model": one.model, "target": one.target, "what": one.what} for one in rules.spreads]
        put_json(
            {"files": [str(path) for path in paths], "alarms": [one.name for one in rules.alarms], "compared": compared}
        )
        return
    typer.echo(
        f"{len(rules.alarms)} alarms; {len(rules.spreads)} figures are compared with what was measured", err=True
    )
    if not rules.spreads:
        typer.echo("these bundles have no figures of their answers, so no alarm compares them", err=True)
    for path in paths:
        typer.echo(str(path))
