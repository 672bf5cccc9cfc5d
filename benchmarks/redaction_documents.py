"""Documents with planted personal data whose places are known, hard negatives, and disguises.

A document is three to six clauses, Chinese or English: some with an invented value, some with a number that is
nobody's, some plain. Rules are tuned on
`development` documents and measured once on `held_out` ones, of other sentences and values.

The first held-out measurement, of the odd clauses of `CLAUSES`, missed five gates (results of 2026-11-24). Its misses
were then looked at, so that all of `CLAUSES` and `NEGATIVES` is development now; `FRESH` and `FRESH_NEGATIVES` were
written before the rules were changed and were held out for the second one. That missed three gates and P2; after the
rules were changed again there is no unseen sentence left: figures marked `looked_at` say how the rules that ship do on
sentences that have been seen.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks.redaction_values import FORMS, KINDS, Draw, digits, mobile, pick, wide
from underlay.core import stream


class Truth(NamedTuple):
    """A planted value.

    Args:
        type: Of `redaction_values.FORMS`.
        form: Which of its forms.
        start: First character.
        end: After the last.
    """

    type: str
    form: int
    start: int
    end: int

    @property
    def kind(self) -> str:
        """What it should be called."""
        return KINDS[self.type]


class Document(NamedTuple):
    """A text and what it holds."""

    text: str
    truths: tuple[Truth, ...]


CLAUSES: Mapping[str, tuple[str, ...]] = {
    "id_18": (
        "身份证号：{}", "身份证 {}", "他的证件号码是{}", "证件号{}已登记", "ID card {}", "resident ID: {}",
        "实名信息{}已核验", "客户提供了{}", "identity number {} was checked", "the form says {}", "开户人{}",
        "乘客 {} 已值机",
    ),
    "id_15": (
        "身份证号：{}", "老身份证{}", "一代身份证号码为 {}", "身份证号码是{}", "ID card {}", "ID number: {}",
        "旧版身份证 {}", "居民身份证：{}", "old ID card no. {}", "national ID {}",
    ),
    "mobile": (
        "手机：{}", "电话{}", "请拨打{}联系我", "手机号是{}，随时联系", "my mobile is {}", "call me at {}",
        "微信同号 {}", "联系方式：{}", "他留下了{}", "收到，{}", "有事打{}就行", "Phone: {}", "Tel {}",
        "reach her on {}", "{} 是我的号码", "{}",
    ),
    "phone": (
        "电话：{}", "座机{}", "传真 {}", "办公室电话是{}", "call {}", "Phone: {}", "Tel: {} (office)", "fax {}",
        "客服热线{}", "请致电 {} 咨询", "you can reach us at {}", "our number is {}", "ring {} before noon",
        "contact: {}",
    ),
    "card": (
        "卡号：{}", "银行卡{}", "请转到{}", "信用卡号为 {}", "my card number is {}", "charge {} please",
        "card {}", "尾款打到{}", "还款账户：{}", "Visa {} declined", "pay with {}", "开户行建行，{}",
        "the card on file: {}", "储蓄卡 {}",
    ),
    "iban": (
        "IBAN: {}", "transfer to {}", "账户 {}", "my account {}", "please pay {} today", "收款账号：{}", "{}",
        "bank: {}",
    ),
    "credit_code": (
        "统一社会信用代码：{}", "税号{}", "信用代码 {}", "company code {}", "开票信息：{}", "纳税人识别号为{}",
        "tax ID {}", "企业 {}",
    ),
    "email": (
        "邮箱：{}", "发到{}", "请写信到 {} 谢谢", "邮箱是{}，请查收", "mail {}", "contact {} for details",
        "my address is {}.", "From: {}", "抄送{}", "联系人邮箱{}", "write to {}, please", "({})", "<{}>",
        "mailto:{}",
    ),
    "ip": (
        "IP：{}", "来自 {} 的请求", "登录地址{}", "server at {}", "client {} connected", "blocked {}.",
        "访问 {} 失败", "from {} port 22", "源地址：{}", "host {}", "ping {}", "[{}]",
    ),
    "mac": (
        "MAC：{}", "设备 {} 上线", "网卡地址{}", "device {} joined", "mac {}", "hardware address: {}", "{}",
        "ether {}",
    ),
    "passport": (
        "护照号：{}", "护照 {}", "护照号码是{}", "passport no. {}", "Passport: {}", "his passport {} expired",
        "持护照{}入境", "因私护照 {}", "travel passport number {}", "on passport {}",
    ),
    "permit": (
        "港澳通行证：{}", "回乡证号{}", "台胞证 {}", "往来港澳通行证{}", "travel permit {}", "permit no. {}",
        "港澳居民来往内地通行证 {}", "通行证号码：{}", "home return permit: {}", "居住证{}",
    ),
    "plate": (
        "车牌：{}", "车牌号{}", "{}的车挡道了", "车辆 {} 违停", "plate {}", "license plate: {}", "开着{}来的",
        "牌照 {}", "停在门口的{}", "car with plate {}", "车牌是{}", "登记车辆{}",
    ),
    "secret": (
        "token: {}", "密钥 {}", "Authorization: Bearer {}", "key={}", "用这个：{}", "export KEY={}", "{}",
        "令牌是 {}",
    ),
    "password": (
        "password={}", "密码：{}", "passwd: {}", "pwd={}", '"password": "{}"', "secret_key = {}", "口令是{}",
        "api_key={}", "登录密码是{}", "token={}", "PASSWORD: {}", "client_secret={}",
    ),
    "ssn": (
        "SSN {}", "social security number {}", "my SSN is {}", "SSN: {}", "her social is {}", "{}",
    ),
}  # fmt: skip
"""What stands around each type, for tuning."""

FRESH: Mapping[str, tuple[str, ...]] = {
    "id_18": (
        "本人身份证号码{}，请核对", "residents' ID no. {} on file", "购票证件：{}", "（{}）",
        "the applicant ({}) signed", "实名：王五/{}", "他报的号是{}吗",
    ),
    "id_15": (
        "证件号码：{}", "她的身份证还是老的：{}", "身份证号为{}，十五位", "first-generation ID card: {}",
        "identity no. {}", "户口本上身份证号写着{}",
    ),
    "mobile": (
        "打我手机{}", "快递到了打{}", "手机号码 {} 已停机", "WhatsApp {}", "cell: {}", "my new number: {}",
        "（{}）", "王先生{}", "发短信到{}", "text {} when you arrive", "预留号码为{}", "加微信{}聊",
    ),
    "phone": (
        "总机{}，转财务", "固定电话：{}", "call our office on {}", "Tel. {}", "for bookings phone {}",
        "Fax: {}", "电话/传真：{}", "请回电{}", "联系电话 {} 李经理", "telephone {} or come by",
        "reach the desk at {}",
    ),
    "card": (
        "我的工行卡是{}", "打款卡号 {}", "信用卡{}逾期", "debit card {} was stolen", "used {} for the purchase",
        "绑定的卡：{}", "refund it to card no. {}", "卡 {} 已冻结", "提现到{}", "the Visa ending soon, {}",
    ),
    "iban": (
        "Konto {}", "beneficiary IBAN {}", "汇到{}", "account: {}", "send it to {}, thanks", "国际账号{}",
    ),
    "credit_code": (
        "营业执照上的代码是{}", "企业税号：{}", "USCC {}", "registered under {}", "甲方（{}）",
        "the supplier's code: {}",
    ),
    "email": (
        "有问题发邮件{}", "E-mail: {}", "my mail is {}", "回复至{}即可", "cc {}", "邮件地址为{}。",
        "user {} logged in", "请加{}到名单", "reach me at {}!", "[{}]",
    ),
    "ip": (
        "客户端{}断开", "ip={}", "remote {} closed", "服务器是{}", "connect to {}.", "路由器地址：{}", "dns {}",
        "（{}）", "attack from {} blocked",
    ),
    "mac": (
        "无线网卡{}", "MAC={}", "the adapter {} is unknown", "蓝牙地址：{}", "bssid {}", "白名单：{}",
    ),
    "passport": (
        "她的护照是{}", "护照编号：{}", "passport: {}", "passport number is {}", "因公护照{}",
        "holder of passport {}", "请出示护照（{}）",
    ),
    "permit": (
        "来往港澳通行证 {}", "台胞证号码为{}", "回乡证：{}", "his travel permit is {}", "通行证{}过期了",
        "permit: {}",
    ),
    "plate": (
        "车号{}", "我的车是{}", "{}已入场", "the car {} is parked", "尾随{}", "车牌号码：{}", "plate no. {}",
    ),
    "secret": (
        "access token {}", "把{}填进去", "credential: {}", "curl -H 'Authorization: Bearer {}'", "我的key是{}",
    ),
    "password": (
        "password: {}", "wifi密码：{}", "DB_PASSWORD={}", "secret: '{}'", "apikey={}", "初始密码为{}",
        "pwd: {}", '{"token": "{}"}',
    ),
    "ssn": (
        "social security no. {}", "SSN# {}", "file under {}", "his SSN was {}",
    ),
}  # fmt: skip
"""What stands around each type, held out."""

PLAIN = (
    "谢谢。", "请尽快处理", "我们明天下午再谈", "The delivery was late again", "I would like a refund", "产品质量不错",
    "屏幕有一道划痕", "Please check the attachment", "售后态度很好，会回购", "It stopped working after two weeks",
    "2024年3月5日", "见面时间 14:30", "a total of 3 items", "共12页，第3页",
)  # fmt: skip


def _amount(draw: Draw) -> str:
    return f"{digits(draw, int(draw.integers(3, 9)), '123456789')}.{digits(draw, 2)}"


def _large(draw: Draw) -> str:
    return digits(draw, int(draw.integers(9, 13)), "123456789")


def _release(draw: Draw) -> str:
    return f"{draw.integers(30)}.{draw.integers(30)}.{draw.integers(999)}"


def _hexes(draw: Draw, count: int) -> str:
    return "".join("0123456789abcdef"[index] for index in draw.integers(0, 16, count))


def _isbn(draw: Draw) -> str:
    body = "978" + digits(draw, 9)
    total = sum(int(digit) * (1 if place % 2 == 0 else 3) for place, digit in enumerate(body))
    return body + str(-total % 10)


def _date(draw: Draw) -> str:
    return f"{draw.integers(1990, 2027)}-{draw.integers(1, 13):02}-{draw.integers(1, 29):02}"


def _clock(draw: Draw) -> str:
    return f"{draw.integers(24):02}:{draw.integers(60):02}:{draw.integers(60):02}"


NEGATIVES: tuple[Callable[[Draw], str], ...] = (
    lambda draw: (
        f"{pick(draw, '订单号', '订单编号：', '单号 ')}{digits(draw, int(draw.integers(10, 20)), '123456789')}"
    ),
    lambda draw: (
        f"{pick(draw, 'order no. ', 'Order #', 'order ')}{digits(draw, int(draw.integers(8, 17)), '123456789')}"
    ),
    lambda draw: f"{pick(draw, '流水号', '交易流水：')}{draw.integers(2020, 2027)}{digits(draw, 14)}",
    lambda draw: f"{pick(draw, 'tracking number ', '快递单号', '运单 SF')}{digits(draw, int(draw.integers(12, 16)))}",
    lambda draw: f"{_date(draw)} {_clock(draw)}",
    lambda draw: (
        f"{draw.integers(1990, 2027)}/{draw.integers(1, 13)}/{draw.integers(1, 29)} {_clock(draw)}.{digits(draw, 3)}"
    ),
    lambda draw: f"时间戳 {draw.integers(1_500_000_000_000, 1_800_000_000_000)}",
    lambda draw: f"timestamp={draw.integers(1_500_000_000, 1_800_000_000)}",
    lambda draw: f"{pick(draw, '金额', '合计 ', '¥', '$', 'total ', '总价：')}{_amount(draw)}{pick(draw, '', '元')}",
    lambda draw: f"{pick(draw, '营业收入', '市值', '成交额')}{_large(draw)}{pick(draw, '元', '股', '万元')}",
    lambda draw: f"ISBN {_isbn(draw)}",
    lambda draw: f"ISBN {_isbn(draw)[:3]}-{digits(draw, 1)}-{digits(draw, 4)}-{digits(draw, 4)}-{digits(draw, 1)}",
    lambda draw: f"id={_hexes(draw, 8)}-{_hexes(draw, 4)}-4{_hexes(draw, 3)}-a{_hexes(draw, 3)}-{_hexes(draw, 12)}",
    lambda draw: f"{_hexes(draw, 8)}-{_hexes(draw, 4)}-4{_hexes(draw, 3)}-b{_hexes(draw, 3)}-{_hexes(draw, 12)}",
    lambda draw: f"sha256 {_hexes(draw, 64)}",
    lambda draw: f"{pick(draw, 'md5 ', 'commit ', '')}{_hexes(draw, 40)}",
    lambda draw: f"{draw.uniform(-90, 90):.6f}, {draw.uniform(-180, 180):.6f}",
    lambda draw: f"坐标({draw.uniform(20, 50):.7f},{draw.uniform(80, 130):.7f})",
    lambda draw: f"{pick(draw, 'v', 'version ', '版本')}{draw.integers(1, 20)}.{_release(draw)}",
    lambda draw: f"v{draw.integers(1, 9)}.{draw.integers(30)}.{draw.integers(9)}-rc{draw.integers(1, 9)}",
    lambda draw: f"股票代码 {pick(draw, '600', '000', '300')}{digits(draw, 3)}",
    lambda draw: f"{pick(draw, '比分', 'score ')}{draw.integers(0, 130)}:{draw.integers(0, 130)}",
    lambda draw: f"{pick(draw, '6-4 7-5 6-3', '21-19, 18-21, 21-15', '3-0')}",
    lambda draw: f"{pick(draw, '条码', 'barcode ', 'EAN ')}69{digits(draw, 11)}",
    lambda draw: f"{pick(draw, '批次', 'batch ', 'lot ')}{draw.integers(2020, 2027)}{digits(draw, 6)}",
    lambda draw: f"{pick(draw, 'serial ', '序列号', 'S/N ')}{pick(draw, 'C02', 'FVF', 'SN')}{digits(draw, 9)}",
    lambda draw: f"{pick(draw, 'IMEI ', '设备号 IMEI:')}35{digits(draw, 13)}",
    lambda draw: f"{digits(draw, 4)} {digits(draw, 3)} {digits(draw, 5)} rows, {digits(draw, 6)} bytes",
    lambda draw: f"{pick(draw, '用户ID', 'user id ', 'uid=')}{digits(draw, int(draw.integers(7, 12)), '123456789')}",
    lambda draw: f"std::{pick(draw, 'vector', 'map', 'array')}<int>::size {draw.integers(99)}",
    lambda draw: (
        f"{pick(draw, 'password is required', 'enter your password: ', '密码错误', 'token expired', '忘记密码')}"
    ),
    lambda draw: f"{pick(draw, '@张三', '@team', 'me @ home', 'a@b', 'user@localhost')} {digits(draw, 3)}",
    lambda draw: f"{digits(draw, 1)}.{digits(draw, 16)}",
    lambda draw: f"{digits(draw, 2)}%，{digits(draw, 3)}人，{digits(draw, 5)}次",
    lambda draw: f"{draw.integers(2000, 2027)}年{draw.integers(1, 13)}月{draw.integers(1, 29)}日{draw.integers(24)}点",
    lambda draw: f"{pick(draw, 'flight ', '航班')}{pick(draw, 'CA', 'MU', 'BA')}{digits(draw, 4)}",
    lambda draw: f"{pick(draw, 'model ', '型号')}{pick(draw, 'E', 'G', 'H')}{digits(draw, 4)}-{digits(draw, 2)}",
    lambda draw: (
        f"GET /v1/items/{digits(draw, 12)}?page={draw.integers(99)} {draw.integers(200, 504)} {draw.integers(9999)}ms"
    ),
    lambda draw: f"{digits(draw, 3)},{digits(draw, 3)},{digits(draw, 3)}",
    lambda draw: f"{draw.integers(1, 99)}/{draw.integers(1, 99)} {digits(draw, 3)}x{digits(draw, 4)}px",
)
"""Numbers and signs that are nobody's, for tuning."""

