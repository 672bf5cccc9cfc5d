"""Rules for telephones: mainland mobiles by their form, all others with the check of a telephone library."""

from typing import Any

from underlay.core import MissingExtra
from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.runs import Digits
from underlay.serve.redaction.view import Found, View, about

REGIONS = (
    "CN", "US", "GB", "HK", "TW", "AU", "DE", "FR", "IT", "ES", "NL", "JP", "SG", "ZA", "SE", "DK", "NO", "CH", "PL",
    "BR",
)  # fmt: skip
"""Where a number without a country's code is looked up, in this order, if words say that it is a telephone."""

_WORDS = about(
    "电话|手机|了打|请打|打我|有事打|可打|再打"
    "|联系|联系方式|致电|拨打|来电|回电|座机|固话|热线|传真|微信|的号码|短信|客服|tel|tel no"
    "|telephone|phone|phone number|mobile|mob|cell|cellphone|call|calls|called|calling|fax|contact|whatsapp"
    "|wechat|sms|text me|dial|reach|reached|reach me|hotline|ring|number is|messages to|message|answering at"
    "|desk",
    "订单|订单号|单号|编号|流水|流水号|序列号|批次|快递单|快递号|运单|物流号|金额|价格|总价|合计|余额|版本|货号|工单"
    "|时间戳|坐标|条码|股票|代码|身份证|护照|通行证|卡号|银行卡|设备号|账户|账号|order|order no|order number"
    "|invoice|serial|serial no|sku|isbn|issn|tracking|ref|reference|amount|price|total|id|uid|version|batch"
    "|ticket|timestamp|part|sn|item|case|zip|account|card|ssn|code|ip|pin|imei|passport|permit|license"
    "|licence|license number|licence number|iban|ean|upc|barcode|rows|size|lot|score",
)
_MONEY_BEFORE = compiled(r"(?i)(?:[$¥￥€£#]|rmb|cny|usd|eur|hk\$) ?$")
_MONEY_AFTER = compiled(r"(?i)^ ?(?:元|块|万|亿|%|rmb|cny|usd|美元|欧元|人民币|kg|km|ms|bytes|次|件|股|吨|秒|字节)")
_LABEL = compiled(r"(?i)(?:tel|telephone|phone|mobile|mob|cell|fax|call|wechat|whatsapp|m|t|p|ph)$")
_LABELLED = compiled(
    r"(?i)(?:phone|telephone|tel|mobile|cell|fax|desk|office|home|work|电话|手机|传真|座机|固话|联系方式)"
    r"(?: ?no\.?| number)?(?: ?号码?)?(?: ?:| is|是|为)? ?[(]?$"
)
_THOUSANDS = compiled(r"[0-9],$")
_EXTENSION = compiled(r"(?i)^ ?(?:ext\.?|extension|x|转|分机) ?:? ?[0-9]{1,6}")

_MOBILE_SIZES = frozenset({(11,), (3, 4, 4), (3, 8), (7, 4), (4, 4, 3), (4, 3, 4), (3, 3, 5), (4, 7), (5, 6), (6, 5)})
MOST_GROUPS = 7
"""Groups of a telephone that is not spelled digit by digit: French ones have five, with a country's code and an area in
brackets seven."""

MOST_DIGITS = 13
"""Digits of a telephone that begins with neither a plus nor 00: eleven, and two of a country's code."""

_NORTH_AMERICA = frozenset({(3, 3, 4), (3, 7), (1, 3, 3, 4)})


def mobile(view: View, reading: Digits) -> Found | None:
    """A mainland mobile: 1, 3 to 9, and nine more digits, with or without +86."""
    number, start, prefixed = reading.number, reading.start, False
    for code in ("0086", "86", ""):
        if number.startswith(code) and len(number) == 11 + len(code):
            number, prefixed = number[len(code) :], bool(code)
            break
    else:
        return None
    if number[0] != "1" or number[1] not in "3456789" or reading.dated:
        return None
    sizes = _without(reading.sizes, len(reading.number) - 11)
    if sizes is None:
        return None
    start, plus = _plus(view, start)
    certainty = 0.8 if sizes in _MOBILE_SIZES or max(sizes) <= 2 else 0.45
    certainty += 0.3 if plus or prefixed else 0.0
    certainty += _surroundings(view, reading, start)
    if reading.stacked or (any("\n" in gap for gap in reading.gaps) and _is_column(view, reading)):
        certainty -= 0.5
    return Found("PHONE", "mobile", start, reading.end, certainty, number)


def _without(sizes: tuple[int, ...], prefix: int) -> tuple[int, ...] | None:
    """The sizes of the groups after so many digits; None where a group lies across."""
    if prefix == 0:
        return sizes
    rest = list(sizes)
    while prefix > 0 and rest and rest[0] <= prefix:
        prefix -= rest.pop(0)
    if prefix and rest and len(rest[1:]) <= 2:  # +8613800138000, the code grown onto the number
        rest[0] -= prefix
        prefix = 0
    return tuple(rest) if rest and not prefix else None


