"""`underlay state`: what a server keeps, and how it goes."""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json

app = typer.Typer(help="Remove what a server kept: by age, or one answer by its id.", no_args_is_help=True)

StatePlace = Annotated[str, typer.Argument(metavar="STATE", help="What `underlay serve --state` was given.")]
AuditFolder = Annotated[
    Path | None, typer.Option("--audit", metavar="DIR", help="What `underlay serve --audit` was given.")
]
ACTOR = "command"
"""How the chain names whoever has the machine itself."""


@app.command()
def purge(
    state: StatePlace,
    older_than: Annotated[
        str, typer.Option(metavar="DAYS", help="Answers without a label go after so many days: 30 or 30d.")
    ] = "30d",
    labelled_older_than: Annotated[
        str, typer.Option(metavar="DAYS", help="Answers with a label go so many days after the newest one.")
    ] = "180d",
    audit: AuditFolder = None,
    json: Json = False,
) -> None:
    """Remove answers that have lived their time; the chain keeps that they were."""
    from underlay.serve.state import Store, place_of
    from underlay.serve.state import purge as remove

    place = place_of(state, audit)
    with Store(place) as store:
        gone = remove(
            store,
            days=_days(older_than, "--older-than"),
            labelled_days=_days(labelled_older_than, "--labelled-older-than"),
            actor=ACTOR,
        )
    _say(gone, json=json)


@app.command()
def erase(
    state: StatePlace,
    prediction: Annotated[
        str, typer.Argument(metavar="ID", help="Of an answer; without the number behind its dash, of its request.")
    ],
    audit: AuditFolder = None,
    json: Json = False,
) -> None:
    """Remove an answer with its input, its labels and what was stored for repeated requests; twice is as once."""
    from underlay.serve.state import Store, place_of
    from underlay.serve.state import erase as remove

    with Store(place_of(state, audit)) as store:
        gone = remove(store, prediction, actor=ACTOR)
    _say(gone, json=json)


def _say(gone: object, *, json: bool) -> None:
    from underlay.cli.streams import put_json

    found = vars(gone)
    if json:
        put_json(found)
    else:
        typer.echo(
            f"removed {found['predictions']} answers, {found['feedback']} labels of theirs and "
            f"{found['answers']} answers stored for repeated requests"
        )


def _days(text: str, option: str) -> float:
    """A number of days, with or without its `d`."""
    from underlay.core import UsageError

    try:
        return float(text.removesuffix("d"))
    except ValueError:
        raise UsageError(f"{option} cannot be {text!r:.40}", "give a number of days: 30d", code="days") from None