FRESH_NEGATIVES: tuple[Callable[[Draw], str], ...] = (
    lambda draw: (
        f"{pick(draw, '合同编号：', '发票号码', '工单')}{digits(draw, int(draw.integers(8, 16)), '123456789')}"
    ),
    lambda draw: (
        f"{pick(draw, 'invoice ', 'ticket #', 'case no. ')}{digits(draw, int(draw.integers(6, 14)), '123456789')}"
    ),
    lambda draw: f"取件码{digits(draw, 6)}，有效期至{_date(draw)}",
    lambda draw: f"[{_date(draw)}T{_clock(draw)}.{digits(draw, 6)}Z] INFO took {digits(draw, 5)}us",
    lambda draw: f"余额{_amount(draw)}元，可用{_amount(draw)}元",
    lambda draw: f"{pick(draw, 'revenue', 'population', '人口')} {_large(draw)}",
    lambda draw: f'etag "{_hexes(draw, 32)}"',
    lambda draw: f"trace_id={_hexes(draw, 16)} span_id={_hexes(draw, 8)}",
    lambda draw: f"lat {draw.uniform(-90, 90):.5f} lon {draw.uniform(-180, 180):.5f}",
    lambda draw: f"python {draw.integers(2, 4)}.{draw.integers(14)}, numpy=={draw.integers(3)}.{_release(draw)}",
    lambda draw: f"代码 SH{digits(draw, 6)} 收 {draw.integers(1, 999)}.{digits(draw, 2)}",
    lambda draw: f"{draw.integers(0, 9)}比{draw.integers(0, 9)}，{draw.integers(40, 130)}-{draw.integers(40, 130)}",
    lambda draw: f"ISSN {digits(draw, 4)}-{digits(draw, 4)}",
    lambda draw: f"doi:10.{digits(draw, 4)}/{_hexes(draw, 8)}.{digits(draw, 4)}",
    lambda draw: f"0x{_hexes(draw, 16)} at {digits(draw, 10)}",
    lambda draw: f"{digits(draw, 3)} {digits(draw, 3)} {digits(draw, 3)}",
    lambda draw: f"{digits(draw, 4)}\n{digits(draw, 7)}\n{digits(draw, 5)}",
)
"""The same, held out."""


