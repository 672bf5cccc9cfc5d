"""`underlay feedback`: what people said of a server's answers."""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json
from underlay.cli.state import ACTOR, AuditFolder, StatePlace

app = typer.Typer(help="Write the labels that a server was given as a file to learn from.", no_args_is_help=True)


@app.callback()
def feedback() -> None:
    """Keeps `export` a command of its own while it is the only one."""


@app.command()
def export(
    state: StatePlace,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .csv or .jsonl file that `underlay fit` reads.")],
    model: Annotated[str | None, typer.Option(help="Name of the model, where several have labels.")] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Add the columns prediction_id, labelled_by and labelled_at.")
    ] = False,
    audit: AuditFolder = None,
    json: Json = False,
) -> None:
    """Write every labelled row, redacted as it is kept, with the newest label of each target."""
    from dataclasses import asdict

    from underlay.cli.streams import progress, put_json
    from underlay.serve.state import Store, export_feedback, place_of

    with Store(place_of(state, audit)) as store:
        done = export_feedback(store, out, model=model, source=source, actor=ACTOR)
    if json:
        put_json({"out": str(out), **asdict(done)})
        return
    typer.echo(f"{out}: {done.rows} rows; labels: {', '.join(f'{name} {n}' for name, n in done.labels.items())}")
    if done.left_out:
        progress().print(
            f"{done.left_out} labelled rows are left out: of their input a digest alone was kept", markup=False
        )
