"""Reading, checking and answering need no PyTorch: serving installs without it."""

import subprocess
import sys
from pathlib import Path

ROOMS = ("core", "data", "modalities", "bundle", "serve")

BLOCK = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "accelerate", "transformers"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Refuse())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *arguments], capture_output=True, encoding="utf-8", timeout=120
    )


def test_every_module_of_the_light_rooms_imports_without_torch(checkout: Path) -> None:
    folder = checkout / "src" / "underlay"
    names = [
        path.relative_to(folder.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for room in ROOMS
        for path in sorted((folder / room).rglob("*.py"))
        if path.name != "torch_backend.py"
    ]
    assert len(names) > 30
    done = run("import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)
    assert done.returncode == 0, done.stderr


def test_a_bundle_is_sealed_verified_and_asked_without_torch(checkout: Path, tmp_path: Path) -> None:
    code = """
sys.path.insert(0, sys.argv[1])
import tiny
from underlay.bundle import open_bundle, seal, verify
seal(sys.argv[2], tiny.contents())
verify(sys.argv[2])
print(open_bundle(sys.argv[2]).predict(tiny.TEXTS[:3]))
assert not any(name.partition(".")[0] == "torch" for name in sys.modules)
"""
    done = run(code, str(checkout / "tests" / "bundle"), str(tmp_path / "bundle"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith("['")


def test_a_bundle_that_needs_torch_says_how_to_install_it(tmp_path: Path) -> None:
    code = """
from underlay.bundle import BACKENDS
from underlay.core import MissingExtra
try:
    BACKENDS["torch.v1"]({}, {})
except MissingExtra as error:
    print(error)
"""
    assert "pip install 'underlay[train]'" in run(code).stdout
