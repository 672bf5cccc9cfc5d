"""Invented personal data in the forms people write it, for documents whose truth is known.

Nothing here is anybody's: digits are drawn, check digits are computed by arithmetic of this file's own (not by the
rules under test), domains are reserved for examples where a form allows it.
"""

import base64
import json
from collections.abc import Callable, Mapping

import numpy as np

Draw = np.random.Generator
Form = Callable[[Draw], str]

_PROVINCES = ["110105", "310104", "440305", "510107", "330106", "420111", "370202", "610113", "350203", "500112"]
_AREA_CODES = ["212", "213", "305", "312", "415", "617", "646", "702", "718", "818"]
_HOSTS = ("example.com", "example.org", "mail.example.net", "corp-mail.example", "qq.com", "163.com", "x1.example.cn")
_FIRST = [
    "ann",
    "bob",
    "li.wei",
    "zhang_san",
    "chen2024",
    "maria.garcia",
    "j.doe",
    "wang-fang",
    "o.brien",
    "tom99",
    "sales.team",
    "xiaoming",
]


def digits(draw: Draw, count: int, first: str = "0123456789") -> str:
    """So many digits, the first from a choice."""
    return str(draw.choice(list(first))) + "".join(map(str, draw.integers(0, 10, count - 1)))


def pick(draw: Draw, *choices: str) -> str:
    """One of them."""
    return choices[int(draw.integers(len(choices)))]


def spaced(text: str, sizes: tuple[int, ...], gap: str) -> str:
    """Groups of the text with a separator between.

    >>> spaced("13800138000", (3, 4, 4), "-")
    '138-0013-8000'
    """
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return gap.join(part for part in (*parts, text[at:]) if part)


