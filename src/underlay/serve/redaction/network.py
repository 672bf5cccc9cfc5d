"""Rules for addresses of people and machines on a network: e-mail, IP, MAC."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.view import Found, View

LONGEST_EMAIL = 254
"""Characters of an address (RFC 5321, erratum 1690)."""

_LOCAL = r"[A-Za-z0-9_][A-Za-z0-9_%+'~!#$*\-]*(?:\.[A-Za-z0-9_%+'~!#$*\-]+)*"
_TOP = r"(?:xn--[a-z0-9\-]{2,59}|[a-z]{2,24}|中国|中國|公司|网络|網絡|在线|中文网|网址|商城|网店|集团|台灣|香港)"
_AT = r"(?:\n?@\n?| ?[\[({<] ?at ?[\])}>] ?| at )"
_DOT = r"(?:\.\n?| ?[\[({<] ?dot ?[\])}>] ?)"
_EMAIL = compiled(rf"(?i)({_LOCAL}|\"[^\"\n]{{1,62}}\")\n?@\n?(?:[a-z0-9\-]+\.\n?)+{_TOP}")
_INTERNATIONAL = compiled(rf"(?i)({_LOCAL}|\p{{Han}}+)\n?@\n?(?:[\p{{L}}\p{{N}}\-]+\.)+{_TOP}")
_SPOKEN = compiled(rf"(?i)({_LOCAL}){_AT}(?:[a-z0-9\-]+{_DOT})+{_TOP}")
_LITERAL = compiled(rf"(?i)({_LOCAL})@\[(?:IPv6:)?[0-9a-f.:]{{7,45}}\]")

_IPV4 = compiled(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_IPV6 = compiled(r"(?i)(?:[0-9a-f]{1,4}|:)?:[0-9a-f:]*:?[0-9a-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?")
_MAC = compiled(r"(?i)[0-9a-f]{2}(?:[:\-][0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
_VERSION = compiled(r"(?i)(?:\b(?:v|ver|version|release|build|section|chapter|firmware|driver)\.? ?(?:is |no |number )?|版本号?[:为是]? ?|固件[:为是]? ?|第|§ ?)$")
_LEAST_HEXTETS = 2


def addresses(view: View) -> Iterator[Found]:
    """What is recognised among the addresses on a network."""
    yield from _email(view)
    yield from _ip(view)
    yield from _mac(view)


def _email(view: View) -> Iterator[Found]:
    """Addresses in ASCII first: Chinese that follows one without a blank is no part of its domain."""
    seen: set[int] = set()
    for pattern in (_EMAIL, _INTERNATIONAL, _LITERAL, _SPOKEN):
        for found in view.matches(pattern):
            text = found.group()
            if found.start() in seen or len(text) > LONGEST_EMAIL or len(found.group(1)) > 64:
                continue
            if (pattern is _SPOKEN and not any(sign in text for sign in "([{<")) or not _ends(view, found.end()):
                continue
            seen.add(found.start())
            yield Found("EMAIL", "email", found.start(), found.end(), 0.95, text.replace("\n", "").lower())


def _ends(view: View, end: int) -> bool:
    """Whether the domain ends there: no further Latin letter, digit or `@`."""
    sign = view.text[end : end + 1]
    return sign != "@" and not (sign.isascii() and sign.isalnum())


def _ip(view: View) -> Iterator[Found]:
    for found in view.matches(_IPV4):
        if not _touched(view, found, "0123456789.") and _is_address(found.group()) and not _VERSION.search(
            view.before(found.start(), 18)
        ):
            yield Found("IP", "ip", found.start(), found.end(), 0.8, found.group())
    for found in view.matches(_IPV6):
        text, end = found.group(), found.end()
        if text.endswith(":") and not text.endswith("::"):
            text, end = text[:-1], end - 1
        hextets = [part for part in text.split(":") if part]
        if len(hextets) < _LEAST_HEXTETS or not any(map(str.isdigit, text)) or _is_near(view, found.start(), end):
            continue
        if _is_address(text):
            yield Found("IP", "ip", found.start(), end, 0.9, text.lower())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_near(view: View, start: int, end: int) -> bool:
    before, after = view.text[start - 1 : start], view.text[end : end + 1]
    return (before.isascii() and (before.isalnum() or before == "_")) or (
        after.isascii() and (after.isalnum() or after == "_")
    )


def _touched(view: View, found: Any, signs: str) -> bool:
    """Whether a letter or one of the signs stands beside it; a full stop at the end of a sentence does not count."""
    before = view.text[found.start() - 1 : found.start()]
    after = view.text[found.end() : found.end() + 2]
    if before and (before in signs or (before.isascii() and (before.isalnum() or before == "_"))):
        return True
    if after[:1] == "." and not after[1:].isdigit():
        return False
    return bool(after) and (after[0] in signs or (after[0].isascii() and (after[0].isalnum() or after[0] == "_")))


def _mac(view: View) -> Iterator[Found]:
    for found in view.matches(_MAC):
        text = found.group()
        bare = "".join(filter(str.isalnum, text)).lower()
        if _touched(view, found, ":-") or len(set(bare)) == 1 or len({sign for sign in text if not sign.isalnum()}) != 1:
            continue
        yield Found("MAC", "mac", found.start(), found.end(), 0.9, bare)
