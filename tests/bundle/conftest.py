"""Bundles to break."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from underlay.bundle import seal


def _load() -> ModuleType:
    path = Path(__file__).with_name("tiny.py")
    spec = importlib.util.spec_from_file_location("tiny_bundle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("tiny_bundle", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes small bundles without PyTorch."""
    return _load()


@pytest.fixture(scope="session")
def sealed(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle; nobody may change it."""
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    seal(folder, tiny.contents())
    return folder


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Callable[[], Path]:
    """Gives a fresh copy of the small bundle each time."""
    made = iter(range(10_000))

    def fresh() -> Path:
        return Path(shutil.copytree(sealed, tmp_path / f"bundle-{next(made)}"))

    return fresh
