"""What is kept of a row that was sent: its texts redacted, its numbers as they are, of its files a digest."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import Any

from underlay.serve.redaction import Policy, redact_json
from underlay.serve.refusals import Refusal

SECONDS = 1.0
"""For one text; what takes longer is not stored, and its request is refused."""

FILE = "sha256:"
"""How the digest of a file begins where the file stood."""

_POLICY = Policy(seconds=SECONDS)


@dataclass(frozen=True)
class KeptInput:
    """What is kept of one row.

    Args:
        text: JSON by column, redacted; None: nothing is.
        hmac: Of what was sent, under the salt.
        salt: Random; without it the HMAC says nothing to anybody.
        redacted: How many places of each kind were.
    """

    text: str | None
    hmac: str
    salt: str
    redacted: Mapping[str, int] = field(default_factory=dict)


def keep_input(values: Mapping[str, Any], *, inputs: bool) -> KeptInput:
    """What may be kept of a row.

    Args:
        values: Raw, by column.
        inputs: Whether more than the HMAC is kept.

    Raises:
        Refusal: `redaction_timeout`, `redaction_failed`: nothing of it may be kept.

    >>> keep_input({"text": "call 13800138000", "n": 1.5}, inputs=True).text
    '{"text": "call [PHONE_1]", "n": 1.5}'
    """
    plain = {name: _plain(value) for name, value in values.items()}
    salt = token_hex(16)
    code = hmac.new(bytes.fromhex(salt), _text(plain).encode("utf-8", "surrogatepass"), sha256).hexdigest()
    text, counts = _redacted(plain) if inputs else (None, {})
    return KeptInput(text, code, salt, counts)


def file_digest(data: bytes) -> str:
    """What stands for a file.

    >>> file_digest(b"")[:14]
    'sha256:e3b0c44'
    """
    return FILE + sha256(data).hexdigest()


def _redacted(plain: Mapping[str, Any]) -> tuple[str, Mapping[str, int]]:
    """The row as one document, as `underlay redact` takes a line of a file, and how many places of each kind went.

    Raises:
        Refusal: `redaction_timeout`, `redaction_failed`.
    """
    signals = {name: value for name, value in plain.items() if _is_signal(value)}
    rest = {name: value for name, value in plain.items() if name not in signals}
    done = redact_json(_text(rest), _POLICY)
    if done.failed is not None:
        raise Refusal("redaction_timeout" if done.failed == "redaction_timeout" else "redaction_failed")
    found = json.loads(done.text)
    if list(found) != list(rest):  # the name of a column was taken for somebody's number
        raise Refusal("redaction_failed")
    return _text({name: signals[name] if name in signals else found[name] for name in plain}), done.counts


def _plain(value: Any) -> Any:
    """JSON data; bytes, which are a file, as their digest."""
    if isinstance(value, bytes | bytearray | memoryview):
        return file_digest(bytes(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _is_signal(value: Any) -> bool:
    """Whether it is numbers in a row: measured, so no text to search and too many to ask one by one."""
    return isinstance(value, list) and len(value) > 1 and all(_is_number(one) or _is_signal(one) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
