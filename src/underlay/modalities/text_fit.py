"""What a text modality learns: a tokenizer if it has none, a length, and whether it can read these texts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from underlay.core import DataError
from underlay.modalities.text_options import TextOptions
from underlay.modalities.text_tokenizer import Subwords, train_tokenizer

T = TypeVar("T")

SAMPLE = 20_000
"""Texts a tokenizer is trained on, drawn at random."""

MEASURED = 4_000
"""Texts whose lengths are measured: the 0.99 quantile is then known to a fraction of a percent of rows."""

DEFAULT_LENGTH = 256
"""`auto` goes no further: cost grows with length, and head and tail of a long review carry its verdict."""

LONGEST = 1 << 20
"""No trunk reads a longer segment."""

COVERED = 0.99
COMMON_WORDS = 512
IDEOGRAPHIC = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


def fit_text(
    texts: Iterable[str],
    rng: np.random.Generator,
    *,
    tokenizer: Subwords | None,
    limit: int | None,
    options: TextOptions,
) -> tuple[Subwords, dict[str, Any]]:
    """The tokenizer to use and what was learned, JSON data.

    Args:
        texts: Normalised training texts, read once.
        rng: Draws the sample that is looked at.
        tokenizer: The trunk's own; None to train one.
        limit: The longest segment the trunk reads.
        options: What the recipe says.

    Raises:
        DataError: There is no text at all.
    """
    sample, rows = reservoir(texts, SAMPLE, rng)
    if not sample:
        raise DataError("no row holds a text", "name the column that does: --text COLUMN", code="no_text")
    ideographic = ideographic_share(sample) > 0.3
    own = tokenizer or Subwords(
        train_tokenizer(sample, characters=ideographic, vocabulary=options.vocabulary, lower=options.lower)
    )
    measured = sample[:MEASURED]
    ids = own.ids(measured)
    lengths = np.array([len(row) for row in ids]) + len(own.prefix) + len(own.suffix)
    max_length, why = choose_length(lengths, limit=limit, asked=options.max_length)
    facts: dict[str, Any] = {
        "tokenizer": "pretrained" if tokenizer else ("trained: characters" if ideographic else "trained: byte pairs"),
        "max_length": max_length,
        "why": why,
        "cut": float((lengths > max_length).mean()),
        "longest": int(lengths.max()),
        "ideographic": ideographic,
        **reading(own, measured, ids),
    }
    facts["warnings"] = warnings(facts, pretrained=tokenizer is not None)
    return own, {"max_length": max_length, "rows": rows, "words": common_words(own, ids), "facts": facts}


def check_learned(learned: Mapping[str, Any], *, limit: int | None) -> None:
    """Hold what a file says was learned against what `fit_text` could have learned.

    Raises:
        ValueError: It could not.
    """
    length, rows, words = learned["max_length"], learned["rows"], learned["words"]
    most = LONGEST if limit is None else limit
    if not (type(length) is int and type(rows) is int and type(most) is int and 3 <= length <= most <= LONGEST):
        raise ValueError(f"max_length is {length!r}, limit {limit!r}, rows {rows!r}")
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        raise ValueError("words is no list of strings")
    if not isinstance(learned["facts"], dict):
        raise ValueError("facts is no mapping")


def reservoir(values: Iterable[T], size: int, rng: np.random.Generator) -> tuple[list[T], int]:
    """A uniform sample of `size` values, and how many there were, in one pass.

    Source: Vitter, Random Sampling with a Reservoir, 1985, algorithm R.
    """
    kept: list[T] = []
    count = 0
    for count, value in enumerate(values, start=1):
        if len(kept) < size:
            kept.append(value)
        elif (place := int(rng.integers(count))) < size:
            kept[place] = value
    return kept, count


def choose_length(lengths: np.ndarray, *, limit: int | None, asked: int | str) -> tuple[int, str]:
    """The length of a segment and the sentence that says why.

    >>> choose_length(np.array([9, 11, 30]), limit=512, asked="auto")
    (32, '99 % of the texts have at most 30 tokens')
    """
    covered = int(np.quantile(lengths, COVERED, method="higher"))
    most = min(limit or DEFAULT_LENGTH, DEFAULT_LENGTH)
    if asked != "auto":
        chosen = int(asked) if limit is None else min(int(asked), limit)
        return chosen, "asked for" if chosen == int(asked) else f"asked for {asked}; the trunk reads at most {limit}"
    rounded = max(16, -(-covered // 8) * 8)  # multiples of 8 suit vector units
    because = f"{COVERED:.0%}".replace("%", " %") + f" of the texts have at most {covered} tokens"
    if rounded <= most:
        return rounded, because
    share = f"{float((lengths > most).mean()):.0%}".replace("%", " %")
    return most, f"{because}; longer than {most} are {share} of them, and these are cut (model.max_length sets it)"


def reading(own: Subwords, texts: Sequence[str], ids: Sequence[np.ndarray]) -> dict[str, float]:
    """How well the tokenizer knows these texts: share of unknown tokens, tokens a character."""
    tokens = sum(len(row) for row in ids)
    unknown = sum(int((row == own.unknown).sum()) for row in ids)
    characters = sum(len(text) - text.count(" ") for text in texts)
    return {"unknown": unknown / max(tokens, 1), "tokens_per_character": tokens / max(characters, 1)}


def warnings(facts: dict[str, Any], *, pretrained: bool) -> list[str]:
    """Sentences for the person who chose this trunk for these texts."""
    if not pretrained:
        return []
    unread = facts["unknown"] > 0.05
    shredded = facts["tokens_per_character"] > 1.2
    if not (unread or shredded):
        return []
    found = (
        f"{facts['unknown']:.0%} of the tokens are unknown to it".replace("%", " %")
        if unread
        else f"it takes {facts['tokens_per_character']:.1f} tokens for one character"
    )
    better = "--trunk convolution reads characters" if facts["ideographic"] else "--trunk convolution learns its own"
    return [f"this pretrained tokenizer reads these texts badly: {found}; {better}, or name a trunk of their language"]


def common_words(own: Subwords, ids: Sequence[np.ndarray]) -> list[str]:
    """Whole words of the vocabulary that at least five texts share, most common first."""
    words = own.words()
    counts = Counter(int(number) for row in ids for number in np.unique(row) if int(number) in words)
    least = 5 if len(ids) >= 50 else 1
    ranked = sorted((number for number in counts if counts[number] >= least), key=lambda n: (-counts[n], n))
    return [words[number] for number in ranked[:COMMON_WORDS]]


def ideographic_share(texts: Sequence[str]) -> float:
    """Share of characters, of at most a thousand texts, in Chinese, Japanese and Korean writing."""
    joined = "".join("".join(text[:2_000].split()) for text in texts[:1_000])
    return len(IDEOGRAPHIC.findall(joined)) / max(len(joined), 1)