def landline(view: View, reading: Digits) -> Found | None:
    """Any other telephone: by its plus, its area code or the words around it, and valid where it would ring."""
    start, plus = _plus(view, reading.start)
    regions = _regions(view, reading, plus=plus)
    if not regions:
        return None
    certainty = (0.9 if plus else 0.6) + _surroundings(view, reading, start, near=True)
    if certainty < 0.5 or (reading.dated and not plus):
        return None
    said = view.leaning(reading.start, reading.end, _WORDS, near=True) > 0
    lenient = plus or (said and reading.sizes in _NORTH_AMERICA) or _LABELLED.search(view.before(start)) is not None
    number = _valid(view.text[start : reading.end].replace("\n", " "), regions, lenient=lenient)
    if number is None:
        return None
    extension = _EXTENSION.search(view.after(reading.end))
    end = reading.end + (extension.end() if extension and not reading.right else 0)
    if view.text[start - 1 : start] == "(" and (view.text[end : end + 1] == ")" or ")" in "".join(reading.gaps)):
        start, end = start - 1, end + (view.text[end : end + 1] == ")" and ")" not in "".join(reading.gaps))
    return Found("PHONE", "phone", start, end, certainty, number)


def _regions(view: View, reading: Digits, *, plus: bool) -> tuple[str, ...]:
    """Where the number may ring; empty where nothing but its digits speaks for a telephone."""
    number, sizes = reading.number, reading.sizes
    if plus:
        return ("ZZ",)
    said = (
        len(sizes) <= MOST_GROUPS
        and len(number) <= MOST_DIGITS
        and view.leaning(reading.start, reading.end, _WORDS, near=True) > 0
    )
    if not said and any("\n" in gap for gap in reading.gaps):
        return ()
    if number.startswith("00") and len(number) > 10 and number[2] != "0" and (said or len(sizes) > 1):
        return ("ZZ",)
    if reading.gaps == (".",) or (any("/" in gap for gap in reading.gaps) and number[0] != "0"):
        return ()  # a fraction
    bracketed = view.text[reading.start - 1 : reading.start] == "("
    gaps = set(reading.gaps)
    # `415 555 2671` without a word may be three numbers.
    if sizes in _NORTH_AMERICA and (bracketed or (" " not in gaps and (len(gaps) == 1 or sizes[0] == 1))):
        return ("US",)
    area = number[0] == "0" and len(sizes) in (2, 3) and sizes[0] in (3, 4) and 10 <= len(number) <= 12
    if area and not reading.joined:
        return REGIONS if said else ("CN", "GB")
    if sizes in {(3, 3, 4), (3, 4, 3)} and number[:3] in ("400", "800"):
        return ("CN",)
    return REGIONS if said else ()


def _valid(text: str, regions: tuple[str, ...], *, lenient: bool) -> str | None:
    """The number as the library writes it, if it is valid in one of the regions.

    Args:
        text: With its separators.
        regions: Where it may ring.
        lenient: Its length is enough: a plus or a label says that it is meant as a telephone, given out or not.

    Raises:
        MissingExtra: The library is not installed.
    """
    try:
        import phonenumbers
    except ImportError as error:
        raise MissingExtra("the check of telephone numbers", "redact") from error
    if regions == ("ZZ",) and text.startswith("00"):
        text = "+" + text[2:]
    for region in regions:
        number: Any
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) or (lenient and phonenumbers.is_possible_number(number)):
            return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return None


def _plus(view: View, start: int) -> tuple[int, bool]:
    """Where the number begins with its plus and bracket, and whether it has a plus."""
    before = view.text[max(0, start - 2) : start]
    for opening in ("(+", "+(", "+ ", "+"):
        if before.endswith(opening):
            return start - len(opening), True
    return start, False


def _surroundings(view: View, reading: Digits, start: int, *, near: bool = False) -> float:
    """What the neighbours and the words around add to a number's certainty or take from it."""
    text, end = view.text, reading.end
    touching, following = text[start - 1 : start], text[end : end + 1]
    change = 0.3 * (said := view.leaning(reading.start, end, _WORDS, near=near)) - (0.2 if said < 0 else 0.0)
    if touching.isascii() and (touching.isalnum() or touching == "_") and not _LABEL.search(view.before(start, 9)):
        change -= 1.0
    if following.isascii() and (following.isalpha() or following == "_") and not _EXTENSION.search(view.after(end)):
        change -= 1.0
    if reading.joined or _THOUSANDS.search(view.before(start, 5)):
        change -= 0.6
    if _MONEY_BEFORE.search(view.before(start, 5)) or _MONEY_AFTER.search(view.after(end)):
        change -= 0.6
    return change


def _is_column(view: View, reading: Digits) -> bool:
    """Whether the number is made of lines that hold nothing but digits, as in a table."""
    line = view.text[max(0, reading.start - 1) : reading.start]
    return line in ("", "\n") and view.text[reading.end : reading.end + 1] in ("", "\n")
