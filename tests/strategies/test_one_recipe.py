"""One recipe file trains on texts, pictures, recordings, series and tables: only the path of the data changes."""

from pathlib import Path

import pytest
from tests.strategies.conftest import start

from underlay.bundle import open_bundle
from underlay.data import open_table

pytest.importorskip("soundfile", reason="the extra audio is not installed")
from tests.modalities.sounds import write_classes

RECIPE = """
model:
  trunk: convolution
  options: {width: 32, depth: 1, kernels: [3, 5]}
train: {epochs: 2, mixup: 0.2, augment: 0.25, threads: 1, precision: fp32}
data: {suspects: false}
track: {tensorboard: false}
"""


def write_digits(folder: Path, count: int) -> Path:
    """Class folders of PNG files."""
    table = open_table("sample:digits")
    for row, (picture, label) in enumerate(zip(table.values("image"), table.values("label"), strict=True)):
        if row == count:
            break
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{row:04}.png").write_bytes(picture)
    return folder


@pytest.fixture(scope="module")
def sources(snippets, tmp_path_factory) -> dict[str, str]:
    """Data of every kind, as people have it."""
    place = tmp_path_factory.mktemp("sources")
    return {
        "text": str(snippets),
        "image": str(write_digits(place / "digits", 200)),
        "audio": str(write_classes(place / "sounds", 20)),
        "series": "sample:italy-power",
    }


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The one file."""
    path = tmp_path_factory.mktemp("recipe") / "mine.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.mark.parametrize("modality", ["text", "image", "audio", "series"])
def test_the_same_recipe_file_makes_a_bundle_of_every_kind_of_data(sources, recipe, modality, tmp_path):
    process = start("fit", sources[modality], "--recipe", str(recipe), "--out", "bundle", folder=tmp_path)
    said, _ = process.communicate(timeout=250)
    assert process.returncode == 0, said
    bundle = open_bundle(tmp_path / "bundle")
    assert [column.modality for column in bundle.schema.columns] == [modality]
    assert bundle.provenance["recipe"]["model"]["trunk"] == "convolution"
    assert bundle.metrics["label"]["n"] > 0
