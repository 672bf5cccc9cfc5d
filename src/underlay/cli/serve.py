"""`underlay serve`: bundles that answer over HTTP."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json
from underlay.core import UsageError


class Place(StrEnum):
    """What answers."""

    LOCAL = "local"
    RAY = "ray"


KeyFile = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE", help="File of keys; without it underlay/keys.json among your settings."),
]


def serve(
    bundles: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME[:VERSION]=]BUNDLE...",
            help="Folders that `underlay fit` or `export` wrote; the first is asked by whoever names none.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    admin_port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port of /metrics and of `underlay admin`, on 127.0.0.1 only; 0 takes a free one."
        ),
    ] = 8001,
    keys: KeyFile = None,
    keyless: Annotated[
        bool, typer.Option("--open", help="Ask for no key in the first ten minutes, on this machine only.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Name of a single model; without it the folder's.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", metavar="NAME=NUMBER", help="Move a limit; repeat for several.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|URL",
            help="Keep every answer there before it is given: a folder, or postgresql+psycopg://USER@HOST/DATABASE.",
        ),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the signing key and the checkpoints; without it the state's."),
    ] = None,
    inputs: Annotated[
        bool, typer.Option("--keep-inputs/--no-keep-inputs", help="Keep inputs, redacted, or only their digests.")
    ] = True,
    retain: Annotated[float, typer.Option("--retain-days", help="Days that an answer without a label is kept.")] = 30.0,
    review_below: Annotated[
        float, typer.Option(metavar="NUMBER", help="Answers less sure than this wait for a person; 0: none.")
    ] = 0.0,
    review_sample: Annotated[
        float, typer.Option(metavar="SHARE", help="Of the others this share waits all the same.")
    ] = 0.0,
    four_eyes: Annotated[bool, typer.Option("--four-eyes", help="What a key asked, another has to decide.")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM chain: answer in TLS alone; a renewed one is taken up.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key.")] = None,
    usage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Counts what keys asked today; without it beside the file of keys."),
    ] = None,
    aliases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keeps what `underlay admin` changes; without it aliases.json in a --state folder."
        ),
    ] = None,
    on: Annotated[Place, typer.Option("--on", help="What answers: this process, or replicas on a Ray cluster.")] = (
        Place.LOCAL
    ),
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT|auto", help="Ray cluster; without it one of this machine alone."),
    ] = None,
    replicas: Annotated[
        str | None,
        typer.Option(metavar="LEAST:MOST", help="Replicas on Ray; without it 2 to as many as there is room for."),
    ] = None,
    replica_cpus: Annotated[float, typer.Option(help="CPUs that a replica takes; below 1, several share one.")] = 1.0,
    calm_seconds: Annotated[
        float, typer.Option(help="Seconds that fewer replicas must have been enough before some go.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Answer over HTTP: /predict, the Open Inference Protocol, and figures for Prometheus; logs go to stderr."""
    import logging

    from underlay.serve.limits import Limits
    from underlay.serve.logs import JsonLine
    from underlay.serve.named import read_all
    from underlay.serve.running import Settings, Started, run

    def show(told: Started) -> None:
        if json:
            from dataclasses import asdict

            from underlay.cli.streams import put_json

            put_json(asdict(told))
            sys.stdout.flush()  # whoever started this in a pipe waits for it
        else:
            typer.echo(
                f"{told.name} ({told.version}) answers at {told.url}, {told.rate:,.0f} rows a second; docs at /docs"
            )
            for model, versions in told.versions.items():
                if len(told.versions) > 1 or len(versions) > 1:
                    typer.echo(f"  {told.url}/predict/{model}: {', '.join(versions)}")
            if told.stopped:
                typer.echo("all models are stopped; `underlay admin start` starts them")
            typer.echo(f"figures for Prometheus at {told.admin_url}/metrics")
            if keyless:
                typer.echo("no key is needed for ten minutes")

    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("underlay.serve").setLevel(logging.INFO)
    settings = Settings(
        read_all(bundles, name=name),
        host=host,
        port=port,
        admin_port=admin_port,
        keys=keys,
        keyless=keyless,
        limits=Limits().with_settings(limit or ()),
        state=state,
        audit=audit,
        keep_inputs=inputs,
        retain_days=retain,
        review_below=review_below,
        review_sample=review_sample,
        four_eyes=four_eyes,
        tls_cert=tls_cert,
        tls_key=tls_key,
        usage=usage,
        aliases=aliases,
    )
    if on is Place.LOCAL:
        if address is not None or replicas is not None:
            raise UsageError("--address and --replicas are of Ray", "add --on ray", code="on")
        run(settings, started=show)
        return
    from underlay.serve.ray.running import Fleet
    from underlay.serve.ray.running import run as run_on_ray

    run_on_ray(settings, Fleet(address, replicas, replica_cpus, calm_seconds), started=show)
