"""Rules for what is written in digits alone: identity numbers, mobile and other telephones, cards, social security."""

from collections.abc import Callable, Iterator

from underlay.serve.redaction import checksums
from underlay.serve.redaction.phones import landline, mobile
from underlay.serve.redaction.runs import Digits, digits
from underlay.serve.redaction.view import CERTAIN, Found, View, about, alone

_IDENTITY = about(
    "身份证|身份证号|证件|证号|公民身份|居民身份|id card|id no|id number|identity|identification|national id|id",
    "订单|单号|流水|快递|运单|物流|order|tracking|invoice|serial|imei|isbn|序列号",
)
_CARD = about(
    "卡号|银行卡|信用卡|储蓄卡|借记卡|账号|账户|帐号|帐户|尾号|银联|card|credit card|debit card|card number|cc|visa"
    "|mastercard|master card|amex|american express|unionpay|account|payment|charge|charged|pay|paid|paying|discover|jcb"
    "|maestro",
    "订单|订单号|单号|流水|快递|运单|物流|条码|序列号|编号|身份证|设备号|时间戳"
    "|order|order no|order number|tracking|invoice"
    "|serial|imei|isbn|barcode|sku|timestamp|batch|ticket|ean|upc|id card|id no|id number",
)
_SOCIAL = about(
    "ssn|social security|social security number|social|社会安全|社会安全号|社安号",
    "order|订单|part|sku|serial|id|uid|account",
)

SHORT = 12
"""Digits of the shortest cards, Maestro's, which are too often something else to go without a word."""

_CARD_SIZES = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (6, 13), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1)}
)


def numbers(view: View) -> Iterator[Found]:
    """What is recognised among the numbers of a text."""
    for reading in digits(view):
        for rule in _RULES.get(len(reading.number), ()):
            found = rule(view, reading)
            if found is not None and found.certainty >= CERTAIN:
                yield found


def _resident(view: View, reading: Digits) -> Found | None:
    """Eighteen digits, or seventeen and an X."""
    number, end = reading.number, reading.end
    if len(number) == 17:
        tail = view.text[end : end + 2].lstrip(" -")[:1]
        if tail not in ("x", "X") or reading.right:
            return None
        end = view.text.index(tail, end) + 1
        if view.text[end : end + 1].isascii() and view.text[end : end + 1].isalnum():
            return None
        number += "X"
    if not checksums.resident_id(number):
        return None
    return Found("ID_CARD", "id_18", reading.start, end, 1.0, number)


def _old_resident(view: View, reading: Digits) -> Found | None:
    if not checksums.old_resident_id(reading.number) or not alone(view, reading.start, reading.end):
        return None
    certainty = 0.3 + 0.5 * view.leaning(reading.start, reading.end, _IDENTITY, near=True)
    return Found("ID_CARD", "id_15", reading.start, reading.end, certainty, reading.number)


def _card(view: View, reading: Digits) -> Found | None:
    """Twelve to nineteen digits with their check digit; the issuer's prefix or words around make it a card."""
    number = reading.number
    if len(set(number)) == 1 or not checksums.luhn(number) or reading.dated:
        return None
    usual = len(reading.sizes) == 1 or reading.sizes in _CARD_SIZES or max(reading.sizes) <= 2
    certainty = 0.7 if checksums.card_issuer(number) and len(number) > SHORT else 0.3
    certainty -= 0.0 if usual else 0.15
    certainty -= 0.3 if reading.joined else 0.0
    certainty -= 0.5 if reading.stacked else 0.0
    certainty -= 0.0 if alone(view, reading.start, reading.end) else 0.4
    certainty += 0.3 * view.leaning(reading.start, reading.end, _CARD)
    return Found("BANK_CARD", "card", reading.start, reading.end, certainty, number)


def _social(view: View, reading: Digits) -> Found | None:
    """A United States social security number: 3, 2 and 4 digits, none of the blocks that are never given out."""
    number = reading.number
    if number[:3] in ("000", "666") or number[0] == "9" or number[3:5] == "00" or number[5:] == "0000":
        return None
    if reading.joined or not alone(view, reading.start, reading.end):
        return None
    shaped = reading.sizes == (3, 2, 4) and len(set(reading.gaps)) == 1
    if not shaped and len(reading.sizes) > 1:
        return None
    base = 0.6 if shaped and reading.gaps[0] == "-" else 0.2
    certainty = base + 0.4 * view.leaning(reading.start, reading.end, _SOCIAL, near=True)
    return Found("SSN", "ssn", reading.start, reading.end, certainty, number)


_Rule = Callable[[View, Digits], Found | None]
_RULES: dict[int, tuple[_Rule, ...]] = {
    **dict.fromkeys(range(7, 16), (landline,)),
    9: (_social, landline),
    11: (mobile, landline),
    12: (landline, _card),
    13: (mobile, landline, _card),
    14: (landline, _card),
    15: (_old_resident, mobile, landline, _card),
    16: (_card,),
    17: (_resident, _card),
    18: (_resident, _card),
    19: (_card,),
}
"""Rules by how many digits a number has."""
