"""No room forks: a forked process shares locks and threads it does not know of."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "underlay"
FORBIDDEN = {"multiprocessing", "concurrent.futures.process", "pickle", "shelve", "joblib", "dill", "cloudpickle"}


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, node.module.partition(".")[0]}
    return found


@pytest.mark.row("F37")
def test_nothing_forks_and_nothing_pickles():
    guilty = {str(file.relative_to(SOURCE)): imported(file) & FORBIDDEN for file in SOURCE.rglob("*.py")}
    assert {file: names for file, names in guilty.items() if names} == {}
    assert not [file for file in SOURCE.rglob("*.py") if "os.fork" in file.read_text(encoding="utf-8")]
