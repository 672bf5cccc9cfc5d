"""The default trunk follows the data: which, why, where that is kept, and that a resumed run asks no more."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.strategies.conftest import tiny

from underlay.core import Event
from underlay.data import open_table
from underlay.modalities import MODALITIES
from underlay.strategies import Recipe, fine_tune, prepare
from underlay.strategies.assembly import assemble
from underlay.strategies.listening import Say
from underlay.strategies.suited import suited

AUTO = ("model.trunk=auto", "model.options={stages: [[1, 8], [1, 16]], width: 16, groups: 4}", "data.suspects=false")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """200 digits as PNG files in a column of bytes."""
    path = tmp_path_factory.mktemp("digits") / "digits.parquet"
    pq.write_table(open_table("sample:digits").arrow.slice(0, 200), path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Forty coloured pictures, 20 pixels a side."""
    pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    rng, cells = np.random.default_rng(0), []
    for _ in range(40):
        file = io.BytesIO()
        pillow.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(file, "PNG")
        cells.append(file.getvalue())
    path = tmp_path_factory.mktemp("photos") / "photos.parquet"
    pq.write_table(pa.table({"photo": cells, "label": ["a", "b"] * 20}), path)
    return path


def chosen(source: Path, *settings: str, cache: Path):
    events: list[Event] = []
    recipe, say = Recipe.load(overrides=settings), Say(events.append)
    data = prepare.read(str(source), recipe, cache=cache, say=say)
    assembly = assemble(recipe, data.schema, suited(data, recipe, say=say))
    return assembly, [event.text for event in events if event.text.startswith("trunk: ")]


def test_small_grey_pictures_stand_on_a_small_trunk_and_coloured_ones_on_the_trained(digits, photos, tmp_path):
    assembly, said = chosen(digits, cache=tmp_path)
    assert assembly.name == "resnet"
    assert said == [f"trunk: resnet, because {assembly.reasons['image']}; --trunk names another"]
    assert "grey" in said[0]
    assembly, said = chosen(photos, cache=tmp_path)
    assert assembly.name == MODALITIES["image.v1"].trunk
    assert "in colour" in said[0]


def test_a_trunk_that_is_named_is_not_asked_about(digits, tmp_path):
    for setting in ("model.trunk=transformer", "model.branches={image: transformer}"):
        assembly, said = chosen(digits, setting, cache=tmp_path)
        assert assembly.name == "transformer"
        assert not said
        assert not assembly.reasons


def test_a_modality_without_an_opinion_has_its_default(snippets, tmp_path):
    assembly, said = chosen(snippets, cache=tmp_path)
    assert assembly.name == MODALITIES["text.v1"].trunk
    assert not said


def test_each_of_several_kinds_is_asked_for_itself(digits, tmp_path):
    table = pq.read_table(digits)
    path = tmp_path / "both.parquet"
    pq.write_table(table.append_column("size", pa.array(np.arange(200.0))), path)
    assembly, said = chosen(path, "data.columns={image: image, size: table}", cache=tmp_path)
    assert assembly.name == "resnet + tabular"
    assert len(said) == 1
    assert list(assembly.reasons) == ["image"]
    joint, said = chosen(path, "data.columns={image: image, size: table}", "model.fusion=joint", cache=tmp_path)
    assert joint.name == "transformer"
    assert not said


def test_what_was_chosen_and_why_stands_in_the_recipe_and_the_bundle_also_after_a_stop(digits, tmp_path):
    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 3:
            raise KeyboardInterrupt

    recipe = tiny(*AUTO, "train.epochs=1")
    with pytest.raises(KeyboardInterrupt):
        fine_tune(str(digits), recipe=recipe, out=tmp_path / "cut", listener=stop)
    said: list[Event] = []
    cut = fine_tune(str(digits), recipe=recipe, out=tmp_path / "cut", resume=True, listener=said.append)
    assert not [event for event in said if event.text.startswith("trunk: ")], "a resumed run reads its recipe"
    whole = fine_tune(str(digits), recipe=recipe, out=tmp_path / "whole")
    for tuned in (cut, whole):
        assert tuned.recipe.model.trunk == "resnet"
        provenance = json.loads((tuned.bundle.path / "provenance.json").read_text(encoding="utf-8"))
        assert provenance["backbone"]["name"] == "resnet"
        assert "grey" in provenance["backbone"]["why"]["image"]
        facts = {fact.name: fact.value for group in tuned.report.run for fact in group.facts}
        assert "grey" in facts["why, of image"]
    assert (cut.bundle.path / "model.safetensors").read_bytes() == (
        whole.bundle.path / "model.safetensors"
    ).read_bytes()
