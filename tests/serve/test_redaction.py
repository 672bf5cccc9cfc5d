"""Redaction of one text: what goes, what stays, and that it closes when something breaks."""

import json
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from underlay.core import MissingExtra, UsageError
from underlay.modalities.text_normaliser import normalise
from underlay.serve.redaction import MASKED, Numbering, Policy, find, redact, redact_json, rule_set
from underlay.serve.redaction import redaction as module
from underlay.serve.redaction.matching import matching

GOES = [
    ("身份证号11010519491231002X", "身份证号[ID_CARD_1]"),
    ("身份证 110105 19491231 002x 已登记", "身份证 [ID_CARD_1] 已登记"),
    ("一代身份证130503670401001", "一代身份证[ID_CARD_1]"),
    ("香港身份证 A123456(3)", "香港身份证 [ID_CARD_1]"),
    ("手机13800138000转张", "手机[PHONE_1]转张"),
    ("手机１３８－００１３－８０００", "手机[PHONE_1]"),
    ("快递到了打13800138000", "快递到了打[PHONE_1]"),
    ("第92. （138.0013.8000）", "第92. （[PHONE_1]）"),
    ("请打+86 138 0013 8000", "请打[PHONE_1]"),
    ("请打一三八零零一三八零零零", "请打[PHONE_1]"),
    ("座机010-62345678。", "座机[PHONE_1]。"),
    ("call (415) 555-2671 now", "call [PHONE_1] now"),
    ("phone: 020 7946 0958", "phone: [PHONE_1]"),
    ("+44 20 7946 0958", "[PHONE_1]"),
    ("card 4111 1111 1111 1111.", "card [BANK_CARD_1]."),
    ("IBAN: DE89 3704 0044 0532 0130 00", "IBAN: [IBAN_1]"),
    ("税号91350100M000100Y43", "税号[CREDIT_CODE_1]"),
    ("邮箱ann.lee+x@mail.example.com，谢谢", "邮箱[EMAIL_1]，谢谢"),
    ("mail ann@例子.公司", "mail [EMAIL_1]"),
    ("ann [at] example [dot] com", "[EMAIL_1]"),
    ("from 192.168.1.17 port 22", "from [IP_1] port 22"),
    ("host 2001:db8::7:1", "host [IP_1]"),
    ("MAC：00:1A:2B:3C:4D:5E", "MAC：[MAC_1]"),
    ("护照号E12345678", "护照号[PASSPORT_1]"),
    ("回乡证H12345678", "回乡证[PERMIT_1]"),
    ("京A·12345的车", "[PLATE_1]的车"),
    ("SSN 078-05-1120", "SSN [SSN_1]"),
    ("password=hunter22&next=1", "password=[SECRET_1]&next=1"),
    ("密码：Summer2024", "密码：[SECRET_1]"),
    ("postgres://app:s3cret@db/x", "postgres://[SECRET_1]@db/x"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[SECRET_1]"),
    ("姓名：张三，住北京市朝阳区建国路88号", "姓名：[PERSON_1]，[ADDRESS_1]"),
]

STAYS = [
    "订单号13800138000",
    "合计13800138000元",
    "2024-11-24 13:05:59.123",
    "ISBN 9787111213826",
    "版本 1.2.3.4",
    "v10.0.19045.3693",
    "123e4567-e89b-42d3-a456-426614174000",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "39.904200, 116.407400",
    "11010519491231002",
    "110105194912310021",
    "4111111111111112",
    "12345678",
    "GB82 WEST 1234 5698 7654 33",
    "std::vector<int>",
    "password: required",
    "E12345678",
    "user@localhost",
    "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99",
    "80,082,085,000",
    "第12节 1.2.3",
    "税号91350100M000100Y44",
    "一共13800138000元",
    "numpy==1.25.3.77",
    "lon 90.44366 1714\n1082684\n12892",
    "",
]


@pytest.mark.parametrize(("text", "expected"), GOES, ids=[text[:24] for text, _ in GOES])
def test_what_identifies_a_person_goes_and_the_rest_stays(text, expected):
    assert redact(text).text == expected


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_like_it_stays(text):
    assert redact(text).text == text


@pytest.mark.row("X11")
def test_places_are_those_of_the_original_in_code_points():
    text = "👩‍👩‍👧 مرحبا １３８\u200b００１３８０００ 𠮷野 &#49;3900139000 ann%40example.com"
    done = redact(text)
    assert [text[span.start : span.end] for span in done.spans] == [
        "１３８\u200b００１３８０００", "&#49;3900139000", "ann%40example.com",
    ]  # fmt: skip
    assert done.text == "👩‍👩‍👧 مرحبا [PHONE_1] 𠮷野 [PHONE_2] [EMAIL_1]"
    assert done.counts == {"PHONE": 2, "EMAIL": 1}


def test_the_same_value_has_the_same_number_however_it_is_written():
    assert redact("13800138000, +86 138-0013-8000, 13900139000").text == "[PHONE_1], [PHONE_1], [PHONE_2]"


def test_numbers_that_stand_in_the_text_are_not_given_out_again():
    assert redact("[PHONE_3] 13800138000").text == "[PHONE_3] [PHONE_4]"


def test_texts_of_one_document_share_their_numbers():
    numbering = Numbering()
    one = redact("13800138000", numbering=numbering).text
    assert (one, redact("又是13800138000", numbering=numbering).text) == ("[PHONE_1]", "又是[PHONE_1]")
    assert "13800138000" not in repr(numbering.__dict__)


def test_pseudonyms_join_inside_one_key_and_not_across_keys():
    texts = ["13800138000", "tel +8613800138000"]
    one, two = (redact(text, Policy(mode="pseudonym", key=b"k" * 16)).text[-20:] for text in texts)
    other = redact(texts[0], Policy(mode="pseudonym", key=b"j" * 16)).text
    assert one == two != other
    assert one.startswith("[PHONE_")


def test_drop_leaves_nothing_and_what_closes_up_is_searched_again():
    assert redact("a 13800138000 b", Policy(mode="drop")).text == "a  b"
    policy = Policy(mode="drop", words=("张三",))
    assert redact("打1380013张三8000", policy).text == "打"


def test_only_the_kinds_asked_for_go_and_the_users_own_words_too():
    policy = Policy(kinds=("EMAIL", "WORD"), words=("李小龙", "Ann"))
    assert redact("李小龙 13800138000 ann@example.com Annette ann", policy).text == (
        "[WORD_1] 13800138000 [EMAIL_1] Annette [WORD_2]"
    )


def test_a_columns_name_is_context():
    assert redact("2079460958").text == "2079460958"
    assert redact("02079460958", context="phone").text == "[PHONE_1]"
    assert redact("E12345678", context="passport no").text == "[PASSPORT_1]"


PIECES = st.sampled_from(
    [text for text, _ in GOES] + STAYS + ["[PHONE_1]", "[SECRET_", "：", " ", "\n", "\u200b", "&#64;"]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=6).map("".join),
    st.text(alphabet="0123456789+-() .@xX京A:/=一二零Oo\u200b１２％&#;\n", max_size=80),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60),
)


