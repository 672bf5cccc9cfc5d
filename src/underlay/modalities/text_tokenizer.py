"""A Hugging Face fast tokenizer that places special ids itself and never reads them out of a text."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from underlay.core import BundleRefused

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_ENTRIES = 4 << 20
CHUNK = 4_096
"""Texts read at a time: enough for every core."""
_PADDING_NAMES = ("[PAD]", "<pad>", "<|pad|>")


@dataclass(frozen=True)
class Subwords:
    """Texts -> ids of a `tokenizer.json`.

    Args:
        file: The `tokenizer.json`, as its makers wrote it.
    """

    file: bytes

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of normalised texts, int64, without special ids at the ends or within."""
        found = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._ordinary(np.asarray(encoding.ids, dtype=np.int64)) for encoding in found]

    def pieces(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids as `ids` gives them, and the character of the text before which each of them ends, both int64 `[L]`."""
        found = self._plain.encode_batch(list(texts), add_special_tokens=False)
        return [
            (
                self._ordinary(np.asarray(encoding.ids, dtype=np.int64)),
                np.array([stop for _, stop in encoding.offsets], dtype=np.int64),
            )
            for encoding in found
        ]

    def used(self, texts: Iterable[str]) -> set[int]:
        """The ids that these normalised texts take."""
        found: set[int] = set()
        left = iter(texts)
        while chunk := list(islice(left, CHUNK)):
            found.update(np.unique(np.concatenate(self.ids(chunk))).tolist())
        return found

    def _ordinary(self, ids: np.ndarray) -> np.ndarray:
        forbidden = self._forbidden[ids]
        return np.where(forbidden, self.unknown, ids) if forbidden.any() else ids

    @cached_property
    def prefix(self) -> np.ndarray:
        """Special ids before each segment (`[CLS]`)."""
        return self._frame[0]

    @cached_property
    def suffix(self) -> np.ndarray:
        """Special ids after each segment (`[SEP]`)."""
        return self._frame[1]

    @cached_property
    def between(self) -> np.ndarray:
        """Special ids that stand before the second text of a pair, behind the `suffix` of the first.

        `[CLS] a [SEP] b [SEP]` has none, `<s> a </s> </s> b </s>` one. A tokenizer that frames pairs in no such way
        has none.
        """
        encoding = self._full.encode("a", "b")
        ids, owner = np.asarray(encoding.ids, dtype=np.int64), list(encoding.sequence_ids)
        none = np.zeros(0, dtype=np.int64)
        if 0 not in owner or 1 not in owner:
            return none
        last = len(owner) - 1 - owner[::-1].index(0)
        middle = ids[last + 1 : owner.index(1)]
        framed = np.array_equal(middle[: len(self.suffix)], self.suffix)
        return middle[len(self.suffix) :] if framed else none

    @cached_property
    def padding(self) -> int:
        """The id that fills a batch; the mask, not the id, says what is padding."""
        declared = (self._parsed.get("padding") or {}).get("pad_id")
        if declared is not None:
            return int(declared)
        named = [self._full.token_to_id(name) for name in _PADDING_NAMES]
        return next((found for found in named if found is not None), 0)

    @cached_property
    def unknown(self) -> int:
        """The id of what the vocabulary does not hold; the padding id where there is no such id."""
        model = self._parsed.get("model", {})
        name = model.get("unk_token")
        found = self._full.token_to_id(name) if name else model.get("unk_id")
        return self.padding if found is None else int(found)

    @cached_property
    def size(self) -> int:
        """One more than the largest id."""
        entries = self._full.get_vocab(with_added_tokens=True).values()
        largest = max(entries, default=0)
        if largest >= MOST_ENTRIES:
            raise BundleRefused(
                f"tokenizer.json gives the id {largest:,}; the largest vocabulary has {MOST_ENTRIES:,} entries",
                "restore the file",
                code="tokenizer",
            )
        return largest + 1

    def words(self) -> dict[int, str]:
        """Vocabulary entries that stand alone as a word of letters, by id."""
        start = self._word_start
        entries = self._plain.get_vocab(with_added_tokens=False)
        if start is None:
            return {number: entry for entry, number in entries.items() if entry.isalpha()}
        bodies = {number: entry[len(start) :] for entry, number in entries.items() if entry.startswith(start)}
        # Byte-level entries outside ASCII are bytes in disguise, not letters.
        return {number: body for number, body in bodies.items() if body.isalpha() and (start != "Ġ" or body.isascii())}

    @cached_property
    def _word_start(self) -> str | None:
        """The mark of a token that begins a word (`Ġ`, `▁`), None where continuing tokens are marked (`##`)."""
        tokens = self._plain.encode("a b", add_special_tokens=False).tokens
        return next((mark for mark in ("Ġ", "▁") if any(token.startswith(mark) for token in tokens)), None)

    @cached_property
    def _parsed(self) -> dict[str, Any]:
        try:
            parsed = json.loads(self.file)
        except ValueError as error:
            raise BundleRefused(f"tokenizer.json is not JSON: {error}", "restore the file", code="tokenizer") from error
        if not isinstance(parsed, dict) or not isinstance(parsed.get("model"), dict):
            raise BundleRefused("tokenizer.json describes no tokenizer", "restore the file", code="tokenizer")
        return parsed

    @cached_property
    def _full(self) -> Tokenizer:
        return _read(self._parsed | {"truncation": None, "padding": None})

    @cached_property
    def _plain(self) -> Tokenizer:
        """The tokenizer without its special tokens, so that their names are text like any other."""
        added = [token for token in self._parsed.get("added_tokens", []) if not token.get("special")]
        plain = {"truncation": None, "padding": None, "post_processor": None, "added_tokens": added}
        return _read(self._parsed | plain)

    @cached_property
    def _frame(self) -> tuple[np.ndarray, np.ndarray]:
        encoding = self._full.encode("a")
        special = np.asarray(encoding.special_tokens_mask, dtype=bool)
        ids = np.asarray(encoding.ids, dtype=np.int64)
        inside = np.flatnonzero(~special)
        first, last = (inside[0], inside[-1] + 1) if len(inside) else (len(ids), len(ids))
        return ids[:first], ids[last:]

    @cached_property
    def _forbidden(self) -> np.ndarray:
        """By id: may a text never produce it?"""
        special = {int(token["id"]) for token in self._parsed.get("added_tokens", []) if token.get("special")}
        forbidden = np.zeros(self.size, dtype=bool)
        forbidden[list(special | set(self.prefix.tolist()) | set(self.suffix.tolist()))] = True
        forbidden[self.unknown] = False
        return forbidden


def train_tokenizer(texts: Iterable[str], *, characters: bool, vocabulary: int, lower: bool) -> bytes:
    """A `tokenizer.json` learned from normalised texts: characters, or byte-level BPE.

    Args:
        texts: The training texts.
        characters: One token a character, for scripts without spaces between words.
        vocabulary: At most this many entries.
        lower: Whether upper and lower case are the same.
    """
    tokenizer = _characters(texts, vocabulary, lower) if characters else _byte_pairs(texts, vocabulary, lower)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
    )
    return tokenizer.to_str(pretty=False).encode()


def _characters(texts: Iterable[str], vocabulary: int, lower: bool) -> Tokenizer:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update("".join((text.lower() if lower else text).split()))
    seen = sorted((character for character in counts if counts[character] > 1), key=lambda c: (-counts[c], c))
    entries = [*SPECIAL, *seen[: max(vocabulary - len(SPECIAL), 0)]]
    model = models.BPE(vocab={token: i for i, token in enumerate(entries)}, merges=[], unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _byte_pairs(texts: Iterable[str], vocabulary: int, lower: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return tokenizer


def _read(parsed: dict[str, Any]) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(parsed))
    except Exception as error:  # the Rust side raises bare exceptions
        raise BundleRefused(
            f"tokenizer.json cannot be read: {error}", "use a fast tokenizer's tokenizer.json", code="tokenizer"
        ) from error
