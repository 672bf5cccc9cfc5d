"""Redaction: what is found, what is lost besides, and how long it takes.

P1 planted values, P2 hard negatives, P3 disguises, P4 properties and time, P7 the same in two processes, and the
synthetic English sentences of `pii_presidio_synth`. Rules are tuned on development documents (`--on development`) and
measured once on held-out ones, whose sentences and values are others. A gate that is missed is written down as missed.
"""

import argparse
import hashlib
import json
import math
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.datasets import DataAbsent, read
from benchmarks.record import Results
from benchmarks.redaction_documents import (
    DISGUISES,
    Document,
    Truth,
    attack_strings,
    disguised,
    documents,
    negatives,
)
from benchmarks.redaction_values import FORMS, KINDS
from underlay.serve.redaction import Policy, Span, find, ready, redact, rule_set

RESULTS = Results("redaction")
POLICY = Policy()
BEST_EFFORT = ("ADDRESS", "PERSON")
"""Kinds for which nothing is promised: their spans are no error in P1 and count in P2."""

GATES: Mapping[str, tuple[float, float]] = {
    "id_18": (0.99, 0.99), "id_15": (0.95, 0.95), "mobile": (0.99, 0.97), "phone": (0.95, 0.95), "card": (0.99, 0.95),
    "email": (0.99, 0.99), "ip": (0.99, 0.95), "mac": (0.99, 0.95), "passport": (0.95, 0.90), "permit": (0.95, 0.90),
    "plate": (0.95, 0.90), "secret": (0.99, 0.95), "password": (0.99, 0.95), "iban": (0.99, 0.95),
    "credit_code": (0.99, 0.95), "ssn": (0.95, 0.95),
}  # fmt: skip
"""Recall and precision that the lower bounds must reach. IBAN and credit codes, which confirm themselves by a checksum
as cards do, have the card's; the social security number has that of other foreign numbers."""

RULES: Mapping[str, tuple[str, ...]] = {
    "secret": ("jwt", "pem", "key", "bearer", "url"), "password": ("assigned",), "card": ("card",),
}  # fmt: skip
"""Which rules a type's precision is counted by, where they are not called as it is."""

PRESIDIO = {
    "CREDIT_CARD": "BANK_CARD", "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL", "IBAN_CODE": "IBAN",
    "US_SSN": "SSN", "IP_ADDRESS": "IP", "STREET_ADDRESS": "ADDRESS", "PERSON": "PERSON",
}  # fmt: skip
"""Types of the synthetic sentences, and of the peer, that we look for too; the last two are best effort."""


def wilson(hits: int, total: int, z: float = 1.959964) -> dict[str, float | int]:
    """A share with its 95 % interval (Wilson, 1927).

    >>> wilson(381, 381)["low"] > 0.99
    True
    """
    if not total:
        return {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    share, square = hits / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return {"value": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half), "n": total}


Found = tuple[str, str, int, int]
"""Kind, rule, start, end."""

Finder = Callable[[str], Sequence[Found]]


def ours(text: str) -> list[Found]:
    """What the rules find."""
    return [(span.kind, span.rule, span.start, span.end) for span in find(text, POLICY)]


def covered(text: str, truth: Truth | tuple[int, int], spans: Iterable[Found]) -> bool:
    """Whether every letter and digit of a planted value goes."""
    start, end = (truth.start, truth.end) if isinstance(truth, Truth) else truth
    gone: set[int] = set()
    for _, _, first, last in spans:
        gone.update(range(max(first, start), min(last, end)))
    return all(place in gone or not text[place].isalnum() for place in range(start, end))


