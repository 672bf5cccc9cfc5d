"""The commands and what happens when one fails.

Command modules import nothing heavy at their top, so `underlay --help` answers at once.
"""

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from underlay.cli import alarms, compress, doctor, evaluate, export, fit, predict, redact, report, serve, verify
from underlay.cli.admin import app as admin
from underlay.cli.data import app as data
from underlay.cli.failures import Failure, Terminated, failure_of
from underlay.cli.feedback import app as feedback
from underlay.cli.keys import app as keys
from underlay.cli.review import app as review
from underlay.cli.state import app as state

DEBUG = "--debug works with every command: an error then shows its traceback."

app = typer.Typer(
    name="underlay",
    help="From a labelled file to a fine-tuned model you can trust in production.",
    epilog=DEBUG,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def underlay(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"underlay {version_of('underlay')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (fit, predict, evaluate, report, compress, export, verify, redact, serve, alarms, doctor):
    app.command(epilog=DEBUG)(getattr(command, command.__name__.rpartition(".")[2]))
app.add_typer(data, name="data")
app.add_typer(keys, name="keys")
app.add_typer(admin, name="admin")
app.add_typer(state, name="state")
app.add_typer(feedback, name="feedback")
app.add_typer(review, name="review")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code.

    Args:
        arguments: Those of the process, if None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the locale says, text is UTF-8
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    if debug:
        given.remove("--debug")
    else:
        # A warning of a library is for its developers; what a user should know comes as an event.
        warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(given, debug=debug))


def run(arguments: Sequence[str], *, debug: bool = False) -> int:
    """Run one command and give its exit code; an error becomes one line on stderr.

    Args:
        arguments: Without the name of the program.
        debug: Show the traceback of an error.
    """
    try:
        # Not `app(...)`: it would turn Ctrl-C and SIGTERM into an exit code without a word.
        command = typer.main.get_command(app)
        with command.make_context("underlay", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as done:
        sys.stdout.flush()
        return done.exit_code
    except BrokenPipeError:
        # Whoever read the output (`| head`) has enough: leave as other tools do, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last border: a user reads a line, not a stack
        failure = failure_of(error)
        if debug and failure.exit_code != 2:
            import traceback

            traceback.print_exc()
        _say(failure)
        return failure.exit_code


def _say(failure: Failure) -> None:
    print(failure.line, file=sys.stderr, flush=True)


def _terminate(*_: object) -> NoReturn:
    """Let every `finally` clean up before SIGTERM ends the process."""
    raise Terminated