def negatives(count: int, *, held_out: bool) -> Iterator[str]:
    """Texts without personal data, of one to three hard negatives each."""
    draw = stream(7, f"negatives-{held_out}-2")
    kinds = FRESH_NEGATIVES if held_out else NEGATIVES
    for _ in range(count):
        parts = [kinds[int(index)](draw) for index in draw.integers(0, len(kinds), int(draw.integers(1, 4)))]
        yield pick(draw, "，", "; ", " ", "\n").join(parts)


def documents(count: int, *, held_out: bool, seed: int = 0) -> Iterator[Document]:
    """Documents with planted values; the types take turns, so that each is as frequent as the others."""
    draw = stream(seed, f"documents-{held_out}-2")
    types = [*FORMS]
    for number in range(count):
        planted = [types[(number + shift * 7) % len(types)] for shift in range(int(draw.integers(1, 4)))]
        yield _document(draw, planted, held_out=held_out)


def _document(draw: Draw, planted: list[str], *, held_out: bool) -> Document:
    slots: list[str | None] = [*planted, *[None] * int(draw.integers(1, 4))]
    text, truths = "", []
    for index in draw.permutation(len(slots)):
        kind = slots[int(index)]
        if text:
            text += pick(draw, "，", "。", "; ", ". ", "\n", " | ")
        if kind is None:
            kinds = FRESH_NEGATIVES if held_out else NEGATIVES
            text += pick(draw, *PLAIN) if draw.random() < 0.5 else kinds[int(draw.integers(len(kinds)))](draw)
            continue
        form = int(draw.integers(len(FORMS[kind])))
        clauses = (FRESH if held_out else CLAUSES)[kind]
        before, _, after = clauses[int(draw.integers(len(clauses)))].partition("{}")
        value = FORMS[kind][form](draw)
        start = len(text) + len(before)
        text += before + value + after
        truths.append(Truth(kind, form, start, start + len(value)))
    return Document(text, tuple(truths))


