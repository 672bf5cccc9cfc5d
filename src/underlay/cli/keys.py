"""`underlay keys`: who may ask a server."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from underlay.cli.options import Json
from underlay.cli.serve import KeyFile

app = typer.Typer(help="Make, list and revoke the keys that a server admits.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Whose key it is, for people.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="predict|feedback|review|admin",
            help="What it opens: admin reads /metrics; repeat for several.",
        ),
    ] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires; without it, it never does.")] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/s|N/min|N/h", help="How often it may ask; without it as the server says.")
    ] = None,
    daily: Annotated[
        int | None, typer.Option(min=1, help="Requests a day, which begins at midnight UTC; without it as above.")
    ] = None,
    keys: KeyFile = None,
    json: Json = False,
) -> None:
    """Make a key and show it this once; only its digest is kept."""
    from underlay.cli.streams import put_json
    from underlay.serve.allowances import parse_rate
    from underlay.serve.keys import create as make
    from underlay.serve.keys import default_path

    path = keys or default_path()
    pace = None if rate is None else parse_rate(rate)
    text, key = make(path, name=name, scopes=scope or ["predict"], days=days, rate=pace, daily=daily)
    if json:
        put_json({"key": text, "id": key.id, "scopes": list(key.scopes), "expires": key.expires})
        return
    typer.echo(f"{key.id} ({', '.join(key.scopes)}) is kept in {path}; the key is shown this once:", err=True)
    typer.echo(text)


@app.command(name="list")
def list_keys(keys: KeyFile = None, json: Json = False) -> None:
    """Show what is kept of every key."""
    import time

    from underlay.cli.streams import put_json, results
    from underlay.cli.tables import table
    from underlay.serve.keys import default_path, read_keys

    found = read_keys(keys or default_path())
    now = time.time()
    if json:
        kept = ("id", "name", "scopes", "created", "expires", "revoked", "rate", "daily")
        put_json(
            {"keys": [{field: getattr(key, field) for field in kept} | {"valid": key.valid(now)} for key in found]}
        )
        return
    rows = [
        [key.id, _line(key.name), ", ".join(key.scopes), _day(key.created), _day(key.expires), _pace(key.rate),
         "" if key.daily is None else f"{key.daily:,}",
         "valid" if key.valid(now) else "revoked" if key.revoked else "expired"]
        for key in found
    ]  # fmt: skip
    results().print(table("", ["id", "name", "scopes", "created", "expires", "rate", "daily", "state"], rows))


@app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="As `underlay keys list` shows it.")],
    keys: KeyFile = None,
) -> None:
    """Close a key for good; a running server refuses it within a second."""
    from underlay.serve.keys import default_path
    from underlay.serve.keys import revoke as close

    key = close(keys or default_path(), identity)
    typer.echo(f"{key.id} ({key.name}) is revoked")


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _pace(rate: float | None) -> str:
    """Of the units in which a rate is given, the one with a number of at least 1."""
    if rate is None:
        return ""
    return f"{rate:g}/s" if rate >= 1 else f"{rate * 60:g}/min" if rate * 60 >= 1 else f"{rate * 3600:g}/h"


def _line(name: str) -> str:
    """A name as one line, whatever an older version let in."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)
