"""Sentences in which something is ordered, each word tagged: made here from patterns, the same on every machine.

A sentence is a pattern with its gaps filled in. Names of places and people are put together from syllables, so that
most stand in a few sentences only and a dictionary of the training rows misses many; `May`, `Victoria` and `Reading`
are of several kinds, told apart by the words around them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from underlay.core import stream

ROWS = 1_200
SEED = 7

PATTERNS = (
    "please send {number} {product} to {place} before {date}",
    "I would like to order {number} {product} for our office in {place}",
    "where are the {product} that {person} ordered on {date} ?",
    "can you deliver {product} to {person} in {place} on {date} ?",
    "{person} needs {number} {product} by {date}",
    "the {product} for {place} came on {date} and two were broken",
    "cancel the order of {person} from {date} please",
    "we moved from {place} to {place} , send the {product} there",
    "thanks , the {product} look great",
    "is there any news on my order ?",
    "{person} asked whether {product} are sold in {place}",
    "my parcel was sent to {place} instead of {place} !",
    "change {number} {product} to {number} {product} , says {person}",
    "from {date} on {person} will sign for everything in {place}",
    "nobody called me back since {date}",
    "Hello , this is {person} , the {product} are for {person} in {place}",
)

ADJECTIVES = (
    "black", "oak", "paper", "glass", "winter", "garden", "kitchen", "copper", "woollen", "folding", "Nordic", "small",
    "steel", "round", "spare", "painted", "Victoria", "linen",
)  # fmt: skip
GOODS = (
    "lamps", "chairs", "cups", "filters", "pens", "clocks", "towels", "hoses", "pipes", "bells", "handles", "socks",
    "knives", "drills", "shelves", "lanterns", "jars", "sheets", "boards", "brushes", "reading glasses", "door stops",
)  # fmt: skip
FIRST = ("Nor", "Ket", "Ast", "Bram", "Cald", "Dun", "El", "Fen", "Grim", "Hal", "Kirk", "Lang", "Mar", "Os", "Wen")
LAST = ("wick", "ford", "by", "holm", "stead", "ton", "mere", "borg", "dorf", "ville", "ness", "hurst")
BEFORE_PLACES = ("New", "Great", "San", "Upper", "", "", "", "", "", "")
GIVEN = (
    "Ada", "Amira", "Clara", "Elena", "Frank", "Ines", "Jonas", "Li", "May", "Olu", "Peter", "Rose", "Sam", "Tomas",
    "Victoria", "Yuki", "Mr", "Ms", "Dr",
)  # fmt: skip
BEGINNINGS = ("Oka", "Lind", "Hadd", "Castel", "Tana", "Nova", "Brand", "Petro", "Whit", "Mar", "Kova", "Berg", "Sund")
ENDS = ("for", "qvist", "ad", "lano", "ka", "k", "t", "va", "field", "sh", "ler", "man", "in", "er")
ONE_OF_MANY = {"place": ("Victoria", "Reading", "Nice"), "person": ("May", "Rose", "Mr Reading"), "date": ("May",)}
"""Names that mean something else elsewhere; one name in ten is one of them."""

MONTHS = ("January", "March", "May", "June", "July", "August", "October", "November")
DAYS = ("Monday", "Tuesday", "Friday", "Sunday evening", "the weekend", "Christmas", "Easter", "tomorrow", "noon")
TAGS = (*(f"{letter}-{kind}" for letter in "BI" for kind in ("date", "person", "place", "product")), "O")
NUMBERS = ("two", "three", "four", "six", "ten", "twelve", "20", "50", "a hundred")
"""Outside of every span: how many is no entity here."""


def orders() -> dict[str, list[Any]]:
    """`id`, `tokens` and `tags` (`B-place`, `I-place`, `O`) of every sentence, each sentence once."""
    rng = stream(SEED, "orders")
    sentences: dict[tuple[str, ...], list[str]] = {}
    while len(sentences) < ROWS:
        words, tags = _sentence(PATTERNS[int(rng.integers(len(PATTERNS)))], rng)
        sentences.setdefault(tuple(words), tags)
    return {
        "id": [str(row) for row in range(1, ROWS + 1)],
        "tokens": [list(words) for words in sentences],
        "tags": list(sentences.values()),
    }


def _sentence(pattern: str, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    words: list[str] = []
    tags: list[str] = []
    for piece in pattern.split():
        kind = piece.strip("{}")
        if kind == piece:
            words.append(piece)
            tags.append("O")
            continue
        filled = _name(kind, rng).split()
        words += filled
        tags += ["O"] * len(filled) if kind == "number" else [f"B-{kind}", *[f"I-{kind}"] * (len(filled) - 1)]
    return words, tags


def _name(kind: str, rng: np.random.Generator) -> str:
    if kind in ONE_OF_MANY and rng.random() < 0.1:
        return _one(ONE_OF_MANY[kind], rng)
    if kind == "product":
        return f"{_one(ADJECTIVES, rng)} {_one(GOODS, rng)}"
    if kind == "place":
        return f"{_one(BEFORE_PLACES, rng)} {_one(FIRST, rng)}{_one(LAST, rng)}"
    if kind == "person":
        return f"{_one(GIVEN, rng)} {_one(BEGINNINGS, rng)}{_one(ENDS, rng)}"
    if kind == "date":
        day = f"{int(rng.integers(1, 29))} {_one(MONTHS, rng)}"
        return _one(
            (day, day, f"the first of {_one(MONTHS, rng)}", _one(DAYS, rng), f"next {_one(DAYS[:3], rng)}"), rng
        )
    return _one(NUMBERS, rng)


def _one(names: Sequence[str], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]
