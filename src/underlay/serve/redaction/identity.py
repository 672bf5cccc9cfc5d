"""Rules for documents that mix letters and digits: passports, permits, plates, company codes, accounts."""

from collections.abc import Iterator

from underlay.serve.redaction import checksums
from underlay.serve.redaction.patterns import Pattern, compiled
from underlay.serve.redaction.view import CERTAIN, Found, View, about, alone

_SIGN = "[0-9A-HJ-NPQRTUWXY]"
_CREDIT = compiled(rf"(?i)(?:^|[^0-9A-Za-z_])({_SIGN}{{2}}[ \-]?[0-9]{{6}}[ \-]?{_SIGN}{{9}}[ \-]?{_SIGN})")
_IBAN = compiled(r"(?i)(?:^|[^0-9A-Za-z_])([A-Z]{2}[0-9]{2}(?:[ \-\n]?[A-Z0-9]{4}){2,7}(?:[ \-\n]?[A-Z0-9]{1,3})?)")
_PASSPORT = compiled(
    r"(?i)(?:^|[^0-9A-Za-z_])([EGDSPHMK][ \-]?[0-9]{4}[ \-]?[0-9]{4}|E[A-HJ-NP-Z][ \-]?[0-9]{7}"
    r"|[A-Z]{1,2}[0-9]{6,8}|[0-9]{9}|[0-9]{2}[A-Z]{2}[0-9]{5})"
)
_PERMIT = compiled(
    r"(?i)(?:^|[^0-9A-Za-z_])([HMC][0-9]{10}|[HMCTWL][0-9]{8}|8[123]0000(?:19|20)[0-9]{10}|[0-9]{10}|[0-9]{8})"
)
_HONG_KONG = compiled(r"(?i)([A-Z]{1,2})[ \-]?([0-9]{6}) ?(?:\(([0-9A])\)|([0-9A]))")
_TAIWAN = compiled(r"(?i)[A-Z][12][0-9]{8}")
_PLATE = compiled(
    r"(?i)[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-HJ-NP-Z][ .\-]?"
    r"(?:[DF][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[DF]|[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳领])"
)
_ABOUT_ARTICLE = "order|订单|单号|sku|model|型号|flight|航班|part"

_ABOUT_PASSPORT = about("护照|passport|passport no|passport number|passport num|travel document", _ABOUT_ARTICLE)
_ABOUT_PERMIT = about(
    "通行证|回乡证|台胞证|港澳|居住证|往来|permit|travel permit|residence permit|mainland travel|home return",
    _ABOUT_ARTICLE,
)
_ABOUT_HONG_KONG = about("hkid|香港身份证|身份证|identity card|id card", _ABOUT_ARTICLE)
_ABOUT_TAIWAN = about("身分证|身分證|身份证|台湾身份|national id|identity", _ABOUT_ARTICLE)
_ABOUT_PLATE = about("车牌|车牌号|牌照|号牌|plate|license plate|licence plate|车辆|车", "型号|款")


def documents(view: View) -> Iterator[Found]:
    """What is recognised among the codes of a text."""
    for rule in (_credit, _iban, _passport, _permit, _hong_kong, _taiwan, _plate):
        yield from (found for found in rule(view) if found.certainty >= CERTAIN)


def _credit(view: View) -> Iterator[Found]:
    for found in view.matches(_CREDIT):
        code, (start, end) = _bare(found.group(1)), found.span(1)
        if alone(view, start, end) and not code.isdigit() and checksums.credit_code(code):
            yield Found("CREDIT_CODE", "credit_code", start, end, 0.95, code)


def _iban(view: View) -> Iterator[Found]:
    """The pattern may run on into the next words: the country says how long the number is."""
    for found in view.matches(_IBAN):
        start, longest = found.span(1)
        length = checksums.IBAN_LENGTHS.get(found.group(1)[:2].upper(), 0)
        end, signs = start, 0
        while signs < length and end < longest:
            signs += view.text[end].isalnum()
            end += 1
        number = _bare(view.text[start:end])
        if alone(view, start, end) and checksums.iban(number):
            yield Found("IBAN", "iban", start, end, 1.0, number)


def _passport(view: View) -> Iterator[Found]:
    return _announced(view, "PASSPORT", _PASSPORT, _ABOUT_PASSPORT)


def _permit(view: View) -> Iterator[Found]:
    return _announced(view, "PERMIT", _PERMIT, _ABOUT_PERMIT)


def _announced(view: View, kind: str, pattern: Pattern, words: Pattern) -> Iterator[Found]:
    """Codes that are nothing without a word beside them."""
    for found in view.matches(pattern):
        start, end = found.span(1)
        if alone(view, start, end):
            certainty = 0.3 + 0.5 * view.leaning(start, end, words, near=True)
            yield Found(kind, kind.lower(), start, end, certainty, _bare(found.group(1)))


def _hong_kong(view: View) -> Iterator[Found]:
    """The check sign in brackets is as good as a word; without them it takes one."""
    for found in view.matches(_HONG_KONG):
        letters, number, bracketed, plain = found.group(1), found.group(2), found.group(3), found.group(4)
        if alone(view, found.start(), found.end()) and checksums.hong_kong_id(
            letters.upper(), number, bracketed or plain
        ):
            certainty = (0.8 if bracketed else 0.3) + 0.4 * view.leaning(
                found.start(), found.end(), _ABOUT_HONG_KONG, near=True
            )
            yield Found("ID_CARD", "id_hk", found.start(), found.end(), certainty, _bare(found.group()))


def _taiwan(view: View) -> Iterator[Found]:
    for found in view.matches(_TAIWAN):
        if alone(view, found.start(), found.end()) and checksums.taiwan_id(found.group()):
            certainty = 0.3 + 0.4 * view.leaning(found.start(), found.end(), _ABOUT_TAIWAN, near=True)
            yield Found("ID_CARD", "id_tw", found.start(), found.end(), certainty, _bare(found.group()))


def _plate(view: View) -> Iterator[Found]:
    """The sign of a province, a letter and five or six signs; without a word around, three of them must be digits."""
    for found in view.matches(_PLATE):
        plate = _bare(found.group())
        following = view.text[found.end() : found.end() + 1]
        if following.isascii() and following.isalnum():
            continue
        certainty = 0.6 if sum(map(str.isdigit, plate)) >= 3 else 0.3
        certainty += 0.3 * view.leaning(found.start(), found.end(), _ABOUT_PLATE)
        yield Found("PLATE", "plate", found.start(), found.end(), certainty, plate)


def _bare(text: str) -> str:
    """Letters and digits alone, in capitals."""
    return "".join(filter(str.isalnum, text)).upper()
