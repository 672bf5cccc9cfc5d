"""Before the first step: what is set aside, when too little is left, and the precision of each run."""

import numpy as np
import pytest
import torch
from tests.strategies.conftest import tiny

from underlay.core import DataError, UsageError
from underlay.data import split
from underlay.strategies import fine_tune


@pytest.mark.row("D09")
def test_a_part_of_the_split_without_a_usable_text_is_refused_with_its_name(tmp_path):
    texts, labels = [f"row number {at} with words" for at in range(24)], ["a", "b"] * 12
    drawn = split(24, strategy="stratified", labels=np.array([0, 1] * 12), validation=0.1, test=0.0, seed=0)
    for row in drawn.validation:
        texts[row] = "  "
    with pytest.raises(DataError, match=r"none of the \d+ rows drawn for validation has a usable input"):
        fine_tune((texts, labels), recipe=tiny("data.split.test=0"), out=tmp_path / "bundle")


@pytest.mark.row("D09")
def test_a_few_rows_without_a_usable_text_are_set_aside_counted_and_said(tmp_path):
    texts, labels = [f"row number {at} with words" for at in range(60)], ["a", "b"] * 30
    texts[7] = texts[20] = " "
    said = []
    fitted = fine_tune((texts, labels), recipe=tiny(), out=tmp_path / "bundle", listener=said.append)
    assert any("2 rows set aside" in event.text for event in said if event.kind == "warning")
    assert sum(fitted.report.data.rows.values()) == 58


@pytest.mark.row("D09")
def test_more_than_half_without_a_usable_text_is_refused(tmp_path):
    texts = [f"row number {at}" if at % 3 == 0 else "" for at in range(60)]
    with pytest.raises(DataError, match="40 of 60 rows have no usable input") as refused:
        fine_tune((texts, ["a", "b"] * 30), recipe=tiny(), out=tmp_path / "bundle")
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("trunk", ["convolution", "recurrent"])
def test_runs_of_one_process_compute_in_a_precision_of_their_own(tmp_path, trunk):
    rows = [f"row number {at} with words" for at in range(60)], ["a", "b"] * 30
    options = "{width: 16, depth: 1}" if trunk == "recurrent" else "{width: 32, depth: 1, kernels: [3, 5]}"
    for at, precision in enumerate(("fp32", "bf16", "fp32")):
        recipe = tiny(f"train.precision={precision}", f"model.trunk={trunk}", f"model.options={options}")
        fitted = fine_tune(rows, recipe=recipe, out=tmp_path / str(at))
        assert fitted.recipe.train.precision == precision
    files = [(tmp_path / str(at) / "model.safetensors").read_bytes() for at in range(3)]
    assert files[0] == files[2] != files[1]


def test_a_precision_that_needs_a_gpu_says_so_where_there_is_none(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    rows = [f"row number {at} with words" for at in range(60)], ["a", "b"] * 30
    with pytest.raises(UsageError, match="fp16 and there is no GPU"):
        fine_tune(rows, recipe=tiny("train.precision=fp16"), out=tmp_path / "bundle")
