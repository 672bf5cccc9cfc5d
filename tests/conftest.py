"""What every test shares: no network by accident, no colours, one folder of cached samples."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

# A width and a look that do not depend on who runs the tests.
os.environ.update({"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"})
# Trackers and hubs stay quiet and offline whatever a test imports.
os.environ.update({"WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture
def underlay(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in its own process, in an empty folder; gives its output and exit code."""

    def run(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "underlay", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=280,
        )

    return run
