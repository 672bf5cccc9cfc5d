"""Chinese reviews: the English trunk says that it cannot read them, the character trunks read them."""

import numpy as np
import pytest
from tests.strategies.conftest import TINY, start

from underlay.core import Event
from underlay.data import open_table
from underlay.strategies import Recipe, fine_tune

ROWS = 300
SPARED = ("train.probe=false", "train.freeze=1", "data.suspects=false", "model.max_length=32", "train.batch_rows=64")
"""The English trunk is trained for a few steps only: what it says is what is looked at."""


@pytest.fixture(scope="module")
def reviews():
    """A few hundred reviews, both sides, of every length."""
    table = open_table("sample:zh-reviews")
    rows = list(range(0, len(table), len(table) // ROWS))
    return {"text": table.values("text", rows), "label": table.values("label", rows)}


@pytest.fixture(scope="module")
def characters(reviews, tmp_path_factory):
    """A character trunk trained on them, by its name."""
    done = {}

    def train(trunk):
        if trunk not in done:
            events: list[Event] = []
            options = "{width: 32, depth: 1, kernels: [3, 5]}" if trunk == "convolution" else "{width: 32, depth: 1}"
            settings = [*TINY, f"model.trunk={trunk}", f"model.options={options}", "data.suspects=false"]
            recipe = Recipe.load(overrides=[*settings, "train.epochs=6", "train.learning_rate=5e-3"])
            out = tmp_path_factory.mktemp(trunk) / "bundle"
            done[trunk] = fine_tune(reviews, recipe=recipe, out=out, listener=events.append), events
        return done[trunk]

    return train


def warnings_of(events):
    return [event.text for event in events if event.kind == "warning"]


def test_the_default_english_trunk_says_that_it_reads_chinese_badly_and_what_to_do(reviews, tmp_path):
    events: list[Event] = []
    few = {name: values[::3] for name, values in reviews.items()}
    recipe = Recipe.load(overrides=[*TINY[2:], *SPARED, "train.epochs=1"])
    fitted = fine_tune(few, recipe=recipe, out=tmp_path / "bundle", listener=events.append)
    assert fitted.recipe.model.trunk == "minilm"
    (said,) = [text for text in warnings_of(events) if "badly" in text]
    assert "column 'text'" in said
    assert "of the tokens are unknown to it" in said
    assert "--trunk convolution reads characters" in said
    assert any("badly" in line for line in fitted.report.notes), "the report says it too"
    assert fitted.bundle.predict(["很好看，非常喜欢"])[0] in ("negative", "positive")


@pytest.mark.parametrize("trunk", ["convolution", "recurrent"])
def test_a_character_trunk_learns_from_a_few_hundred_reviews_without_a_warning(characters, trunk):
    fitted, events = characters(trunk)
    assert not [text for text in warnings_of(events) if "badly" in text]
    tokenizer = fitted.bundle.modalities["text"]
    assert tokenizer.facts()["ideographic"]
    assert tokenizer.facts()["unknown"] < 0.05
    assert fitted.bundle.metrics["label"]["accuracy"]["high"] > 0.5
    answers = fitted.bundle.predict_proba(["质量很好，非常满意，推荐购买", "太差了，非常失望，退货"])
    assert answers.shape == (2, 2)
    assert np.isfinite(answers).all()


@pytest.mark.parametrize("trunk", ["convolution", "recurrent"])
def test_its_baseline_reads_characters_too(characters, trunk):
    fitted, _ = characters(trunk)
    baseline = fitted.report.targets[0].opponents[1]
    assert baseline.name == "TF-IDF + logistic regression"
    analyzer = fitted.bundle.modalities["text"].classical().build_analyzer()
    assert "不" in analyzer("不好看")
    assert "好看" in analyzer("不好看")


def test_traditional_width_and_spaces_change_no_answer(characters):
    bundle = characters("convolution")[0].bundle
    plain, wide = "质量很好,买了2次!", "质量很好，买了２次！"
    np.testing.assert_allclose(bundle.predict_proba([plain]), bundle.predict_proba([wide]), atol=1e-6)


def test_the_command_line_fits_a_gb18030_file_of_chinese_and_answers_in_utf_8(reviews, tmp_path):
    lines = ["评论,倾向"]
    for text, label in zip(reviews["text"][::2], reviews["label"][::2], strict=True):
        lines.append('"' + text.replace('"', '""') + '",' + {"positive": "好评", "negative": "差评"}[label])
    (tmp_path / "评论.csv").write_bytes("\n".join(lines).encode("gb18030"))
    flags = [word for setting in TINY for word in ("--set", setting)]
    process = start("fit", "评论.csv", "--target", "倾向", "--out", "模型", *flags, folder=tmp_path)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "GB18030" in said.upper()
    asked = start("predict", "模型", "质量很好，非常满意", "--scores", folder=tmp_path)
    answer, _ = asked.communicate(timeout=60)
    assert asked.returncode == 0, answer
    assert "好评" in answer or "差评" in answer
