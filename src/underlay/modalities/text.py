"""`text.v1`: a string -> ids and a mask of segments."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from underlay.core import BundleRefused, Encoded, Part, RowError, RowProblem, UsageError, attempt
from underlay.modalities import text_noise, text_normaliser, text_words
from underlay.modalities.registry import MODALITIES
from underlay.modalities.text_fit import DEFAULT_LENGTH, check_learned, fit_text
from underlay.modalities.text_normaliser import NEUTRAL
from underlay.modalities.text_options import TextOptions
from underlay.modalities.text_readable import readable
from underlay.modalities.text_segments import segments
from underlay.modalities.text_sketch import sketch_texts
from underlay.modalities.text_tokenizer import Subwords
from underlay.modalities.text_vocabulary import trim

LONG_PROBES = 0.03
"""Share of probes that are longer than a segment, so that the cut is replayed too."""

RAW_CHARACTERS = 1_000_000
"""Of a longer text only the ends are looked at, so that one cell costs milliseconds."""


@MODALITIES("text.v1")
@dataclass(frozen=True)
class Text:
    """Texts of one column; `fit` returns the one that can encode.

    Args:
        tokenizer: A `tokenizer.json`; None until `fit` has trained one.
        limit: The longest segment the trunk can read; None where it reads any.
        options: What the recipe asked for.
        learned: What `fit` found, JSON data: `max_length`, `words`, `facts`, `rows`.
    """

    tokenizer: Subwords | None = None
    limit: int | None = None
    options: TextOptions = field(default_factory=TextOptions)
    learned: Mapping[str, Any] = field(default_factory=dict)

    trunk: ClassVar[str] = "minilm"
    files: ClassVar[bool] = False
    features: ClassVar[str] = "TF-IDF"
    second: ClassVar[Mapping[str, Any]] = {"second": True}

    @property
    def name(self) -> str:
        """`text.v1`."""
        return "text.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Text":
        """An unfitted modality around a trunk's own tokenizer, or around none.

        Args:
            assets: The trunk's files; `tokenizer.json` is used.
            limit: The longest segment the trunk can read.
            options: See `TextOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        file = assets.get("tokenizer.json")
        return cls(Subwords(file) if file is not None else None, limit, TextOptions.read(options))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Text":
        """Train a tokenizer if there is none, and choose the length from the texts.

        Raises:
            DataError: No value is a text.
        """
        tokenizer, learned = fit_text(
            (text for value in values if (text := self._text_or_none(value))),
            rng,
            tokenizer=self.tokenizer,
            limit=self.limit,
            options=self.options,
        )
        return replace(self, tokenizer=tokenizer, learned=learned)

    @property
    def max_length(self) -> int:
        """Positions of the longest segment, special ones included."""
        chosen = self.learned.get("max_length") or self.options.max_length
        return DEFAULT_LENGTH if chosen == "auto" else int(chosen)

    def encode(self, value: Any) -> Encoded:
        """Ids and segment numbers of one text, int64 `[L]`.

        Raises:
            RowError: Not a text, nothing to read in it, or malformed.
        """
        return self._arrange(self.subwords.ids([self._text(value)])[0])

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many on all cores; a problem stands where a value cannot be used."""
        texts = [attempt(self._text, value) for value in values]
        ids = iter(self.subwords.ids([text for text in texts if isinstance(text, str)]))
        return [self._arrange(next(ids)) if isinstance(text, str) else text for text in texts]

    def framed(self, values: np.ndarray, *, special: int | None = None) -> list[np.ndarray]:
        """Segments of one value a token, cut and framed as the ids are.

        Args:
            values: Ids, or whatever stands beside them, `[L]`.
            special: What stands at the places of special ids; None: these ids.
        """
        prefix, suffix = self._frame
        room = max(1, self.max_length - len(prefix) - len(suffix))
        pieces = segments(values, long=self.options.long, room=room, most=self.options.windows)
        if special is not None:
            prefix, suffix = np.full_like(prefix, special), np.full_like(suffix, special)
        framed = [np.concatenate([prefix, piece, suffix]) for piece in pieces]
        if not len(framed[0]):  # the neutral text of a tokenizer that frames nothing
            return [np.array([self.subwords.unknown if special is None else special], dtype=np.int64)]
        return framed

    def trimmed(self, values: Iterable[Any], words: Iterable[str] = ()) -> tuple["Text", np.ndarray]:
        """Itself with the entries that these texts and words take, and their old ids, int64 `[V]`, ascending.

        Raises:
            UsageError: `vocabulary`: the tokenizer cannot be trimmed.
        """
        known = (f"{word} {word}" for word in words)  # first of a text, and behind a space
        texts = (text for value in chain(values, known) if (text := self._text_or_none(value)))
        file, kept = trim(self.subwords.file, self.subwords.used(texts))
        return replace(self, tokenizer=Subwords(file)), kept

    def readable(self) -> np.ndarray:
        """Ids that an encoded text may hold, int64, ascending."""
        return readable(self.subwords)

    def pieces(self, words: Sequence[str]) -> np.ndarray:
        """How many entries each word takes within a text, int64 `[N]`."""
        return np.array([len(ids) for ids in self.subwords.ids([f" {word}" for word in words])], dtype=np.int64)

    def _arrange(self, ids: np.ndarray) -> Encoded:
        framed = self.framed(ids)
        numbers = [np.full(len(piece), number, dtype=np.int64) for number, piece in enumerate(framed, start=1)]
        return {"ids": np.concatenate(framed), "mask": np.concatenate(numbers)}

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`ids` and `mask` `[B, L]`; 0 in the mask is padding, k the k-th segment."""
        longest = max(self.length(row) for row in encoded)
        ids = np.full((len(encoded), longest), self.subwords.padding, dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.int64)
        for row, arrays in enumerate(encoded):
            ids[row, : len(arrays["ids"])] = arrays["ids"]
            mask[row, : len(arrays["mask"])] = arrays["mask"]
        return {"ids": ids, "mask": mask}

    def length(self, encoded: Encoded) -> int:
        """Positions of one encoded text."""
        return len(encoded["ids"])

    def describe(self) -> Mapping[str, Any]:
        """What the stem `text.v1` needs: `vocabulary`, `padding`, `limit` (the longest segment), `second` of a pair."""
        subwords = self.subwords
        return {
            "name": self.name,
            "vocabulary": subwords.size,
            "padding": subwords.padding,
            "limit": self.max_length,
            **({"second": True} if self.options.second else {}),
        }

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why: `max_length`, `why`, shares and `warnings`."""
        return dict(self.learned.get("facts", {}))

    def notices(self, value: str) -> tuple[str, ...]:
        """Codes of what happens to this text unseen: `invisible_removed`, `mixed_script`, `truncated`.

        Raises:
            RowError: As `encode`.
        """
        text = self._text(value, cut=False)
        ids = self.subwords.ids([self._cut(text)])[0]
        frame = sum(map(len, self._frame))
        pieces = max(self._arrange(ids)["mask"])
        lost = len(text) > self.options.characters or self.length(self._arrange(ids)) < len(ids) + frame * pieces
        return text_normaliser.notices(value) + (("truncated",) if lost else ())

    def augment(self, value: Any, rng: np.random.Generator) -> str:
        """The text with a few typos, left-out and swapped words, at the rates of the options."""
        return text_noise.augment(str(value), rng, **asdict(self.options.augment))

    def parts(self, value: Any) -> tuple[Part, ...]:
        """Words, each ideograph by itself, and marks of punctuation."""
        return text_words.parts(str(value))

    def without(self, value: Any, parts: Sequence[Part]) -> str:
        """The text with these parts cut out; the neutral text where nothing is left."""
        return text_words.without(str(value), parts)

    def substitutes(self, value: Any, part: Part) -> tuple[str, ...]:
        """The text with that word misspelt, recased or in look-alike letters."""
        return text_words.substitutes(str(value), part)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> str:
        """The text damaged in one of `text_noise.KINDS`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        return text_noise.corrupt(str(value), kind, severity, rng)

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML with each part shaded by its weight, -1 to 1."""
        return text_words.render(str(value), weights)

    def probe(self, rng: np.random.Generator) -> str:
        """Common words of the training texts in random order and dress: no sentence anybody wrote."""
        words = self.learned.get("words") or ["underlay"]
        count = 2 * self.max_length if rng.random() < LONG_PROBES else int(rng.geometric(0.15))
        return text_noise.dress([words[int(i)] for i in rng.integers(len(words), size=count)], rng)

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms of lengths, unknown share, scripts and hashed ids."""
        return sketch_texts((text for value in values if (text := self._text_or_none(value))), self.subwords)

    def fingerprint(self, value: Any) -> np.ndarray:
        """Hashed 5-character shingles of the folded text, uint64, sorted; empty for what is no text."""
        return text_words.fingerprint(self._text_or_none(value) or "")

    def classical(self) -> Any:
        """TF-IDF of words and word pairs; of 1 to 3 characters where the texts are Chinese, Japanese or the like."""
        return text_words.tfidf(characters=bool(self.facts().get("ideographic")), rows=int(self.learned.get("rows", 0)))

    def state(self) -> Mapping[str, bytes]:
        """`tokenizer.json` and `text.json`."""
        settings = {"limit": self.limit, "options": asdict(self.options), "learned": dict(self.learned)}
        text = json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True)
        return {"tokenizer.json": self.subwords.file, "text.json": text.encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Text":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: A file is missing, foreign or unreadable.
        """
        if set(files) != {"tokenizer.json", "text.json"}:
            raise BundleRefused(
                f"text.v1 reads tokenizer.json and text.json; there is {sorted(files)}",
                "seal it again",
                code="modality",
            )
        try:
            settings = json.loads(files["text.json"])
            options, learned = TextOptions.read(settings["options"]), dict(settings["learned"])
            text = cls(Subwords(files["tokenizer.json"]), settings["limit"], options, learned)
            check_learned(learned, limit=text.limit)
            text.encode(NEUTRAL)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
            raise BundleRefused(f"text.json cannot be read: {error}", "seal it again", code="modality") from error
        return text

    @cached_property
    def subwords(self) -> Subwords:
        """The tokenizer.

        Raises:
            UsageError: There is none before `fit`.
        """
        if self.tokenizer is None:
            raise UsageError("this text modality has no tokenizer yet", "call fit first")
        return self.tokenizer

    @property
    def _frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Special ids before and after each segment."""
        own = self.subwords
        return own.between if self.options.second else own.prefix, own.suffix

    def _text(self, value: Any, *, cut: bool = True) -> str:
        """The normal form of a value, not longer than the tokenizer may see."""
        if not isinstance(value, str):
            missing = value is None or value != value
            raise RowError(
                "the text is missing" if missing else f"a text is needed; found {value!r:.60} ({type(value).__name__})",
                "give a string",
                code="missing_text" if missing else "not_text",
            )
        text = text_normaliser.normalise(_ends(value, RAW_CHARACTERS, self.options.long))
        if not text.strip() and value.strip() != NEUTRAL:
            raise RowError("the text is empty", "give at least one visible character", code="empty_text")
        return self._cut(text) if cut else text

    def _cut(self, text: str) -> str:
        return _ends(text, self.options.characters, self.options.long)

    def _text_or_none(self, value: Any) -> str | None:
        text = attempt(self._text, value)
        return text if isinstance(text, str) else None


def _ends(text: str, most: int, rule: str) -> str:
    """At most `most` characters of `text`, chosen as the rule for long texts chooses ids."""
    if len(text) <= most:
        return text
    first = most // 4 if rule == "head-tail" else most
    return text[:first] + " " + text[len(text) - (most - first - 1) :] if first < most else text[:most]
