"""The table of rooms holds: who may import whom, lazy imports included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "underlay"

EVERY_ROOM = {
    "core", "data", "modalities", "models", "adapters", "objectives", "bundle", "train", "evaluate", "explain",
    "compress", "monitor", "serve", "strategies",
}  # fmt: skip
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "data": {"core"},
    "modalities": {"core"},
    "models": {"core"},
    "adapters": {"core"},
    "objectives": {"core"},
    "bundle": {"core", "modalities", "models", "adapters"},
    "train": {"core", "objectives"},
    "evaluate": {"core", "modalities", "bundle", "objectives"},
    "explain": {"core", "bundle"},
    "compress": {"core", "modalities", "models", "bundle", "objectives", "train", "evaluate"},
    "monitor": {"core", "bundle"},
    "serve": {"core", "bundle", "monitor"},
    "strategies": EVERY_ROOM,
    "cli": EVERY_ROOM | {"estimator"},
    "estimator": {"core", "data", "strategies", "bundle", "evaluate"},
    "__init__": {"strategies", "bundle", "estimator"},
    "__main__": {"cli"},
}
TORCH_FREE = ("core", "data", "modalities", "bundle", "serve")
TORCH_BACKEND = PACKAGE / "bundle" / "torch_backend.py"
UNSAFE_READERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file with its line, but for those under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(child for statement in node.body for child in ast.walk(statement))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} is a relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "underlay" else [module]
            yield from ((node.lineno, name) for name in names)


def test_every_folder_of_the_package_is_a_room_of_the_table() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_the_rooms_it_may(path: Path) -> None:
    here = room(path)
    strangers = [
        f"{name_of(path)}:{line} imports {name}"
        for line, name in imports(path)
        if name.startswith("underlay.") and name.split(".")[1] not in MAY_IMPORT[here] | {here, "__version__"}
    ]
    assert not strangers


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "bundle"], ids=name_of)
def test_a_bundle_reaches_models_through_its_torch_backend_alone(path: Path) -> None:
    rooms = {name.split(".")[1] for _, name in imports(path) if name.startswith("underlay.")}
    assert path == TORCH_BACKEND or not rooms & {"models", "adapters"}


@pytest.mark.parametrize("path", [path for path in FILES if room(path) in TORCH_FREE], ids=name_of)
def test_rooms_that_serve_name_no_torch(path: Path) -> None:
    outside = {name.split(".")[0] for _, name in imports(path)}
    assert path == TORCH_BACKEND or not outside & {"torch", "accelerate", "transformers"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_reads_formats_that_can_run_code(path: Path) -> None:
    assert not {name.split(".")[0] for _, name in imports(path)} & UNSAFE_READERS


@pytest.mark.parametrize("path", [path for path in FILES if room(path) != "cli"], ids=name_of)
def test_library_code_neither_prints_nor_exits(path: Path) -> None:
    calls = [
        f"{name_of(path)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "exit", "quit", "sys.exit"}
    ]
    assert not calls


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_text_file_is_opened_with_its_encoding(path: Path) -> None:
    unsaid = [
        f"{name_of(path)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"read_text", "write_text"}
        and not any(keyword.arg == "encoding" for keyword in node.keywords)
    ]
    assert not unsaid


def test_no_file_is_longer_than_500_lines() -> None:
    assert not [name_of(path) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > 500]
