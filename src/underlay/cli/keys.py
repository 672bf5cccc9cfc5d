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
    keys: KeyFile = None,
    json: Json = False,
) -> None:
    """Make a key and show it this once; only its digest is kept."""
    from underlay.cli.streams import put_json
    from underlay.serve.keys import create as make
    from underlay.serve.keys import default_path

    path = keys or default_path()
    text, key = make(path, name=name, scopes=scope or ["predict"], days=days)
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
        kept = ("id", "name", "scopes", "created", "expires", "revoked")
        put_json(
            {"keys": [{field: getattr(key, field) for field in kept} | {"valid": key.valid(now)} for key in found]}
        )
        return
    rows = [
        [key.id, key.name, ", ".join(key.scopes), _day(key.created), _day(key.expires),
         "valid" if key.valid(now) else "revoked" if key.revoked else "expired"]
        for key in found
    ]  # fmt: skip
    results().print(table("", ["id", "name", "scopes", "created", "expires", "state"], rows))


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