def planted(kept: Iterable[Document], finder: Finder = ours) -> dict[str, Any]:
    """Recall and precision by type, shares of characters, and the misses of development.

    A value is recalled where all of its letters and digits go, whatever it is called. A span is right where at least
    half of it lies in a value of its kind.
    """
    hits: Counter[str] = Counter()
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    personal: Counter[str] = Counter()
    left: Counter[str] = Counter()
    other = lost = 0
    misses: dict[str, list[str]] = defaultdict(list)
    for text, truths in kept:
        spans = finder(text)
        for truth in truths:
            total[truth.type] += 1
            found = covered(text, truth, spans)
            hits[truth.type] += found
            gone = sum(max(0, min(end, truth.end) - max(start, truth.start)) for _, _, start, end in spans)
            personal[truth.type] += truth.end - truth.start
            left[truth.type] += truth.end - truth.start - gone
            if not found:
                misses[f"missed {truth.type}"].append(text)
        inside = sum(truth.end - truth.start for truth in truths)
        other += len(text) - inside
        for kind, rule, start, end in spans:
            true = {truth.type: min(end, truth.end) - max(start, truth.start) for truth in truths if truth.kind == kind}
            name = max(true, key=lambda one: true[one], default="") if true else ""
            good = bool(name) and 2 * true[name] >= end - start
            lost += end - start - sum(max(0, min(end, one.end) - max(start, one.start)) for one in truths)
            if kind in BEST_EFFORT:
                continue
            name = name if good else _type_of(kind, rule)
            said[name] += 1
            right[name] += good
            if not good:
                misses[f"false {name}"].append(f"{text[start:end]!r} in {text!r}")
    types = sorted(total)
    return {
        "recall": {name: wilson(hits[name], total[name]) for name in types},
        "precision": {name: wilson(right[name], said[name]) for name in types},
        "leak_rate": {name: left[name] / personal[name] for name in types},
        "other_characters_lost": lost / other if other else 0.0,
        "misses": misses,
    }


def _type_of(kind: str, rule: str) -> str:
    """The type that a false span counts against."""
    named = [name for name, rules in RULES.items() if rule in rules]
    if named or rule in FORMS:
        return named[0] if named else rule
    return next((name for name, one in KINDS.items() if one == kind), kind.lower())


def gates(values: Mapping[str, Any]) -> dict[str, Any]:
    """Which gates hold: the lower bound of each figure against its gate."""
    held = {}
    for name, (recall, precision) in GATES.items():
        if name in values["recall"]:
            held[name] = {
                "recall": values["recall"][name]["low"] >= recall,
                "precision": values["precision"][name]["low"] >= precision,
            }
    missed = [f"{name} {figure}" for name, both in held.items() for figure, holds in both.items() if not holds]
    return {"held": held, "missed": missed}


def false_spans(kept: Iterable[str], finder: Finder = ours) -> dict[str, Any]:
    """False spans for every thousand characters of hard negatives, by kind."""
    characters = 0
    by_kind: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    for text in kept:
        characters += len(text)
        for kind, rule, start, end in finder(text):
            by_kind[kind] += 1
            examples[f"{kind} {rule}"].append(f"{text[start:end]!r} in {text!r}")
    total = sum(by_kind.values())
    return {
        "characters": characters,
        "false": total,
        "by_kind": dict(by_kind),
        "per_thousand": 1000 * total / characters,
        "holds": 1000 * total / characters <= 0.5,
        "misses": examples,
    }


def disguises(count: int, *, held_out: bool, finder: Finder = ours) -> dict[str, Any]:
    """Recall plain and disguised for each disguise; the first ten must lose at most two points."""
    out: dict[str, Any] = {}
    misses: dict[str, list[str]] = defaultdict(list)
    for number, disguise in enumerate(DISGUISES):
        plain = hidden = 0
        for one, two in disguised(disguise, count, held_out=held_out):
            plain += covered(one.text, one.truths[0], finder(one.text))
            found = covered(two.text, two.truths[0], finder(two.text))
            hidden += found
            if not found:
                misses[f"{disguise.name} {two.truths[0].type}"].append(two.text)
        drop = (plain - hidden) / count
        out[disguise.name] = {
            "plain": plain / count, "disguised": wilson(hidden, count), "drop": drop, "gated": number < 10,
            "holds": drop <= 0.02,
        }  # fmt: skip
    return {"disguises": out, "misses": misses}


