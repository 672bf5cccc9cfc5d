"""`make bench`: every benchmark in turn, what is measured already left alone, what has no data skipped and said."""

import argparse
from collections.abc import Callable, Mapping

from benchmarks import (
    audio,
    chinese,
    compress,
    events,
    families,
    few_shot,
    flop_rate,
    image,
    memory,
    page,
    presets,
    quality,
    series,
    serving,
    several,
    small_rivals,
    speed_vs_trainer,
    tagging,
)
from benchmarks.command import CommandFailed
from benchmarks.datasets import DataAbsent

SCRIPTS: Mapping[str, Callable[[list[str]], None]] = {
    "flop_rate": flop_rate.main,
    "few_shot": few_shot.main,
    "presets": presets.main,
    "families": families.main,
    "chinese": chinese.main,
    "compress": compress.main,
    "series": series.main,
    "serving": serving.main,
    "events": events.main,
    "speed_vs_trainer": speed_vs_trainer.main,
    "audio": audio.main,
    "image": image.main,
    "several": several.main,
    "memory": memory.main,
    "small_rivals": small_rivals.main,
    "tagging": tagging.main,
    "quality": quality.main,
}
"""In the order of their length: minutes first, hours last."""


def main(words: list[str] | None = None) -> None:
    """Run them, write the page, and end with 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scripts", nargs="*", help=f"of {', '.join(SCRIPTS)}; all if none is named")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    options = parser.parse_args(words)
    unknown = set(options.scripts) - set(SCRIPTS)
    if unknown:
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(SCRIPTS)}")
    if options.list:
        print("\n".join(SCRIPTS))
        return
    outcome: dict[str, str] = {}
    for name in options.scripts or SCRIPTS:
        try:
            SCRIPTS[name]([])
            outcome[name] = "ran"
        except DataAbsent as absent:
            outcome[name] = f"skipped: {absent}"
        except (CommandFailed, RuntimeError) as failure:
            outcome[name] = f"failed: {failure}"
        print(f"{name}: {outcome[name]}", flush=True)
    page.main()
    print("\n".join(f"{name:<18} {said.splitlines()[0]}" for name, said in outcome.items()))
    if any(said.startswith("failed") for said in outcome.values()):
        raise SystemExit(1)
