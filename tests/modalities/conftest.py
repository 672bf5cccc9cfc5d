"""Text modalities: one around a small WordPiece tokenizer as BERT's, and those that train their own."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from underlay.modalities import Text

WORDS = """a the film movie was is not very good bad great terrible quiet loud story plot actor scene i we it and but
or so of in on at this that with for one two three hello world can't caf ok [ ] < > / | ( ) . , ! ? - ' : ; # % $ & *
s t e cls sep mask pad unk endoftext"""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ENGLISH = [f"{'the' if i % 2 else 'a'} {mood} film and it was {much} {word}" for i in range(30)
           for mood in ("quiet", "loud") for much in ("very", "not") for word in ("good", "terrible")]  # fmt: skip
CHINESE = ["这部电影真的很好看，我非常喜欢", "剧情太差了，浪费时间", "演员演得不错但是故事一般"] * 40


def wordpiece() -> bytes:
    """A `tokenizer.json` built like BERT's, with letters to fall back on."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789")
    entries = list(dict.fromkeys([*SPECIAL, *WORDS.split(), *letters, *("##" + letter for letter in letters)]))
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(entries)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer.to_str().encode()


def fitted(values: list[str], *, assets: dict[str, bytes] | None = None, limit: int | None = 128, **options) -> Text:
    return Text.create(assets=assets or {}, limit=limit, options=options).fit(values, np.random.default_rng(0))


@pytest.fixture(scope="session")
def bert() -> Text:
    """English under a tokenizer as BERT's."""
    return fitted(ENGLISH, assets={"tokenizer.json": wordpiece()}, max_length=64)


@pytest.fixture(scope="session")
def pairs() -> Text:
    """English under byte pairs trained here."""
    return fitted(ENGLISH, vocabulary=400, max_length=64)


@pytest.fixture(scope="session")
def characters() -> Text:
    """Chinese under characters trained here."""
    return fitted(CHINESE, max_length=64)


@pytest.fixture(scope="session", params=["bert", "pairs", "characters"])
def text(request: pytest.FixtureRequest) -> Text:
    """Each of them."""
    found: Text = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def fit_text() -> object:
    """Fit a text modality: `fit_text(values, assets=, limit=, **options)`."""
    return fitted


@pytest.fixture(scope="session")
def tokenizer_file() -> bytes:
    """A `tokenizer.json` built like BERT's."""
    assert json.loads(wordpiece())["truncation"] is not None
    return wordpiece()


@pytest.fixture(scope="session")
def english() -> list[str]:
    return ENGLISH


@pytest.fixture(scope="session")
def chinese() -> list[str]:
    return CHINESE
