"""An environment for rivals under `build/`: their packages beside those of the running one, whose PyTorch stays."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.datasets import WORK
from benchmarks.record import ROOT

PACKAGES = ("openvino", "nncf", "ctranslate2", "model2vec[distill]")
FOLDER = WORK / "small_rivals" / "venv"


def environment(*, again: bool = False) -> Path:
    """The Python of the environment, made if it is not there.

    The running environment is put on its path first, so that pip finds torch, transformers and NumPy installed and
    fetches none of them; `constraints.txt` holds all versions that both need.

    Raises:
        RuntimeError: pip failed, or another torch came along.
    """
    python, done = FOLDER / "bin" / "python", FOLDER / "complete"
    if done.exists() and not again:
        return python
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    own = [sysconfig.get_path("purelib"), str(ROOT / "src")]
    Path(purelib, "running.pth").write_text("\n".join(own) + "\n", encoding="utf-8")
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), *PACKAGES]
    found = subprocess.run(install, check=False, capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"pip could not install the rivals: {found.stderr[-1500:]}")
    where = subprocess.run(
        [python, "-c", "import torch; print(torch.__file__)"], check=True, capture_output=True, text=True
    )
    if not Path(where.stdout.strip()).is_relative_to(own[0]):
        raise RuntimeError(f"the rivals brought a torch of their own: {where.stdout.strip()}")
    done.touch()
    return python


def versions(python: Path) -> dict[str, str]:
    """Of the rivals."""
    names = [name.partition("[")[0] for name in PACKAGES]
    code = f"import json, importlib.metadata as m; print(json.dumps({{name: m.version(name) for name in {names!r}}}))"
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    return dict(json.loads(said))