def properties(kept: Sequence[Document]) -> dict[str, Any]:
    """How many documents break a property; none may."""
    broken: Counter[str] = Counter({"idempotent": 0, "nothing left": 0, "offsets": 0, "outside": 0})
    for text, _ in kept:
        done = redact(text, POLICY)
        again = redact(done.text, POLICY)
        broken["idempotent"] += again.text != done.text
        broken["nothing left"] += bool(find(done.text, POLICY))
        places = [place for span in done.spans for place in (span.start, span.end)]
        broken["offsets"] += places != sorted(places) or (
            bool(places) and not 0 <= places[0] <= places[-1] <= len(text)
        )
        broken["outside"] += not _outside(text, done.text, done.spans)
    return {"documents": len(kept), "broken": dict(broken), "holds": not sum(broken.values())}


def _outside(text: str, result: str, spans: Sequence[Span]) -> bool:
    """Whether what stands between the spans stands in the result, in order, unchanged."""
    at, place = 0, 0
    for span in spans:
        between = text[at : span.start]
        if not result.startswith(between, place):
            return False
        place = result.index("]", place + len(between)) + 1
        at = span.end
    return result[place:] == text[at:]


def times(length: int, repeats: int = 3) -> dict[str, Any]:
    """Seconds of the fastest of some runs for n and 2n characters, of documents and of attack strings."""
    ready()
    ordinary = "\n".join(document.text for document in documents(length // 20, held_out=True, seed=9))
    texts = {size: {"documents": ordinary[:size], **attack_strings(size)} for size in (length, 2 * length)}
    out = {}
    for name in texts[length]:
        small, large = (min(_seconds(texts[size][name]) for _ in range(repeats)) for size in (length, 2 * length))
        out[name] = {"seconds": small, "twice": large, "ratio": large / small}
    worst = max(figure["ratio"] for figure in out.values())
    return {"characters": length, "texts": out, "worst_ratio": worst, "holds": worst <= 2.5}


def _seconds(text: str) -> float:
    start = time.process_time()
    failed = redact(text, POLICY).failed
    if failed:
        raise RuntimeError(failed)
    return time.process_time() - start


def digest(count: int) -> str:
    """SHA-256 over the redacted documents: P7 compares two processes."""
    total = hashlib.sha256()
    for text, _ in documents(count, held_out=True, seed=5):
        total.update(redact(text, POLICY).text.encode() + b"\0")
    return total.hexdigest()


def skew(count: int) -> dict[str, Any]:
    """Whether a fresh process gives the same texts as this one."""
    code = f"from benchmarks.redaction import digest; print(digest({count}))"
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    return {"documents": count, "identical": other == digest(count)}


def synthetic(finder: Finder = ours, *, held_out: bool) -> dict[str, Any]:
    """Recall and precision on the synthetic sentences, halved by template.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold them.
    """
    table = read("pii_presidio_synth")
    table = table[table.template_id % 2 == int(held_out)]
    hits: Counter[str] = Counter()
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    said: Counter[str] = Counter()
    misses: dict[str, list[str]] = defaultdict(list)
    for text, entities in zip(table.text, table.entities, strict=True):
        spans = finder(text)
        for entity in entities:
            kind = PRESIDIO.get(entity["type"])
            if kind is not None:
                total[kind] += 1
                found = covered(text, (entity["start"], entity["end"]), spans)
                hits[kind] += found
                if not found:
                    misses[f"missed {kind}"].append(f"{entity['value']!r} in {text!r}")
        for kind, _, start, end in spans:
            said[kind] += 1
            good = any(
                PRESIDIO.get(entity["type"]) == kind
                and 2 * (min(end, entity["end"]) - max(start, entity["start"])) >= end - start
                for entity in entities
            )
            right[kind] += good
            if not good:
                misses[f"false {kind}"].append(f"{text[start:end]!r} in {text!r}")
    return {
        "sentences": len(table),
        "recall": {kind: wilson(hits[kind], total[kind]) for kind in sorted(total)},
        "precision": {kind: wilson(right[kind], said[kind]) for kind in sorted(said)},
        "misses": misses,
    }


def peer(python: str, texts: Sequence[str]) -> Finder:
    """A finder that answers with what Presidio's recognisers found in these texts."""
    from pathlib import Path

    script = Path(__file__).with_name("peer_presidio.py")
    lines = "\n".join(json.dumps(text) for text in texts)
    done = subprocess.run([python, str(script)], input=lines, check=True, capture_output=True, text=True).stdout
    answers = [json.loads(line) for line in done.splitlines()]
    found = {
        text: [(PRESIDIO.get(kind, kind), "presidio", start, end) for kind, start, end in answer]
        for text, answer in zip(texts, answers, strict=True)
    }
    return found.__getitem__


def main(words: list[str] | None = None) -> None:
    """Measure what is missing, and say it.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the synthetic sentences.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--on", choices=["held_out", "development"], default="held_out")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--looked-at", action="store_true", help="mark the record: these sentences were looked at")
    parser.add_argument("--show", type=int, default=0, help="development: examples of each mistake")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with presidio-analyzer: measure that instead")
    options = parser.parse_args(words)
    held_out = options.on == "held_out"
    if options.show and held_out:
        parser.error("held-out documents are not looked at: --show goes with --on development")
    for part in options.parts:
        name = f"redaction-{part}" + ("-presidio" if options.peer else "")
        cell: dict[str, Any] = {
            "documents": options.documents,
            "sentences": 2,
            "rules": "presidio" if options.peer else rule_set(),
        }
        cell |= {} if held_out else {"development": True}
        cell |= {"looked_at": True} if options.looked_at else {}
        if held_out and RESULTS.find(name, cell) is not None:
            continue
        values = PARTS[part](options.documents, held_out, options.peer)
        misses = values.pop("misses", {})
        print(json.dumps({part: _short(values)}, ensure_ascii=False), flush=True)
        for title, examples in sorted(misses.items()):
            for example in examples[: options.show]:
                print(f"  {title} ({len(examples)}): {example}")
        if held_out:
            RESULTS.append(name, cell, values)


def _short(values: Any) -> Any:
    """For a screen: an interval as `0.990 [0.980, 0.995] of 400`."""
    if isinstance(values, Mapping):
        if {*values} == {"value", "low", "high", "n"}:
            return "{value:.4f} [{low:.4f}, {high:.4f}] of {n}".format(**values)
        return {key: _short(value) for key, value in values.items()}
    return values


def _p1(count: int, held_out: bool, python: str | None) -> dict[str, Any]:
    kept = list(documents(count, held_out=held_out))
    values = planted(kept, peer(python, [one.text for one in kept]) if python else ours)
    return {**values, **({} if python else gates(values))}


def _p2(count: int, held_out: bool, python: str | None) -> dict[str, Any]:
    kept = list(negatives(count, held_out=held_out))
    return false_spans(kept, peer(python, kept) if python else ours)


def _p3(count: int, held_out: bool, _: str | None) -> dict[str, Any]:
    return disguises(max(50, count // 20), held_out=held_out)


def _p4(count: int, held_out: bool, _: str | None) -> dict[str, Any]:
    kept = list(documents(max(50, count // 5), held_out=held_out, seed=1))
    return {**properties(kept), "time": times(20_000)}


def _p7(count: int, _: bool, __: str | None) -> dict[str, Any]:
    return skew(max(50, count // 20))


def _synthetic(_: int, held_out: bool, python: str | None) -> dict[str, Any]:
    texts = sorted(set(read("pii_presidio_synth").text)) if python else []
    return synthetic(peer(python, texts) if python else ours, held_out=held_out)


PARTS: Mapping[str, Callable[[int, bool, str | None], dict[str, Any]]] = {
    "planted": _p1, "negatives": _p2, "disguises": _p3, "properties": _p4, "skew": _p7, "synthetic": _synthetic,
}  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