@settings(max_examples=120, deadline=None)
@given(TEXTS, st.sampled_from(["index", "drop", "pseudonym"]))
@example("13800138000[PHONE_1]", "index")
@example("password=[SECRET_1]tail", "index")
def test_the_result_is_clean_stable_and_the_same_outside_of_the_spans(text, mode):
    policy = Policy(mode=mode, key=b"k" * 16)
    done = redact(text, policy)
    assert done.failed is None
    assert not find(done.text, policy)
    assert redact(done.text, policy).text == done.text
    places = [place for span in done.spans for place in (span.start, span.end)]
    assert places == sorted(places) and all(0 <= place <= len(text) for place in places)
    rest, at = done.text, 0
    for span in done.spans:
        between = text[at : span.start]
        assert rest.startswith(between)
        rest = rest[len(between) :]
        rest = rest if mode == "drop" else rest[rest.index("]") + 1 :]
        at = span.end
    assert rest == text[at:]


@pytest.mark.row("X12")
@pytest.mark.parametrize(
    "text",
    ["a" * 100_000 + "!", "7" * 100_000, "1 " * 50_000, "@" * 50_000, "[(" * 50_000, "a@a." * 25_000,
     "password=" * 11_000, "::" * 50_000, "一" * 100_000, "&#49;" * 20_000],
    ids=["letters", "digits", "spaced", "at", "brackets", "domains", "assigned", "colons", "numerals", "entities"],
)  # fmt: skip
def test_attacks_on_backtracking_take_no_time(text):
    import time

    module.ready()
    start = time.process_time()
    assert redact(text).failed is None
    assert time.process_time() - start < 2.5  # a second on a core of its own; others share this one


def test_a_text_longer_than_a_window_is_searched_across_its_edges(monkeypatch):
    from underlay.serve.redaction import finding

    text = "，".join(f"第{number}条 电话1380013{number:04}" for number in range(400))
    whole = redact(text)
    monkeypatch.setattr(finding, "WINDOW", 1000)
    monkeypatch.setattr(finding, "OVERLAP", 200)
    assert redact(text) == whole
    assert whole.counts == {"PHONE": 400}


@pytest.mark.parametrize("where", ["find", "placeholder", "replaced", "back"])
def test_an_error_anywhere_masks_the_whole_text_and_tells_nothing_of_it(monkeypatch, where):
    def broken(*_, **__):
        raise ValueError("13800138000 is what I choked on")

    monkeypatch.setattr(module, where, broken)
    if where == "back":  # called only where something is left after the first round
        monkeypatch.setattr(module, "replaced", lambda text, pieces: (text, [(s.start, s.end) for s, _ in pieces]))
    done = redact("手机13800138000")
    assert (done.text, done.counts, done.failed) == (MASKED, {"FAILED": 1}, "redaction_failed")
    assert "138" not in repr(done)