NUMBERS = ("id_18", "id_15", "mobile", "card")
"""Types of digits alone, which take every disguise."""


def _between(value: str, sign: str, draw: Draw, chance: float = 0.4) -> str:
    out = value[0]
    for before, after in pairwise(value):
        out += (sign if before.isalnum() and after.isalnum() and draw.random() < chance else "") + after
    return out


def _mixed(value: str, draw: Draw) -> str:
    sizes = {11: (3, 4), 15: (6, 6), 16: (4, 4, 4), 18: (6, 8), 19: (4, 4, 4, 4)}.get(len(value), (4, 4, 4))
    parts, at = [], 0
    for size in (*sizes, len(value)):
        parts.append(value[at : at + size])
        at += size
    return "".join(
        part + (pick(draw, " ", "-", ".") if number + 1 < len(parts) else "") for number, part in enumerate(parts)
    )


def _broken(value: str, draw: Draw) -> str:
    if "@" in value:
        return value.replace("@", "@\n", 1)
    place = int(draw.integers(3, len(value) - 3))
    return f"{value[:place]}\n{value[place:]}"


_CHINESE = str.maketrans("0123456789", "零一二三四五六七八九")
_CYRILLIC = str.maketrans("aeopcxyABCEHKMOPTX", "аеорсхуАВСЕНКМОРТХ")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_BOLD = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


