"""`underlay review`: what waits for a person."""

from typing import Annotated

import typer

from underlay.cli.options import Json
from underlay.cli.state import AuditFolder, StatePlace

app = typer.Typer(help="Show which of a server's answers wait for a person.", no_args_is_help=True)


@app.callback()
def review() -> None:
    """Keeps `list` a command of its own while it is the only one."""


@app.command(name="list")
def list_reviews(
    state: StatePlace,
    decided: Annotated[bool, typer.Option("--decided", help="Those that were decided, the newest first.")] = False,
    audit: AuditFolder = None,
    json: Json = False,
) -> None:
    """List the oldest items that wait; nothing of their inputs is shown."""
    import time

    from underlay.cli.streams import put_json, results
    from underlay.cli.tables import table
    from underlay.serve.state import list_items, place_of, read_only

    with read_only(place_of(state, audit)) as connection:
        items = list_items(connection, now=time.time_ns() // 1_000, decided=decided)
    if json:
        put_json({"items": items})
        return
    columns = ["item", "model", "reason", "since", "state"] + (["decided_by", "override"] if decided else [])
    rows = [[str(item.get(name, "")).partition(".")[0] for name in columns] for item in items]  # whole seconds
    results().print(table("", columns, rows))