def wide(text: str) -> str:
    """ASCII in full-width forms."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def _day(draw: Draw) -> str:
    return f"{draw.integers(1950, 2006)}{draw.integers(1, 13):02}{draw.integers(1, 29):02}"


def id_18(draw: Draw) -> str:
    """A resident identity number; the weight of place i is 2^(17 - i) modulo 11."""
    body = pick(draw, *_PROVINCES) + _day(draw) + digits(draw, 3)
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    check = (12 - total % 11) % 11
    return body + ("X" if check == 10 else str(check))


def id_15(draw: Draw) -> str:
    """One of the first generation."""
    return pick(draw, *_PROVINCES) + _day(draw)[2:] + digits(draw, 3)


def card(draw: Draw, first: str = "", length: int = 16) -> str:
    """A card number; the check digit is the one that makes the sum divisible by ten."""
    body = first + digits(draw, length - 1 - len(first))
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def bank_card(draw: Draw) -> str:
    """One that a network issues."""
    first, length = [("622202", 19), ("6217", 19), ("6228", 16), ("4", 16), ("53", 16), ("2235", 16), ("3530", 16)][
        int(draw.integers(7))
    ]
    return card(draw, first, length)


def iban(draw: Draw) -> str:
    """An account number of one of six countries; 98 minus the remainder of the number with 00 for its check digits."""
    country, length = [("DE", 22), ("GB", 22), ("FR", 27), ("NL", 18), ("ES", 24), ("CH", 21)][int(draw.integers(6))]
    bank = "ABNA" if country in ("NL", "GB") else ""
    body = bank + digits(draw, length - 4 - len(bank))
    number = int("".join(str(int(sign, 36)) for sign in f"{body}{country}00"))
    return f"{country}{98 - number % 97:02}{body}"


def credit_code(draw: Draw) -> str:
    """A unified social credit code; the sign that makes the weighted sum divisible by 31."""
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = "91" + pick(draw, *_PROVINCES) + "MA" + "".join(letters[index] for index in draw.integers(0, 31, 7))
    total = sum(letters.index(sign) * pow(3, place, 31) for place, sign in enumerate(body))
    return body + letters[(31 - total % 31) % 31]


def email(draw: Draw) -> str:
    """An address without surprises."""
    return f"{pick(draw, *_FIRST)}{draw.integers(1, 99)}@{pick(draw, *_HOSTS)}"


def mobile(draw: Draw) -> str:
    """Eleven digits."""
    return "1" + digits(draw, 10, "3456789")


def ip4(draw: Draw) -> str:
    """Four numbers, no network or broadcast address."""
    return ".".join(str(number) for number in (draw.integers(1, 224), *draw.integers(0, 256, 2), draw.integers(1, 255)))


def _hex(draw: Draw, count: int) -> str:
    return "".join("0123456789abcdef"[index] for index in draw.integers(0, 16, count))


def _token(draw: Draw, count: int) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(letters[index] for index in draw.integers(0, 62, count))


def _jwt(draw: Draw) -> str:
    head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": int(draw.integers(1, 10**9))})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, body)]
    return ".".join((*coded, _token(draw, 43)))


def _pem(draw: Draw) -> str:
    lines = "\n".join(_token(draw, 64) for _ in range(4))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


def _us(draw: Draw) -> str:
    return pick(draw, *_AREA_CODES) + digits(draw, 3, "23456789") + digits(draw, 4)


def _letters(draw: Draw, count: int, of: str = "ABCDEFGHJKLMNPQRSTUVWXYZ") -> str:
    return "".join(of[index] for index in draw.integers(0, len(of), count))


def _plate(draw: Draw) -> tuple[str, str]:
    return pick(draw, *"京沪粤浙苏鲁川渝豫闽") + _letters(draw, 1, "ABCDEFGH"), digits(draw, 5)


FORMS: Mapping[str, tuple[Form, ...]] = {
    "id_18": (
        id_18,
        lambda draw: id_18(draw).lower(),
        lambda draw: spaced(id_18(draw), (6, 8), " "),
        lambda draw: spaced(id_18(draw), (6, 8), "-"),
        lambda draw: spaced(id_18(draw), (6, 4, 4), " "),
        lambda draw: spaced(id_18(draw), (3, 3, 4, 4), " "),
        lambda draw: wide(id_18(draw)),
        lambda draw: spaced(id_18(draw), (10,), " "),
        lambda draw: spaced(id_18(draw), (4, 4, 4, 4), " "),
        lambda draw: spaced(id_18(draw), (6, 4, 2, 2), "."),
    ),
    "id_15": (
        id_15,
        lambda draw: spaced(id_15(draw), (6, 6), " "),
        lambda draw: spaced(id_15(draw), (6, 6), "-"),
        lambda draw: wide(id_15(draw)),
        lambda draw: spaced(id_15(draw), (3, 3, 6), " "),
        lambda draw: spaced(id_15(draw), (5, 5), " "),
        lambda draw: spaced(id_15(draw), (6, 2, 2, 2), "-"),
        lambda draw: spaced(id_15(draw), (6, 6), "."),
        lambda draw: spaced(id_15(draw), (3, 3, 3, 3), " "),
        lambda draw: spaced(id_15(draw), (8,), " "),
    ),
    "mobile": (
        mobile,
        lambda draw: spaced(mobile(draw), (3, 4), " "),
        lambda draw: spaced(mobile(draw), (3, 4), "-"),
        lambda draw: spaced(mobile(draw), (3, 4), "."),
        lambda draw: "+86" + mobile(draw),
        lambda draw: "+86 " + spaced(mobile(draw), (3, 4), " "),
        lambda draw: "+86-" + mobile(draw),
        lambda draw: "0086 " + mobile(draw),
        lambda draw: "(+86)" + mobile(draw),
        lambda draw: "86-" + spaced(mobile(draw), (3, 4), "-"),
        lambda draw: wide(mobile(draw)),
        lambda draw: spaced(mobile(draw), (4, 3), " "),
    ),
    "phone": (
        lambda draw: "010-" + digits(draw, 8, "68"),
        lambda draw: f"(021) {digits(draw, 8, '56')}",
        lambda draw: f"0755-{digits(draw, 4, '28')} {digits(draw, 4)}",
        lambda draw: f"+86 10 {digits(draw, 4, '68')} {digits(draw, 4)}",
        lambda draw: f"({_us(draw)[:3]}) " + spaced(_us(draw)[3:], (3,), "-"),
        lambda draw: spaced(_us(draw), (3, 3), "-"),
        lambda draw: spaced(_us(draw), (3, 3), "."),
        lambda draw: "+1 " + spaced(_us(draw), (3, 3), " "),
        lambda draw: f"+44 20 7{digits(draw, 3)} {digits(draw, 4)}",
        lambda draw: f"+33 1 4{spaced(digits(draw, 7, '2345678'), (1, 2, 2), ' ')}",
        lambda draw: f"+852 {digits(draw, 4, '69')} {digits(draw, 4)}",
        lambda draw: f"+65 {digits(draw, 4, '89')}{digits(draw, 4)}",
    ),
    "card": (
        bank_card,
        lambda draw: spaced(bank_card(draw), (4, 4, 4, 4), " "),
        lambda draw: spaced(bank_card(draw), (4, 4, 4, 4), "-"),
        lambda draw: spaced(card(draw, "37", 15), (4, 6), " "),
        lambda draw: card(draw, "34", 15),
        lambda draw: spaced(card(draw, "622848", 19), (6,), " "),
        lambda draw: wide(bank_card(draw)),
        lambda draw: spaced(card(draw, "4"), (4, 4, 4), "."),
        lambda draw: spaced(card(draw, "55"), (4, 4, 4), " "),
        lambda draw: card(draw, "4", 13),
    ),
    "iban": (
        iban,
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), " "),
        lambda draw: iban(draw).lower(),
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), "-"),
        lambda draw: wide(iban(draw)),
        lambda draw: spaced(iban(draw).lower(), (4, 4, 4, 4, 4, 4, 4), " "),
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), "\u00a0"),
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), "\u202f"),
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), "\u2009"),
        lambda draw: spaced(iban(draw), (4, 4, 4, 4, 4, 4, 4), "\u2013"),
    ),
    "credit_code": (
        credit_code,
        lambda draw: credit_code(draw).lower(),
        lambda draw: wide(credit_code(draw)),
        lambda draw: spaced(credit_code(draw), (2, 6, 9), " "),
        lambda draw: spaced(credit_code(draw), (2, 6, 9), "-"),
        lambda draw: spaced(credit_code(draw).lower(), (2, 6, 9), " "),
        lambda draw: spaced(credit_code(draw), (8, 9), "-"),
        lambda draw: spaced(credit_code(draw), (8, 9), " "),
        lambda draw: spaced(credit_code(draw), (2, 6), " "),
        lambda draw: spaced(credit_code(draw), (2, 6), "\u2011"),
    ),
    "email": (
        email,
        lambda draw: email(draw).upper(),
        lambda draw: f"{pick(draw, *_FIRST)}+{pick(draw, 'news', 'shop', '2024')}@{pick(draw, *_HOSTS)}",
        lambda draw: f"{digits(draw, 9, '123456789')}@qq.com",
        lambda draw: f"{pick(draw, *_FIRST)}@{pick(draw, 'a', 'hr', 'dept-7')}.{pick(draw, *_HOSTS)}",
        lambda draw: f"{pick(draw, *_FIRST)}@bücher{draw.integers(1, 99)}.example",
        lambda draw: f"{pick(draw, *_FIRST)}@例子{draw.integers(1, 99)}.公司",
        lambda draw: f"{pick(draw, *_FIRST)}_%{draw.integers(1, 99)}@{pick(draw, *_HOSTS)}",
        lambda draw: wide(email(draw)),
        lambda draw: email(draw).title(),
        lambda draw: f"{pick(draw, *_FIRST)}@xn--fsqu00a.xn--55qx5d",
    ),
    "ip": (
        ip4,
        lambda draw: f"10.{draw.integers(256)}.{draw.integers(256)}.{draw.integers(1, 255)}",
        lambda draw: f"192.168.{draw.integers(256)}.{draw.integers(1, 255)}",
        lambda draw: "2001:db8:" + spaced(_hex(draw, 24), (4, 4, 4, 4, 4), ":"),
        lambda draw: f"fe80::{_hex(draw, 3)}1:{_hex(draw, 4)}:{_hex(draw, 4)}",
        lambda draw: f"2001:DB8::{_hex(draw, 3).upper()}7:1",
        lambda draw: f"::ffff:{ip4(draw)}",
        lambda draw: wide(ip4(draw)),
        lambda draw: f"2400:3200:{_hex(draw, 4)}::1",
        lambda draw: f"172.16.{draw.integers(256)}.{draw.integers(1, 255)}",
    ),
    "mac": (
        lambda draw: spaced(_hex(draw, 12), (2, 2, 2, 2, 2), ":"),
        lambda draw: spaced(_hex(draw, 12).upper(), (2, 2, 2, 2, 2), ":"),
        lambda draw: spaced(_hex(draw, 12), (2, 2, 2, 2, 2), "-"),
        lambda draw: spaced(_hex(draw, 12).upper(), (2, 2, 2, 2, 2), "-"),
        lambda draw: spaced(_hex(draw, 12), (4, 4), "."),
        lambda draw: spaced(_hex(draw, 12).upper(), (4, 4), "."),
        lambda draw: wide(spaced(_hex(draw, 12), (2, 2, 2, 2, 2), ":")),
        lambda draw: spaced(_hex(draw, 12), (2, 2, 2, 2, 2), "\u2011"),
        lambda draw: spaced("00163e" + _hex(draw, 6), (2, 2, 2, 2, 2), ":"),
        lambda draw: spaced("B827EB" + _hex(draw, 6).upper(), (2, 2, 2, 2, 2), ":"),
    ),
    "passport": (
        lambda draw: "E" + digits(draw, 8),
        lambda draw: "G" + digits(draw, 8),
        lambda draw: "E" + _letters(draw, 1, "ABCDEFGH") + digits(draw, 7),
        lambda draw: "D" + digits(draw, 8),
        lambda draw: "e" + digits(draw, 8),
        lambda draw: wide("E" + digits(draw, 8)),
        lambda draw: "E " + digits(draw, 8),
        lambda draw: "S" + digits(draw, 8),
        lambda draw: "P" + digits(draw, 8),
        lambda draw: digits(draw, 9, "123456789"),
        lambda draw: _letters(draw, 2) + digits(draw, 7),
    ),
    "permit": (
        lambda draw: "H" + digits(draw, 10),
        lambda draw: "M" + digits(draw, 10),
        lambda draw: "H" + digits(draw, 8),
        lambda draw: "M" + digits(draw, 8),
        lambda draw: "C" + digits(draw, 8),
        lambda draw: "T" + digits(draw, 8),
        lambda draw: digits(draw, 8, "0123"),
        lambda draw: wide("C" + digits(draw, 8)),
        lambda draw: "h" + digits(draw, 8),
        lambda draw: "W" + digits(draw, 8),
    ),
    "plate": (
        lambda draw: "".join(_plate(draw)),
        lambda draw: "·".join(_plate(draw)),
        lambda draw: " ".join(_plate(draw)),
        lambda draw: "-".join(_plate(draw)),
        lambda draw: _plate(draw)[0] + "D" + digits(draw, 5),
        lambda draw: _plate(draw)[0] + "F" + digits(draw, 5),
        lambda draw: _plate(draw)[0] + digits(draw, 4) + "学",
        lambda draw: _plate(draw)[0] + digits(draw, 2) + _letters(draw, 1) + digits(draw, 2),
        lambda draw: _plate(draw)[0] + _letters(draw, 1) + digits(draw, 4),
        lambda draw: _plate(draw)[0].lower() + digits(draw, 5),
        lambda draw: _plate(draw)[0] + digits(draw, 4) + "挂",
    ),
    "secret": (
        _jwt,
        _pem,
        lambda draw: "AKIA" + _letters(draw, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        lambda draw: "ghp_" + _token(draw, 36),
        lambda draw: "sk-" + _token(draw, 40),
        lambda draw: "xoxb-" + digits(draw, 11) + "-" + _token(draw, 24),
        lambda draw: "glpat-" + _token(draw, 20),
        lambda draw: "ul_" + _token(draw, 43),
        lambda draw: "AIza" + _token(draw, 35),
        lambda draw: "hf_" + _token(draw, 34),
    ),
    "password": (
        lambda draw: _token(draw, 12),
        lambda draw: pick(draw, "Summer", "dragon", "correcthorse", "qwerty") + digits(draw, 4),
        lambda draw: _token(draw, 6) + "!" + _token(draw, 3),
        lambda draw: digits(draw, 6),
        lambda draw: _token(draw, 32),
        lambda draw: "P@ss" + digits(draw, 3),
        lambda draw: _token(draw, 4) + "#" + _token(draw, 4),
        lambda draw: _token(draw, 5) + "$" + digits(draw, 2),
        lambda draw: _token(draw, 20).lower(),
        lambda draw: _hex(draw, 40),
    ),
    "ssn": (
        lambda draw: spaced(
            f"{draw.integers(1, 665):03}{draw.integers(1, 99):02}{draw.integers(1, 9999):04}", (3, 2), "-"
        ),
    ),
}
"""Each type's surface forms; `ssn` has one, the others ten or more."""

KINDS: Mapping[str, str] = {
    "id_18": "ID_CARD", "id_15": "ID_CARD", "mobile": "PHONE", "phone": "PHONE", "card": "BANK_CARD", "iban": "IBAN",
    "credit_code": "CREDIT_CODE", "email": "EMAIL", "ip": "IP", "mac": "MAC", "passport": "PASSPORT",
    "permit": "PERMIT", "plate": "PLATE", "secret": "SECRET", "password": "SECRET", "ssn": "SSN",
}  # fmt: skip
"""What each type should be called."""
