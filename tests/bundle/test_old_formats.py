"""Bundles of every format that was ever released load and answer as they did.

`python tests/bundle/tiny.py tests/bundle/format-N` makes the one of the present format, once, when it is released.
"""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from underlay.bundle import open_bundle, verify
from underlay.bundle.layout import FORMAT

OLD = sorted(Path(__file__).parent.glob("format-*"))


def test_there_is_one_of_each_format() -> None:
    assert [folder.name for folder in OLD] == [f"format-{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.row("B01")
@pytest.mark.parametrize("folder", OLD, ids=lambda folder: folder.name)
def test_an_old_bundle_loads_and_answers_as_it_did(folder: Path, tiny: ModuleType, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "bundle")  # a checkout may share its files by hard links
    assert verify(copied).golden.rows >= 8
    assert open_bundle(copied).predict(["a quiet wonderful film"]) in (["bad"], ["good"])