def test_what_is_never_clean_is_masked(monkeypatch):
    monkeypatch.setattr(module, "placeholder", lambda span, policy, numbering: "13900139000")
    assert redact("手机13800138000").text == MASKED


def test_time_that_is_over_masks_the_whole_text():
    module.ready()
    done = redact("手机13800138000 " * 1000, Policy(seconds=1e-9))
    assert (done.text, done.failed) == (MASKED, "redaction_timeout")


def test_half_a_character_masks_the_whole_text():
    assert redact("手机13800138000 \ud800").failed == "invalid_text"


def test_without_re2_nothing_is_given_out_and_the_install_line_is(checkout):
    code = (
        "import sys; sys.modules['re2'] = None\n"
        "from underlay.serve.redaction import redact\n"
        "try: redact('13800138000')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=checkout, timeout=120)
    assert done.stdout.startswith("MissingExtra redaction") and "underlay[redact]" in done.stdout
    assert issubclass(MissingExtra, UsageError)


def test_a_span_and_a_policy_show_no_values():
    spans = find("手机13800138000", Policy())
    assert "138" not in repr(spans)
    assert "secret" not in repr(Policy(mode="pseudonym", key=b"secret" * 4, words=("secret",)))


@pytest.mark.parametrize(
    "arguments",
    [{"kinds": ("FACE",)}, {"mode": "blur"}, {"mode": "pseudonym", "key": b"short"}, {"seconds": 0}, {"words": (" ",)}],
)
def test_a_policy_that_cannot_be_is_refused(arguments):
    with pytest.raises(UsageError):
        Policy(**arguments)


def test_json_keeps_every_sign_but_what_goes():
    text = '{"phone": 13800138000.0,"n":  1.50, "a": ["x\\u0040example.com", {"\\u624b\\u673a": "139 0013 9000"}]}'
    done = redact_json(text, Policy())
    assert done.text == ('{"phone": "[PHONE_1]","n":  1.50, "a": ["[EMAIL_1]", {"\\u624b\\u673a": "[PHONE_2]"}]}')
    json.loads(done.text)


def test_json_columns_are_keys_of_the_outermost_object():
    text = '{"a": {"b": "ann@example.com"}, "b": "ann@example.com", "ann@example.com": 1}'
    assert redact_json(text, Policy(), columns=("b",)).text == (
        '{"a": {"b": "ann@example.com"}, "b": "[EMAIL_1]", "ann@example.com": 1}'
    )
    assert redact_json(text, Policy()).text == '{"a": {"b": "[EMAIL_1]"}, "b": "[EMAIL_1]", "[EMAIL_1]": 1}'


def test_what_is_no_json_is_masked():
    done = redact_json('{"phone": 13800138000', Policy())
    assert (json.loads(done.text), done.failed) == (MASKED, "not_json")


def test_an_error_inside_json_masks_the_whole_document(monkeypatch):
    from underlay.serve.redaction import json_text

    def broken(*_, **__):
        raise ValueError("13800138000 is what I choked on")

    monkeypatch.setattr(json_text, "redact", broken)
    done = redact_json('{"phone": "13800138000"}', Policy())
    assert (json.loads(done.text), done.failed, done.counts) == (MASKED, "redaction_failed", {"FAILED": 1})


def test_another_process_gives_the_same_texts(checkout):
    code = (
        "import sys, json\n"
        "from underlay.serve.redaction import redact\n"
        "print(json.dumps([redact(text).text for text in json.load(sys.stdin)]))"
    )
    texts = [text for text, _ in GOES] + STAYS
    other = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=250
    )
    assert json.loads(other.stdout) == [redact(text).text for text in texts]


def test_the_rule_set_has_a_version_that_follows_its_patterns(monkeypatch):
    from underlay.serve.redaction import patterns

    before = rule_set()
    monkeypatch.setattr(patterns, "KNOWN", [*patterns.KNOWN, "x"])
    assert rule_set() != before


def test_the_form_for_matching_removes_and_folds_what_the_trainers_normaliser_does():
    differ = []
    for code in [*range(0x20, 0xD800), *range(0xE000, 0x10000), *range(0x1D400, 0x1D800), *range(0xE0000, 0xE0200)]:
        sign = chr(code)
        if unicodedata.category(sign) in ("Cn", "Mn", "Mc", "Co") or sign in "\u200c\u200d，":
            continue
        theirs = "".join(matching(one).text for one in normalise(sign))
        if matching(sign).text != theirs:
            differ.append(hex(code))
    assert differ == []
