"""`words.v1`: a list of words -> the arrays of a text, and which position answers for which word."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from underlay.core import Encoded, Part, RowError, RowProblem, attempt, listed
from underlay.modalities import text_noise, text_words
from underlay.modalities.registry import MODALITIES
from underlay.modalities.text import Text
from underlay.modalities.text_normaliser import NEUTRAL
from underlay.modalities.words_cell import first_pieces, kept_words, read_words


@MODALITIES("words.v1")
@dataclass(frozen=True)
class Words:
    """Sentences of one column, each given as its words; read as `text.v1` reads them with spaces between.

    The first piece of a word answers for it. Words beyond `max_length` have no position.

    Args:
        text: What reads the words once they are one text.
    """

    text: Text

    trunk: ClassVar[str] = Text.trunk
    files: ClassVar[bool] = False
    features: ClassVar[str] = Text.features

    @property
    def name(self) -> str:
        """`words.v1`."""
        return "words.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Words":
        """An unfitted modality; a tokenizer that is trained here keeps capitals, which tell names from words.

        Args:
            assets: As of `Text.create`.
            limit: The longest segment the trunk can read.
            options: See `TextOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(Text.create(assets=assets, limit=limit, options={"lower": False, **options}))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Words":
        """Train a tokenizer if there is none, and choose the length from the sentences.

        Raises:
            DataError: No value holds words.
        """
        return replace(self, text=self.text.fit((self._joined_or_none(value) for value in values), rng))

    def encode(self, value: Any) -> Encoded:
        """`ids`, `mask` as of a text; `units`, the word each position answers for, all int64 `[L]`; `count` `[1]`.

        Raises:
            RowError: No words.
        """
        sentence = self._read(value)
        return self._arrange(sentence, *self.text.subwords.pieces([" ".join(sentence.words)])[0])

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many on all cores; a problem stands where a value cannot be used."""
        read = [attempt(self._read, value) for value in values]
        texts = [" ".join(one.words) for one in read if not isinstance(one, RowProblem)]
        pieces = iter(self.text.subwords.pieces(texts))
        return [one if isinstance(one, RowProblem) else self._arrange(one, *next(pieces)) for one in read]

    def _arrange(self, sentence: "_Sentence", ids: np.ndarray, stops: np.ndarray) -> Encoded:
        first = first_pieces(sentence.words, stops)
        units = np.where(first >= 0, np.asarray(sentence.numbers, dtype=np.int64)[first], -1)
        framed = self.text.framed(ids)
        numbers = [np.full(len(piece), number, dtype=np.int64) for number, piece in enumerate(framed, start=1)]
        return {
            "ids": np.concatenate(framed),
            "mask": np.concatenate(numbers),
            "units": np.concatenate(self.text.framed(units, special=-1)),
            "count": np.array([sentence.size], dtype=np.int64),
        }

    def trimmed(self, values: Iterable[Any], words: Iterable[str] = ()) -> tuple["Words", np.ndarray]:
        """As of the texts with spaces between the words."""
        text, kept = self.text.trimmed((self._joined_or_none(value) for value in values), words)
        return replace(self, text=text), kept

    def pieces(self, words: Sequence[str]) -> np.ndarray:
        """How many entries each word takes, int64 `[N]`."""
        return self.text.pieces(words)

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`ids` and `mask` `[B, L]`, as of texts."""
        return self.text.collate(encoded)

    def length(self, encoded: Encoded) -> int:
        """Positions of one encoded sentence."""
        return len(encoded["ids"])

    def units(self, encoded: Encoded) -> np.ndarray:
        """For each position the word it answers for, int64 `[L]`; -1 where none."""
        return encoded["units"]

    def count(self, encoded: Encoded) -> int:
        """Words of the sentence, those that were cut included."""
        return int(encoded["count"][0])

    def describe(self) -> Mapping[str, Any]:
        """What the stem of texts needs."""
        return self.text.describe()

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why."""
        return self.text.facts()

    def augment(self, value: Any, rng: np.random.Generator) -> list[str]:
        """The words with a few typos, as many as there were; none is left out and none changes its place."""
        words, rate = _items(value), self.text.options.augment.typos
        return [text_noise.slip(word, rng) if rng.random() < rate else word for word in words]

    def parts(self, value: Any) -> tuple[Part, ...]:
        """The words, numbered."""
        return tuple(Part(at, at + 1, word) for at, word in enumerate(_items(value)))

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        """The sentence without these words; the neutral one where none is left."""
        gone = {part.start for part in parts}
        if not gone:
            return value
        left = [word for at, word in enumerate(_items(value)) if at not in gone]
        return left if any(word.strip() for word in left) else [NEUTRAL]

    def substitutes(self, value: Any, part: Part) -> tuple[list[str], ...]:
        """The sentence with that word misspelt, recased or in look-alike letters."""
        words = _items(value)
        variants = text_words.substitutes(part.text, Part(0, len(part.text), part.text))
        return tuple([*words[: part.start], variant, *words[part.stop :]] for variant in variants)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> list[str]:
        """The sentence damaged as a text is, severity 1 to 5; `drop`, `swap` and `spaces` change how many words it has.

        Raises:
            UnknownName: There is no such kind.
        """
        return text_noise.corrupt(" ".join(_items(value)), kind, severity, rng).split(" ")

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML with each word shaded by its weight, -1 to 1."""
        shown = [text_words.shaded(word, weight) for word, weight in zip(_items(value), weights, strict=True)]
        return f'<span class="text">{" ".join(shown)}</span>'

    def probe(self, rng: np.random.Generator) -> list[str]:
        """Common words in random order and dress: no sentence anybody wrote."""
        return self.text.probe(rng).split()

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms as of texts."""
        return self.text.sketch(self._joined_or_none(value) for value in values)

    def fingerprint(self, value: Any) -> np.ndarray:
        """As of the text with spaces between the words."""
        return self.text.fingerprint(self._joined_or_none(value))

    def classical(self) -> Any:
        """TF-IDF, as of texts."""
        return self.text.classical()

    def state(self) -> Mapping[str, bytes]:
        """`tokenizer.json` and `text.json`."""
        return self.text.state()

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Words":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: A file is missing, foreign or unreadable.
        """
        return cls(Text.from_state(files))

    def _read(self, value: Any) -> "_Sentence":
        words, most = read_words(value), self.text.options.characters
        kept = kept_words(words, most, self.text.options.long)
        return _Sentence([words[at][:most] for at in kept], kept, len(words))

    def _joined_or_none(self, value: Any) -> str | None:
        words = attempt(read_words, value)
        return None if isinstance(words, RowProblem) else " ".join(words)


class _Sentence(NamedTuple):
    """What is read of a sentence: words, their numbers in it, and how many it has."""

    words: list[str]
    numbers: list[int]
    size: int


def _items(value: Any) -> list[str]:
    """The words as they are written.

    Raises:
        RowError: They are none.
    """
    items = listed(value)
    if items is None:
        raise RowError(f"{value!r:.60} holds no words", "give a list of words", code="not_words")
    return [item for item in items if isinstance(item, str)]
