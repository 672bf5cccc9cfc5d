"""Redaction of JSON as it lies in a file: strings, keys and long numbers are replaced, every other sign stays."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from underlay.core import MissingExtra
from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.placeholders import Numbering
from underlay.serve.redaction.policy import Policy
from underlay.serve.redaction.redaction import FAILED, MASKED, Redaction, redact

_TOKEN = compiled(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?|[{}\[\],:]')
_OPENING, _CLOSING, _OBJECT, _COMMA, _COLON = ("{", "["), ("}", "]"), ("{",), (",",), (":",)
_SIGNS = (*_OPENING, *_CLOSING, *_COMMA, *_COLON)
_WHOLE = compiled(r"([0-9]{7,20})(?:\.0+)?")


@dataclass
class _Place:
    """Where in a document a token stands."""

    inside: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    awaits_key: bool = False

    def see(self, token: str) -> bool:
        """Notice a token; whether it is a key."""
        if token in _OPENING:
            self.inside.append(token)
            self.keys.append("")
            self.awaits_key = token in _OBJECT
        elif token in _CLOSING:
            self.inside.pop()
            self.keys.pop()
        elif token in _COMMA:
            self.awaits_key = bool(self.inside) and self.inside[-1] in _OBJECT
        elif token not in _COLON and self.awaits_key:
            self.awaits_key = False
            self.keys[-1] = json.loads(token)
            return True
        return False

    @property
    def column(self) -> str:
        """The key of the outermost object."""
        return self.keys[0] if self.keys else ""

    @property
    def label(self) -> str:
        """The nearest key."""
        return next((key for key in reversed(self.keys) if key), "")


def redact_json(text: str, policy: Policy, *, columns: tuple[str, ...] = ()) -> Redaction:
    """Redact one JSON document, which is one document for the numbers of placeholders too.

    Args:
        text: The document, as it was written.
        policy: What is redacted and how.
        columns: Keys of the outermost object whose values are redacted; none for everything, keys as well.

    >>> redact_json('{"phone": 13800138000, "n":  1.50}', Policy()).text
    '{"phone": "[PHONE_1]", "n":  1.50}'
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return _masked("not_json")
    try:
        return _joined(text, policy, columns)
    except MissingExtra:
        raise
    # Closed, as for a plain text.
    except Exception:  # noqa: BLE001
        return _masked("redaction_failed")


def _masked(why: str) -> Redaction:
    return Redaction(json.dumps(MASKED), (), {FAILED: 1}, why)


def _joined(text: str, policy: Policy, columns: tuple[str, ...]) -> Redaction:
    numbering = Numbering()
    numbering.skip(text)
    pieces: list[str] = []
    counts: Counter[str] = Counter()
    failed: str | None = None
    at = 0
    for start, end, token, done in _redacted(text, policy, columns, numbering):
        pieces += [text[at:start], token]
        counts.update(done.counts)
        failed = failed or done.failed
        at = end
    return Redaction("".join((*pieces, text[at:])), (), dict(counts), failed)


def _redacted(
    text: str, policy: Policy, columns: tuple[str, ...], numbering: Numbering
) -> Iterator[tuple[int, int, str, Redaction]]:
    """Tokens that are to be replaced, and by what."""
    place = _Place()
    for found in _TOKEN.finditer(text):
        token = found.group()
        is_key = place.see(token)
        if token in _SIGNS or (columns and (is_key or place.column not in columns)):
            continue
        value = json.loads(token) if token[0] == '"' else _whole(token)
        if not value:
            continue
        done = redact(value, policy, context="" if is_key else place.label, numbering=numbering)
        if done.text != value:
            yield found.start(), found.end(), json.dumps(done.text, ensure_ascii=token.isascii()), done


def _whole(token: str) -> str:
    """The digits of a number that is whole and long enough to be somebody's."""
    found = _WHOLE.fullmatch(token)
    return str(found.group(1)) if found else ""
