"""How long a person waits before anything happens."""

import subprocess
import sys
import time

import pytest

RUNS = 8


def seconds(*arguments: str) -> float:
    """Wall clock of the fastest of several fresh processes: what else runs on the machine only adds."""
    taken = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def test_help_answers_within_700_ms() -> None:
    assert seconds("-m", "underlay", "--help") < 0.7


def test_import_underlay_takes_less_than_500_ms() -> None:
    assert seconds("-c", "import underlay") < 0.5


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"], ["data"]], ids=" ".join)
def test_help_loads_none_of_the_heavy_libraries(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from underlay.cli.main import run\n"
        f"run([*{command!r}, '--help'])\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'sklearn', 'pandas', 'tokenizers'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "LOADED []"
