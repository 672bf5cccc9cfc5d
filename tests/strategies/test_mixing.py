"""Runs that mix rows: resumed to the same weights, and refused where there is nothing to mix."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.strategies.conftest import tiny

from underlay.core import RecipeError
from underlay.data import open_table
from underlay.strategies import Recipe, fine_tune

QUICK = ("data.suspects=false", "train.early_stopping=0")
PICTURES = (
    "model.trunk=resnet",
    "model.options={stages: [[1, 8], [1, 16]], width: 16, groups: 4}",
    "train.epochs=3",
    "train.learning_rate=0.02",
    *QUICK,
)
BOTH = (*PICTURES, "train.mixup=0.2", "train.cutmix=1.0")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """200 digits as PNG files in a column of bytes."""
    path = tmp_path_factory.mktemp("digits") / "digits.parquet"
    pq.write_table(open_table("sample:digits").arrow.slice(0, 200), path)
    return path


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_run_that_mixes_pictures_and_was_stopped_ends_with_the_same_weights(digits, tmp_path):
    fine_tune(str(digits), recipe=tiny(*BOTH), out=tmp_path / "whole")

    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(str(digits), recipe=tiny(*BOTH), out=tmp_path / "cut", listener=stop)
    fine_tune(str(digits), recipe=tiny(*BOTH), out=tmp_path / "cut", resume=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    fine_tune(str(digits), recipe=tiny(*PICTURES), out=tmp_path / "plain")
    assert weights(tmp_path / "plain") != weights(tmp_path / "whole")


def test_texts_are_mixed_as_pictures_are(snippets, tmp_path):
    mixed = fine_tune(str(snippets), recipe=tiny("train.mixup=0.4", "train.epochs=4", *QUICK), out=tmp_path / "b")
    assert mixed.recipe.train.mixup == 0.4
    assert mixed.bundle.metrics["label"]["accuracy"]["value"] > 0.3
    assert "epoch" in mixed.bundle.history[-1]


def test_rectangles_are_not_cut_out_of_sentences(snippets, tmp_path):
    with pytest.raises(RecipeError, match=r"convolution reads a sequence.*model.trunk: resnet"):
        fine_tune(str(snippets), recipe=tiny("train.cutmix=1.0", *QUICK), out=tmp_path / "b")


def test_nor_out_of_what_several_trunks_have_read(digits, tmp_path):
    table = pq.read_table(digits)
    path = tmp_path / "both.parquet"
    pq.write_table(table.append_column("words", pa.array([f"a picture number {row}" for row in range(200)])), path)
    recipe = tiny(
        "model.trunk=auto",
        "model.options={}",
        "model.branches={image: resnet, text: convolution}",
        "data.columns={image: image, words: text}",
        "train.cutmix=1.0",
        *QUICK,
    )
    with pytest.raises(RecipeError, match="joined after they have read"):
        fine_tune(str(path), recipe=recipe, out=tmp_path / "b")


def test_where_nothing_learns_below_the_heads_nothing_is_mixed(tmp_path):
    recipe = tiny("model.trunk=minirocket", "model.options={}", "train.mixup=0.2", *QUICK)
    with pytest.raises(RecipeError, match="minirocket has nothing to learn"):
        fine_tune("sample:italy-power", recipe=recipe, out=tmp_path / "b")


LOG = "data.events={id: customer, time: time, item: item}"


@pytest.mark.parametrize(
    ("source", "more", "task"), [("sample:orders", (), "tagging"), ("sample:shopping", (LOG,), "next-item")]
)
def test_rows_with_a_label_at_every_position_are_not_mixed(source, more, task, tmp_path):
    recipe = Recipe.load(overrides=["train.mixup=0.2", *QUICK, *more])
    with pytest.raises(RecipeError, match=rf"train.mixup makes one row of two.*\({task}\) belong to positions"):
        fine_tune(source, recipe=recipe, out=tmp_path / "b")


@pytest.mark.parametrize("setting", ["train.mixup=-1", "train.cutmix=1000"])
def test_impossible_alphas_are_refused_by_name(setting):
    with pytest.raises(RecipeError, match=setting.partition("=")[0]):
        tiny(setting)
