"""Rules for what opens doors: keys, tokens, passwords in assignments and in URLs."""

import base64
import binascii
import json
import math
from collections import Counter
from collections.abc import Iterator

from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.view import Found, View, alone

RANDOM = 3.0
"""Bits a sign from which a token looks drawn rather than written: English words have about 2.5 over 20 letters, base64
of a random key above 3.5."""

_PRIVATE = compiled(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[A-Za-z0-9+/=\s:,\-.]*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s]*)"
)
_JWT = compiled(r"eyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]{2,}\.[A-Za-z0-9_\-]*")
_KNOWN = compiled(
    r"(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_\-]{20,}"
    r"|xox[abprs]-[A-Za-z0-9\-]{10,}|AIza[0-9A-Za-z_\-]{35}|sk-[A-Za-z0-9_\-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|LTAI[A-Za-z0-9]{12,24}|ul_[A-Za-z0-9_\-]{32,}|underlay_[A-Za-z0-9_\-]{32,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}"
    r"|pypi-[A-Za-z0-9_\-]{40,}"
)
_BEARER = compiled(r"(?i)\b(?:bearer|basic)[ :]+([A-Za-z0-9._~+/\-]{16,}=*)")
_USER_PASS = compiled(r"(?i)[a-z][a-z0-9+.\-]{1,20}://([^\s/@:\"'<>]{0,128}:[^\s/@\"'<>]{1,256})@")
_ASSIGNED = compiled(
    r"(?i)(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|client[_-]?secret|api[_ -]?key|apikey"
    r"|access[_-]?key(?:[_-]?id)?|access[_-]?token|auth[_-]?token|refresh[_-]?token|token|private[_-]?key|密码|口令|密钥|令牌|登录密码|支付密码)"
    r"[\"']? {0,3}(?:=>|:=|[:=]| is |是|为) {0,3}[\"']?([!-&(-+\--:<-~]{4,256})"
)
_NOT_VALUES = compiled(
    r"(?i)(?:true|false|none|null|nil|undefined|required|optional|string|str|int|bytes|text|empty|hidden|redacted"
    r"|changeme|[*x.•]+|\$?[{<\[(].*|%[sd]|os\..*|self\..*|getenv.*|process\.env.*|[a-z_]+\(.*|your[-_ ].*"
    r"|incorrect|wrong|invalid|expired|correct|reset|changed|forgotten|missing|weak|strong|too|not|with|that|this|must|should|been|from|stored"
    r"|never)"
)


_GOES_ON = compiled(r"^[:,]? ?[A-Za-z0-9]")
"""After a word that is part of a sentence: `enter your password: then press return`."""


def secrets(view: View) -> Iterator[Found]:
    """What is recognised among the keys and passwords of a text."""
    for found in view.matches(_PRIVATE):
        yield _secret("pem", found.start(), found.end(), found.group())
    for found in view.matches(_JWT):
        if _is_token(found.group()):
            yield _secret("jwt", found.start(), found.end(), found.group())
    for found in view.matches(_KNOWN):
        if alone(view, found.start(), found.end()) and entropy(found.group()) > RANDOM:
            yield _secret("key", found.start(), found.end(), found.group())
    for found in view.matches(_BEARER):
        if entropy(found.group(1)) > RANDOM:
            yield _secret("bearer", found.start(1), found.end(1), found.group(1))
    for found in view.matches(_USER_PASS):
        yield _secret("url", found.start(1), found.end(1), found.group(1))
    yield from _assigned(view)


def _assigned(view: View) -> Iterator[Found]:
    """`password=...` and its like; the value is what goes, and what is no value stays."""
    for found in view.matches(_ASSIGNED):
        value = found.group(1)
        value = value[: min((at for sign in "\"'`&" if (at := value.find(sign)) >= 0), default=len(value))]
        value = value.rstrip(".,;:!?)]}>") if len(value) > 6 and value[0] not in "[{(<" else value.rstrip(".,;:")
        prose = (
            (value.islower() or value.istitle() or value.isupper())
            and value.isalpha()
            and found.group()[: -len(found.group(1))].endswith(" ")
            and _GOES_ON.search(view.after(found.start(1) + len(value)))
        )
        if len(value) >= 4 and not prose and not _NOT_VALUES.fullmatch(value):
            yield _secret("assigned", found.start(1), found.start(1) + len(value), value)


def _secret(rule: str, start: int, end: int, value: str) -> Found:
    return Found("SECRET", rule, start, end, 0.9, value)


def _is_token(text: str) -> bool:
    """Whether the first part of a JSON web token is its header."""
    head = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and ("alg" in header or "typ" in header or "enc" in header)


def entropy(text: str) -> float:
    """Bits a sign of the text's own distribution of signs.

    >>> round(entropy("aaaa"), 1), entropy("abcd")
    (0.0, 2.0)
    """
    total = len(text)
    return sum(-count / total * math.log2(count / total) for count in Counter(text).values()) + 0.0
