"""What the package imports is what it declares, and the base install stays small."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=;]", requirement)[0]) for requirement in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Top-level names that any file of the package imports."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"underlay"}


def test_the_base_install_has_at_most_14_dependencies_and_no_torch() -> None:
    base = names(PROJECT["dependencies"])
    assert len(base) <= 14
    assert "torch" not in base


def test_every_import_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    parts = ("train", "track", "hf", "image", "audio", "onnx", "redact", "serve", "postgresql", "ray")
    declared = names(PROJECT["dependencies"]).union(*(names(extras[part]) for part in parts))
    # Where the extra `track` is not installed, its one package with another name than its module is not known.
    known = {"mlflow": ["mlflow-skinny"], **packages_distributions()}
    undeclared = {
        module for module in imported() if not {normal(package) for package in known.get(module, [module])} & declared
    }
    assert not undeclared


def test_every_dependency_is_pinned_in_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    wanted = names(PROJECT["dependencies"]).union(*map(names, PROJECT["optional-dependencies"].values()))
    assert wanted - {normal(name) for name in pins} == {"underlay"}
    assert pins["torch"] == "2.13.0"
    assert not [line for line in lines if "@" in line or "://" in line or "+" in line]
