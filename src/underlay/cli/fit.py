"""`underlay fit`: from a labelled file to a bundle."""

import os
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from underlay.cli.options import (
    DATA_HELP,
    Audios,
    Images,
    Json,
    Quiet,
    SeriesColumns,
    Tables,
    Targets,
    Texts,
    WordLists,
    input_columns,
)
from underlay.core import UsageError

if TYPE_CHECKING:
    from underlay.strategies.recipe import Recipe

MODEL, RUN = "Model", "Run"
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Preset(StrEnum):
    """How much time to spend."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Place(StrEnum):
    """Where a run happens."""

    LOCAL = "local"
    TORCHRUN = "torchrun"
    RAY = "ray"


def fit(
    data: Annotated[str, typer.Argument(help=DATA_HELP, metavar="DATA")] = "",
    target: Targets = None,
    text: Texts = None,
    words: WordLists = None,
    table: Tables = None,
    image: Images = None,
    audio: Audios = None,
    series: SeriesColumns = None,
    events: Annotated[
        list[str] | None,
        typer.Option(help="Column of what happened, in order; without --target the next item is learned."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows belong together: a user, a customer.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times: later rows are for the test.")] = None,
    test: Annotated[str | None, typer.Option(help="Measure on this data instead of a part of DATA.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; NAME-bundle if not given.")] = None,
    preset: Annotated[Preset | None, typer.Option(help="How much time to spend.", rich_help_panel=MODEL)] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file of settings.", rich_help_panel=MODEL)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; repeat.", rich_help_panel=MODEL),
    ] = None,
    trunk: Annotated[
        str | None,
        typer.Option(help="Pretrained trunk by name, a folder, or hf:NAME.", rich_help_panel=MODEL),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random number.", rich_help_panel=MODEL)] = None,
    time_limit: Annotated[
        str | None, typer.Option(help="Stop training after 90s, 10m or 2h.", rich_help_panel=MODEL)
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="Show every setting with its value and stop.", rich_help_panel=MODEL)
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.", rich_help_panel=RUN)] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier bundle.", rich_help_panel=RUN)] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop on a warning of the data checks.", rich_help_panel=RUN)
    ] = False,
    on: Annotated[Place, typer.Option(help="Where to run.", rich_help_panel=RUN)] = Place.LOCAL,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a model on labelled data, measure it, and write it as a bundle."""
    modalities = {
        "text": text,
        "words": words,
        "table": table,
        "image": image,
        "audio": audio,
        "series": series,
        "events": events,
    }
    flags = {
        "seed": seed,
        "data.target": target,
        "data.columns": input_columns(modalities) or None,
        "data.group": group,
        "data.time": time,
        "data.strict": strict or None,
        "model.trunk": trunk,
        "train.time_limit": None if time_limit is None else seconds(time_limit),
    }
    chosen = _recipe(recipe, preset, set_ or [], flags)
    if print_recipe:
        typer.echo(chosen.to_yaml(), nl=False)
        return
    if not data:
        raise UsageError(
            "there is no data to learn from", "underlay fit DATA, or try `underlay fit sample:movie-snippets`"
        )
    if resume and force:
        raise UsageError("--resume keeps what --force would replace", "give one of them")
    if on is Place.RAY:
        raise UsageError("--on ray is not in this version", "--on torchrun uses every device of this machine")
    if on is Place.TORCHRUN:
        _relaunch()
    _run(data, chosen, out=out or default_folder(data), test=test, resume=resume, force=force, json=json, quiet=quiet)


def _run(
    data: str, recipe: "Recipe", *, out: Path, test: str | None, resume: bool, force: bool, json: bool, quiet: bool
) -> None:
    from underlay.cli.outcome import show, summary
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.strategies import fine_tune

    main = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started, one speaks
    with Terminal(quiet=quiet or not main) as terminal:
        tuned = fine_tune(data, recipe=recipe, out=out, test=test, resume=resume, force=force, listener=terminal)
    if not main:
        return
    if json:
        put_json(summary(tuned))
        return
    if not quiet:
        show(tuned)
    typer.echo(tuned.bundle.path)


def _relaunch() -> NoReturn:
    """Run the same command in several processes of this machine: one a GPU, or two on the CPU."""
    import torch

    from underlay.train import torchrun_command

    words = [word for word in sys.argv[1:] if word != "--on=torchrun"]
    if "--on" in words:
        at = words.index("--on")
        del words[at : at + 2]
    command = torchrun_command(words, processes=max(2, torch.cuda.device_count()))
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - the same program, several times


def _recipe(file: Path | None, preset: Preset | None, overrides: list[str], flags: Mapping[str, Any]) -> "Recipe":
    """The recipe with the flags that were given on top; all problems of both are found together."""
    from underlay.strategies.recipe import Recipe

    given = [f"{key}={dumps(value, ensure_ascii=False)}" for key, value in flags.items() if value is not None]
    return Recipe.load(file, preset=preset.value if preset else None, overrides=[*overrides, *given])


def seconds(text: str) -> float:
    """A time limit in seconds.

    >>> seconds("10m"), seconds("90")
    (600.0, 90.0)

    Raises:
        UsageError: It is not a number with s, m or h.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not found or float(found[1]) == 0:
        raise UsageError(f"--time-limit {text!r} is not a time", "write 90s, 10m or 2h")
    return float(found[1]) * UNITS[found[2]]


def default_folder(data: str) -> Path:
    """Where the bundle goes without `--out`: named after the data, in the current folder.

    >>> default_folder("data/reviews.csv.gz"), default_folder("sample:tweets")
    (PosixPath('reviews-bundle'), PosixPath('tweets-bundle'))
    """
    name = Path(data.rpartition(":")[2]).name.partition(".")[0]
    return Path(f"{name or 'underlay'}-bundle")
