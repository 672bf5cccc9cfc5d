"""A tokenizer with fewer entries, whose remaining ones read every text they make up as before."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from underlay.core import UsageError
from underlay.modalities.text_tokenizer import Subwords

Staying = Callable[[Mapping[str, Any], set[str], set[str]], set[str]]
"""(the `model` of a tokenizer.json, entries in use, entries that no text is made of) -> entries that have to stay."""


def trim(file: bytes, used: Iterable[int]) -> tuple[bytes, np.ndarray]:
    """The `tokenizer.json` without the entries that are not in use, and what is left of the ids.

    A text whose ids all stay is read as before, entry for entry. Of any other text no more becomes unknown than before:
    single characters (bytes, where it reads bytes) stay, and what is gone falls to the pieces that stay.

    Args:
        file: A `tokenizer.json`.
        used: Ids in use.

    Returns:
        The file, with ids from 0 on in their old order, and the old id of each, int64 `[V]`, ascending.

    Raises:
        UsageError: `vocabulary`: its entries cannot be taken out without words becoming unknown.
    """
    parsed = json.loads(file)
    own = Subwords(file)
    ids = Tokenizer.from_str(file.decode("utf-8")).get_vocab(with_added_tokens=True)
    names = {number: entry for entry, number in ids.items()}
    framing = [*own.prefix, *own.between, *own.suffix, own.padding, own.unknown]
    added = {str(token["content"]) for token in parsed.get("added_tokens", [])}
    wanted = {names[int(number)] for number in (*used, *framing) if int(number) in names}
    stay = _kind(parsed["model"])(parsed["model"], wanted | added, added)
    kept = np.array(sorted(ids[entry] for entry in stay), dtype=np.int64)
    new = {names[int(old)]: place for place, old in enumerate(kept)}
    trimmed = json.dumps(_renumbered(parsed, ids, new), ensure_ascii=False).encode("utf-8")
    if Tokenizer.from_str(trimmed.decode("utf-8")).get_vocab(with_added_tokens=True) != new:
        raise _refused("the ids of its entries do not follow from their order")
    return trimmed, kept


def _kind(model: Mapping[str, Any]) -> Staying:
    """What has to stay, by the kind of model; older files do not name it."""
    guessed = "BPE" if "merges" in model else "Unigram" if isinstance(model.get("vocab"), list) else "WordPiece"
    kind = model.get("type", guessed)
    if kind not in _STAY:
        raise _refused(f"it is of the kind {kind}; known are {', '.join(_STAY)}")
    return _STAY[kind]


def _word_pieces(model: Mapping[str, Any], used: set[str], special: set[str]) -> set[str]:
    """Entries in use, and every single character, in both of its forms.

    A word is read by the longest entry from each place on. Where every character that stands in an entry has an entry
    of its own, there is one from any place on, wherever the ones before it ended.
    """
    vocabulary, mark = set(model["vocab"]), str(model["continuing_subword_prefix"])
    alone = {entry for entry in vocabulary if len(entry.removeprefix(mark)) <= 1}
    needed: set[str] = set()
    for entry in vocabulary - special - {str(model["unk_token"])}:
        body = entry.removeprefix(mark)
        within = body if entry.startswith(mark) else body[1:]
        needed |= {mark + one for one in within} | set(body[: len(body) - len(within)])
    _require_single(needed - alone)
    return used | alone


def _pairs(model: Mapping[str, Any], used: set[str], _: set[str]) -> set[str]:
    """Entries in use, what they are merged from, and everything that is not merged from others."""
    vocabulary, mark = set(model["vocab"]), str(model.get("continuing_subword_prefix") or "")
    sources: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for first, second in map(_pair, model["merges"]):
        sources[first + second.removeprefix(mark)].append((first, second))
    stay = used | {entry for entry in vocabulary if entry not in sources}
    waiting = list(used)
    while waiting:
        for pair in sources.get(waiting.pop(), ()):
            waiting += [entry for entry in pair if entry not in stay]
            stay |= set(pair)
    return stay


def _unigrams(model: Mapping[str, Any], used: set[str], special: set[str]) -> set[str]:
    """Entries in use, every single character or byte, and the least likely entry, which the unknown is measured by."""
    scores = {str(entry): float(score) for entry, score in model["vocab"]}
    unknown = set() if model.get("unk_id") is None else {str(model["vocab"][model["unk_id"]][0])}
    alone = {entry for entry in scores if len(entry) == 1 or _is_byte(entry)}
    if not model.get("byte_fallback"):
        _require_single({one for entry in set(scores) - special - unknown for one in entry} - alone)
    return used | alone | unknown | {min(scores, key=lambda entry: scores[entry])}


def _is_byte(entry: str) -> bool:
    return len(entry) == 6 and entry.startswith("<0x") and entry.endswith(">")


_STAY: Mapping[str, Staying] = {"WordPiece": _word_pieces, "BPE": _pairs, "Unigram": _unigrams}


def _require_single(missing: set[str]) -> None:
    if missing:
        shown = ", ".join(map(repr, sorted(missing)[:5]))
        raise _refused(f"{len(missing)} characters stand only within longer entries ({shown})")


def _pair(merge: str | list[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _renumbered(parsed: Mapping[str, Any], old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, Any]:
    """The whole file with the entries that stay, and their new ids wherever an id stands."""
    found = dict(parsed)
    found["model"] = _model(parsed["model"], new)
    found["added_tokens"] = [{**token, "id": new[token["content"]]} for token in parsed.get("added_tokens", [])]
    if isinstance(parsed.get("padding"), dict):
        by_id = {number: new[entry] for entry, number in old.items() if entry in new}
        found["padding"] = {**parsed["padding"], "pad_id": by_id[parsed["padding"]["pad_id"]]}
    if parsed.get("post_processor") is not None:
        found["post_processor"] = _framing(parsed["post_processor"], new)
    return found


def _model(model: Mapping[str, Any], new: Mapping[str, int]) -> dict[str, Any]:
    if isinstance(model["vocab"], list):
        entries = [pair for pair in model["vocab"] if pair[0] in new]
        unknown = None if model.get("unk_id") is None else model["vocab"][model["unk_id"]][0]
        place = next((at for at, pair in enumerate(entries) if pair[0] == unknown), None)
        return {**model, "vocab": entries, "unk_id": place}
    found = {**model, "vocab": {entry: new[entry] for entry in model["vocab"] if entry in new}}
    if "merges" in model:
        mark = str(model.get("continuing_subword_prefix") or "")
        found["merges"] = [
            merge
            for merge in model["merges"]
            for first, second in [_pair(merge)]
            if first in new and second in new and first + second.removeprefix(mark) in new
        ]
    return found


def _framing(processor: Mapping[str, Any], new: Mapping[str, int]) -> dict[str, Any]:
    """What puts special ids around a text."""
    kind = processor["type"]
    if kind == "Sequence":
        return {**processor, "processors": [_framing(one, new) for one in processor["processors"]]}
    if kind == "TemplateProcessing":
        special = {
            name: {**one, "ids": [new[entry] for entry in one["tokens"]]}
            for name, one in processor["special_tokens"].items()
        }
        return {**processor, "special_tokens": special}
    if kind in ("BertProcessing", "RobertaProcessing"):
        return {**processor, **{end: [processor[end][0], new[processor[end][0]]] for end in ("sep", "cls")}}
    if kind == "ByteLevel":
        return dict(processor)
    raise _refused(f"its ids are framed by {kind}, which is not known")


def _refused(what: str) -> UsageError:
    return UsageError(f"this tokenizer cannot be trimmed: {what}", "leave out --vocabulary", code="vocabulary")