class Disguise(NamedTuple):
    """A way to write a value so that a plain search misses it.

    Args:
        name: In words.
        types: Which it can be done to.
        of: What it makes of a value.
    """

    name: str
    types: tuple[str, ...]
    of: Callable[[str, Draw], str]


_ALL = (*NUMBERS, "email", "iban")

DISGUISES: tuple[Disguise, ...] = (
    Disguise(
        "invisible signs inside",
        _ALL,
        lambda value, draw: _between(value, pick(draw, "\u200b", "\u2060", "\ufeff"), draw),
    ),
    Disguise("full width", _ALL, lambda value, draw: wide(value)),
    Disguise("mixed separators", NUMBERS, _mixed),
    Disguise("line break inside", (*NUMBERS, "email"), _broken),
    Disguise("Chinese numerals", NUMBERS, lambda value, draw: value.translate(_CHINESE)),
    Disguise(
        "HTML entities", _ALL, lambda value, draw: "".join(f"&#{ord(s)};" if draw.random() < 0.4 else s for s in value)
    ),
    Disguise(
        "upper and lower case",
        ("email", "iban", "id_18"),
        lambda value, draw: "".join(s.upper() if draw.random() < 0.5 else s.lower() for s in value),
    ),
    Disguise(
        "look-alike letters",
        ("email", "iban", "mobile", "card"),
        lambda value, draw: (
            value.translate(_CYRILLIC) if not value.isdigit() else value.replace("0", "O").replace("1", "l", 1)
        ),
    ),
    Disguise(
        "no-break and thin blanks",
        NUMBERS,
        lambda value, draw: _mixed(value, draw).replace(" ", "\u00a0").replace("-", "\u2009").replace(".", "\u202f"),
    ),
    Disguise(
        "odd dashes",
        NUMBERS,
        lambda value, draw: _mixed(value, draw).replace(" ", "\u2013").replace("-", "\u2011").replace(".", "\u2212"),
    ),
    Disguise("a blank after every sign", NUMBERS, lambda value, draw: " ".join(value)),
    Disguise(
        "soft hyphens and directions",
        _ALL,
        lambda value, draw: _between(value, pick(draw, "\u00ad", "\u202c", "\u200e"), draw),
    ),
    Disguise(
        "percent codes",
        ("email", "mobile", "card"),
        lambda value, draw: "".join(f"%{ord(s):02X}" if s == "@" or draw.random() < 0.3 else s for s in value),
    ),
    Disguise(
        "other scripts' digits", NUMBERS, lambda value, draw: value.translate(_ARABIC if draw.random() < 0.5 else _BOLD)
    ),
    Disguise(
        "(at) and (dot)",
        ("email",),
        lambda value, draw: value.replace("@", pick(draw, "(at)", " [at] ")).replace(".", "(dot)"),
    ),
)
"""The first ten must be seen through; the rest is told."""

