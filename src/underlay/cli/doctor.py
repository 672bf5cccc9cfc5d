"""`underlay doctor`: what this machine has."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from underlay.cli.options import Json

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
"""What decides how fast arithmetic is and which precisions pay."""

FOR_DEVELOPERS = ("test", "bench", "docs", "dev")
"""Extras that no user of a model needs."""


def doctor(json: Json = False) -> None:
    """Show what this machine has: cores, memory, disk, GPU, extras, versions."""
    from underlay.cli.streams import put_json
    from underlay.cli.tables import put_table

    found = examine()
    if json:
        put_json(found)
        return
    for title, facts in found.items():
        put_table(title, ["", ""], [(name.replace("_", " "), _said(value)) for name, value in facts.items()])


def examine() -> dict[str, dict[str, Any]]:
    """Facts by group, JSON data."""
    return {"machine": _machine(), "accelerator": _accelerator(), "extras": _extras(), "versions": _versions()}


def _machine() -> dict[str, Any]:
    from underlay.core.wheels import cache_folder

    disk = shutil.disk_usage(Path.cwd())
    cache = cache_folder()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": usable_cores(),
        "instruction_sets": _instruction_sets(),
        "memory_GiB": _gib(_memory()),
        "disk_free_GiB": _gib(disk.free),
        "cache": str(cache),
        "offline": os.environ.get("UNDERLAY_OFFLINE", "") not in ("", "0"),
    }


def usable_cores() -> float:
    """Cores this process may use: its affinity, and the quota of its container if that is lower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words("/sys/fs/cgroup/cpu.max") or _words(
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"
    )
    if len(quota) == 2 and all(word.isdigit() for word in quota):
        return min(cores, round(int(quota[0]) / int(quota[1]), 1))
    return cores


def _memory() -> int:
    """Bytes this process may use: the machine's, or its container's limit if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _words("/sys/fs/cgroup/memory.max") or _words("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    return min([physical, *(int(word) for word in limit if word.isdigit())])


def _words(*paths: str) -> list[str]:
    """The words of small system files; none where a file is missing."""
    try:
        return [word for path in paths for word in Path(path).read_text(encoding="utf-8").split()]
    except OSError:
        return []


def _instruction_sets() -> list[str]:
    flags = set(_words("/proc/cpuinfo"))
    return [name for name in INSTRUCTION_SETS if name in flags]


def _accelerator() -> dict[str, Any]:
    try:
        import torch
    except ModuleNotFoundError:
        return {"torch": "not installed: pip install 'underlay[train]'"}
    facts: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    if not torch.cuda.is_available():
        return {**facts, "gpu": "none; training runs on the CPU"}
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        facts[f"gpu_{number}"] = f"{card.name}, {_gib(card.total_memory)} GiB"
    return facts


def _extras() -> dict[str, Any]:
    """Each extra and whether it is complete, or what it lacks."""
    missing: dict[str, list[str]] = {}
    for line in requires("underlay") or []:
        requirement, _, condition = line.partition(";")
        if "extra ==" not in condition or requirement.startswith("underlay["):
            continue
        name = condition.split("extra ==")[1].strip().strip("\"'")
        if name in FOR_DEVELOPERS:
            continue
        lacking = missing.setdefault(name, [])
        package = _package(requirement)
        if _version(package) is None:
            lacking.append(package)
    return {name: f"missing {', '.join(lacking)}" if lacking else "installed" for name, lacking in missing.items()}


def _versions() -> dict[str, Any]:
    base = [_package(line) for line in requires("underlay") or [] if "extra ==" not in line]
    return {
        "underlay": _version("underlay"),
        "python": sys.version.split()[0],
        **{package: _version(package) for package in sorted(base)},
    }


def _package(requirement: str) -> str:
    """The name in front of a requirement's bounds."""
    return requirement.strip().split(">")[0].split("=")[0].split("[")[0].split("<")[0].strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gib(size: int) -> float:
    return round(size / 2**30, 1)


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none that matter here"
    return f"{value:g}" if isinstance(value, float) else value
