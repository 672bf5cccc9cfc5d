"""`underlay data`: what can be done with data before any training."""

import typer

from underlay.cli.data.check import check
from underlay.cli.data.sample import sample
from underlay.cli.data.split import split
from underlay.cli.data.weights import weights

app = typer.Typer(help="Check, split and fetch data.", no_args_is_help=False)

for command in (check, sample, split, weights):
    app.command()(command)


@app.callback(invoke_without_command=True)
def data(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
