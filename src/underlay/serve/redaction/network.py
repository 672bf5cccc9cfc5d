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
_SPOKEN = compiled(rf"(?i)({_LOCAL}(?:{_DOT}{_LOCAL})*){_AT}(?:[a-z0-9\-]+{_DOT})+{_TOP}")
_LITERAL = compiled(rf"(?i)({_LOCAL})@\[(?:IPv6:)?[0-9a-f.:]{{7,45}}\]")

_IN_URL = compiled(r"://[^\s/@]*:[^\s/@]*$")
_IPV4 = compiled(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_IPV6 = compiled(r"(?i)(?:[0-9a-f]{1,4}|:)?:[0-9a-f:]*:?[0-9a-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?")
_MAC = compiled(r"(?i)(?:^|[^0-9a-z])([0-9a-f]{2}(?:[:\-][0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})")
_VERSION = compiled(
    r"(?i)(?:\b(?:v|ver|version|release|build|section|chapter|firmware|driver)\.? ?(?:is |no |number )?"
    r"|版本号?[:为是]? ?|固件[:为是]? ?|第|§ ?|[=~<>!]=)$"
)
_PAIR_BEFORE = compiled(r"(?i)(?:^|[^0-9a-z])[0-9a-f]{2}[:\-]$")
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
            if _IN_URL.search(view.before(found.start(), 80)):
                continue  # the password of a URL, which has a rule of its own
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
        version = _VERSION.search(view.before(found.start(), 18))
        if not version and not _touched(view, found) and _is_address(found.group()):
            yield Found("IP", "ip", found.start(), found.end(), 0.8, found.group())
    for found in view.matches(_IPV6):
        text, start, end = found.group(), found.start(), found.end()
        if text.endswith(":") and not text.endswith("::"):
            text, end = text[:-1], end - 1
        if _is_near(view, start, end) or text.startswith(":::") or not text.startswith("::"):
            start, text = _after_label(view, start, text)
        hextets = [part for part in text.split(":") if part]
        if len(hextets) < _LEAST_HEXTETS or not any(map(str.isdigit, text)) or _is_near(view, start, end):
            continue
        if _is_address(text):
            yield Found("IP", "ip", start, end, 0.9, text.lower())


def _after_label(view: View, start: int, text: str) -> tuple[int, str]:
    """The address without the colon of a label before it, and the hexadecimal letters that end the label."""
    labelled = view.text[start - 1 : start].isalnum() and view.text[start - 1 : start].isascii()
    if labelled or text.startswith(":::") or (text.startswith(":") and not text.startswith("::")):
        skipped = text.find(":") + 1
        return start + skipped, text[skipped:]
    return start, text


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


def _touched(view: View, found: Any) -> bool:
    """Whether a letter, a digit or a dot stands beside it; a full stop at the end of a sentence does not count."""
    before = view.text[found.start() - 1 : found.start()]
    after = view.text[found.end() : found.end() + 2]
    if before == "." or (before.isascii() and (before.isalnum() or before == "_")):
        return True
    if after[:1] == ".":
        return after[1:].isdigit()
    return after[:1].isascii() and (after[:1].isalnum() or after[:1] == "_")


def _mac(view: View) -> Iterator[Found]:
    """Six pairs or three fours; more of them in a row are a digest."""
    for found in view.matches(_MAC):
        text, (start, end) = found.group(1), found.span(1)
        bare = "".join(filter(str.isalnum, text)).lower()
        following = view.after(end, 1)
        if following in (":", "-") or (following.isascii() and following.isalnum()):
            continue
        if _PAIR_BEFORE.search(view.before(start, 4)) or len(set(bare)) == 1:
            continue
        if len({sign for sign in text if not sign.isalnum()}) == 1:
            yield Found("MAC", "mac", start, end, 0.9, bare)