PLAINEST: Mapping[str, Callable[[Draw], str]] = {
    name: forms[0] for name, forms in FORMS.items() if name in (*_ALL, "mobile")
}


def disguised(disguise: Disguise, count: int, *, held_out: bool) -> Iterator[tuple[Document, Document]]:
    """The same sentence with a plain and with a disguised value."""
    draw = stream(3, f"{disguise.name}-{held_out}-2")
    for number in range(count):
        kind = disguise.types[number % len(disguise.types)]
        clauses = [clause for clause in (FRESH if held_out else CLAUSES)[kind] if clause != "{}"]
        before, _, after = clauses[int(draw.integers(len(clauses)))].partition("{}")
        value = PLAINEST[kind](draw)
        hidden = disguise.of(value, draw)
        yield tuple(  # type: ignore[misc]
            Document(before + one + after, (Truth(kind, 0, len(before), len(before) + len(one)),))
            for one in (value, hidden)
        )


def attack_strings(length: int) -> Mapping[str, str]:
    """Texts that make a backtracking search slow, of this many characters."""
    draw = np.random.default_rng(0)
    return {
        "a…!": "a" * (length - 1) + "!",
        "digits": "".join(map(str, draw.integers(0, 10, length))),
        "@": "@" * length,
        "brackets": "[(" * (length // 2),
        "1 1 1": "1 " * (length // 2),
        "a@a.": "a@a." * (length // 4),
        "12:": "12:" * (length // 3),
        "password=": "password=" * (length // 9),
        "mobiles": " ".join(mobile(draw) for _ in range(length // 12)),
    }
