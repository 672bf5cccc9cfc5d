"""Measurements as lines of JSON: each cell once, with everything needed to repeat or doubt it."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent
DRAFTS = ROOT / "build" / "benchmarks" / "development"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""Instructions that decide the speed of a matrix product."""
PACKAGES = ("underlay", "torch", "transformers", "tokenizers", "scikit-learn", "numpy", "accelerate")


@dataclass(frozen=True)
class Results:
    """One result file, appended to; a cell that is there is not measured again.

    Cells marked `development` (fewer rows, changed recipes, measured on validation rows) are kept in a file of their
    own that is not committed.

    Args:
        name: Stem of the file.
        folder: Of the claimed figures.
        drafts: Of the development cells.
    """

    name: str
    folder: Path = RESULTS
    drafts: Path = DRAFTS

    def path(self, cell: Mapping[str, Any]) -> Path:
        """The file that holds such a cell."""
        return (self.drafts if "development" in cell else self.folder) / f"{self.name}.jsonl"

    def find(self, benchmark: str, cell: Mapping[str, Any]) -> dict[str, Any] | None:
        """The newest record of this cell."""
        entries = read_lines(self.path(cell))
        found = [entry for entry in entries if entry["benchmark"] == benchmark and entry["cell"] == dict(cell)]
        return found[-1] if found else None

    def append(self, benchmark: str, cell: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Write one line and sync it, so that a killed benchmark loses nothing it has finished.

        Args:
            benchmark: Row of PERFORMANCE.md and variant: `P8-full`.
            cell: What was measured: seed, fold, pair, digest of the recipe, row limits.
            values: The figures.
        """
        entry = {
            "benchmark": benchmark,
            "cell": dict(cell),
            "values": dict(values),
            "command": command(),
            "machine": machine(),
            "versions": versions(),
            **commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        path = self.path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_unfinished_line(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return entry


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every record of a file, oldest first; a last line that was cut off is passed over."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line.strip()]


def _drop_unfinished_line(path: Path) -> None:
    """What a killed writer left behind its last whole line."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def read_all(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Every claimed record of every file, by date."""
    entries = [entry for path in sorted(folder.glob("*.jsonl")) for entry in read_lines(path)]
    return sorted(entries, key=lambda entry: str(entry["date"]))


def command() -> str:
    """The command that runs, without this machine's paths."""
    spec = sys.modules["__main__"].__spec__  # None where a file is run and no module
    name = f"-m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name
    return " ".join(["python", name, *sys.argv[1:]])


def machine() -> dict[str, Any]:
    """What the speed depends on; `load` is read now, the rest once."""
    return {**_machine(), "load": round(os.getloadavg()[0], 2)}


@cache
def _machine() -> dict[str, Any]:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    flags = set(facts.get("flags", "").split())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": facts.get("model name", platform.processor()),
        "cores": usable,
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
    }


@cache
def versions() -> dict[str, str]:
    """Of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """The commit, and whether the sources differ from it."""
    try:
        return {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--porcelain", "--", "src"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "changed": None}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
