"""Check digits and other arithmetic that real numbers obey and invented ones seldom do."""

from datetime import date

PROVINCES = frozenset(
    map(
        str,
        (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82),
    )
)
"""First two digits of a resident identity number: the 34 divisions of GB/T 2260."""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CREDIT_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_HONG_KONG_SPACE = 36  # what the missing first letter of an identity card counts as
_TAIWAN = "ABCDEFGHJKLMNPQRSTUVXYWZIO"  # in the order of their codes, 10 to 35

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SD": 18,
    "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22,
    "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT's registry)."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1) of the others.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def resident_id(number: str) -> bool:
    """Whether 18 signs are a resident identity number: province, birthday, check digit (GB 11643, ISO 7064 MOD 11-2).

    >>> resident_id("11010519491231002X"), resident_id("110105194912310021")
    (True, False)
    """
    if len(number) != 18 or not number[:17].isdigit() or not _born(number[:2], number[6:14]):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, number, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()


def old_resident_id(number: str) -> bool:
    """Whether 15 digits can be an identity number of the first generation: province and a birthday from 1900 to 1999.

    >>> old_resident_id("130503670401001"), old_resident_id("130503671301001")
    (True, False)
    """
    return len(number) == 15 and _born(number[:2], "19" + number[6:12])


def _born(province: str, day: str) -> bool:
    """Whether the place exists and the day lies in 1900 to 2099; without a clock, the future is not refused."""
    if province not in PROVINCES or day[:2] not in ("19", "20"):
        return False
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return False
    return True


def credit_code(code: str) -> bool:
    """Whether 18 signs are a unified social credit code with its check sign (GB 32100, modulo 31).

    >>> credit_code("91350100M000100Y43"), credit_code("91350100M000100Y44")
    (True, False)
    """
    if len(code) != 18 or any(sign not in _CREDIT_LETTERS for sign in code):
        return False
    total = sum(weight * _CREDIT_LETTERS.index(sign) for weight, sign in zip(_CREDIT_WEIGHTS, code, strict=False))
    return _CREDIT_LETTERS[-total % 31] == code[17]


def iban(number: str) -> bool:
    """Whether the letters and digits are an IBAN: its country's length and ISO 7064 MOD 97-10.

    >>> iban("DE89370400440532013000"), iban("DE88370400440532013000")
    (True, False)
    """
    if IBAN_LENGTHS.get(number[:2]) != len(number) or not number[2:4].isdigit():
        return False
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def hong_kong_id(letters: str, digits: str, check: str) -> bool:
    """Whether the check sign of a Hong Kong identity card is that of its letters and six digits (modulo 11).

    >>> hong_kong_id("A", "123456", "3"), hong_kong_id("A", "123456", "4")
    (True, False)
    """
    values = [int(sign, 36) for sign in letters]
    values = [_HONG_KONG_SPACE, *values] if len(values) == 1 else values
    values += [int(digit) for digit in digits]
    total = sum(weight * value for weight, value in zip(range(9, 1, -1), values, strict=True))
    return "0123456789A"[-total % 11] == check.upper()


def taiwan_id(number: str) -> bool:
    """Whether a letter and nine digits are an identity number of Taiwan (modulo 10).

    >>> taiwan_id("A123456789"), taiwan_id("A123456788")
    (True, False)
    """
    code = 10 + _TAIWAN.index(number[0].upper())
    values = [code // 10, code % 10, *map(int, number[1:])]
    return (
        sum(weight * value for weight, value in zip((1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), values, strict=True)) % 10 == 0
    )


def card_issuer(digits: str) -> bool:
    """Whether a number of this length begins as a card network's does.

    UnionPay 62, Visa 4, Mastercard 51-55 and 2221-2720, JCB 3528-3589, American Express 34 and 37, Diners 30, 36, 38,
    Discover 6011, 644-649, 65, Maestro 50, 56-58, 63, 67, Mir 2200-2204.

    >>> card_issuer("4111111111111111"), card_issuer("9111111111111111")
    (True, False)
    """
    length, four = len(digits), int(digits[:4])
    return any(length in lengths and first <= four <= last for first, last, lengths in _ISSUERS)


_ISSUERS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (6200, 6299, (16, 17, 18, 19)),
    (4000, 4999, (13, 16, 19)),
    (5100, 5599, (16,)),
    (2221, 2720, (16,)),
    (2200, 2204, (16,)),
    (3528, 3589, (16,)),
    (3400, 3499, (15,)),
    (3700, 3799, (15,)),
    (3000, 3059, (14,)),
    (3600, 3699, (14,)),
    (3800, 3899, (14,)),
    (6011, 6011, (16, 19)),
    (6440, 6599, (16, 19)),
    (5000, 5099, (16, 18, 19)),
    (5600, 5899, (12, 13, 14, 15, 16, 18, 19)),
    (6300, 6399, (12, 16, 18, 19)),
    (6700, 6799, (12, 16, 18, 19)),
)
