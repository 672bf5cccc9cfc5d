"""A student without layers, as `underlay distil` makes one: its table in eight bits, its answers near."""

import json

import numpy as np
import pytest
from tests.compress import bundles

from underlay.bundle import Contents, open_bundle, seal
from underlay.bundle.layout import EXPORT
from underlay.compress import export
from underlay.core import Column, Schema
from underlay.models import configure, resolve


@pytest.mark.parametrize("int8", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_bag_of_words_is_exported_and_small_in_eight_bits(int8, tmp_path):
    text = bundles.fitted("text.v1", vocabulary=400)
    config = configure(resolve("bag"), columns={"text": dict(text.describe())}, outputs={"label": 3})
    weights = {name: tensor.numpy() for name, tensor in bundles.perturbed(config).state_dict().items()}
    seal(
        tmp_path / "bundle",
        Contents(Schema((Column("text", "text"),), (bundles.LABEL,)), {"text": text}, config, weights),
    )
    found = export(tmp_path / "bundle", tmp_path / "out", int8=int8, seconds=0.02)
    assert found.parity.passed
    texts = {"text": ["film " * 28, "a quiet film", "story", "the film was very good and loud"]}
    was, now = (open_bundle(tmp_path / name).answer(texts).probabilities["label"] for name in ("bundle", "out"))
    np.testing.assert_allclose(now, was, rtol=0, atol=0.05 if int8 else 1e-5)
    if int8:
        assert found.eight_bits.operators == 1  # the table: nothing else of it is large
        assert json.loads((tmp_path / "out" / EXPORT).read_text())["precision"] == "int8"
