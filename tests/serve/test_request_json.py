"""The JSON of a request: what parsers disagree on is refused, with the place of the fault and without its words."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.serve.limits import Limits
from underlay.serve.questions import read_question, read_value
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import parse, pointer

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(categories=["L"])), inner),
    max_leaves=20,
)  # fmt: skip


def refused(data: bytes) -> tuple[int, str, str | None]:
    with pytest.raises(Refusal) as found:
        parse(data)
    return found.value.status, found.value.code, found.value.field


@settings(deadline=None)
@given(plain)
def test_what_json_can_say_comes_through_unchanged(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.row("J01")
@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1} x', b"{'a': 1}", b'{"a": 1,}', b"[1 2]", b'"\n"'])
def test_what_is_no_json_is_refused_with_the_place(data):
    with pytest.raises(Refusal) as found:
        parse(data)
    assert (found.value.status, found.value.code) == (400, "json_syntax")
    assert isinstance(found.value.to_dict("r")["error"]["offset"], int)


@pytest.mark.row("J02")
@pytest.mark.parametrize(
    "data", [b'"\xff"', '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le"), b"\xef\xbb\xbf1"]
)
def test_another_encoding_is_refused(data):
    assert refused(data)[:2] == (400, "not_utf8")


@pytest.mark.row("J03")
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(number):
    assert refused(number)[:2] == (422, "non_finite")
    assert refused(b'{"rows": [{"series": [[1, 2], [3, %b]]}]}' % number) == (422, "non_finite", "/rows/0/series/1/1")


@pytest.mark.row("J04")
@pytest.mark.parametrize("depth", [33, 100_000])
@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_nesting_is_refused_before_it_is_followed(depth, bracket):
    started = time.perf_counter()
    assert refused(bracket * depth)[:2] == (400, "json_too_deep")
    assert time.perf_counter() - started < 1
    assert parse(b"[" * 32 + b"]" * 32)
    assert parse(json.dumps("[" * 100).encode()) == "[" * 100


@pytest.mark.row("J05")
def test_a_number_of_thousands_of_digits_is_refused():
    assert refused(b"9" * 5_000)[:2] == (422, "number_too_long")
    assert refused(b"0." + b"9" * 5_000)[:2] == (422, "number_too_long")


@pytest.mark.row("J06")
def test_a_key_that_stands_twice_is_refused():
    assert refused(b'{"rows": [], "rows": [1]}')[:2] == (400, "duplicate_key")
    assert refused(b'{"a": {"b": 1, "\\u0062": 2}}')[:2] == (400, "duplicate_key")


@pytest.mark.row("J09")
@pytest.mark.parametrize(
    "letter", ["\\ud800", "\\udc00\\ud800", "\\u0000", "\\ufffe", "\ufdd0", "\U0010ffff", "\\ud83f\\udffe"]
)
def test_half_characters_are_refused_in_values_and_in_names(letter):
    assert refused(f'{{"row": {{"text": "a{letter}"}}}}'.encode()) == (422, "invalid_text", "/row/text")
    assert refused(f'{{"row": {{"{letter}": 1}}}}'.encode()) == (422, "invalid_text", "/row")
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.row("J13")
def test_a_large_integer_is_the_one_that_was_sent():
    assert parse(str(2**53 + 1).encode()) == 2**53 + 1


def test_a_pointer_repeats_no_words_of_a_stranger():
    assert pointer(["rows", 0, "x" * 100, 1]) == "/rows/0"


def question(body: object, columns: tuple[str, ...] = ("text",), **more: object) -> tuple[int, str, str | None]:
    with pytest.raises(Refusal) as found:
        read_question(body, columns, files=more.get("files", ()), limits=Limits())  # type: ignore[arg-type]
    told = json.dumps(found.value.to_dict("r"))
    assert "secret" not in told
    return found.value.status, found.value.code, found.value.field


@pytest.mark.row("J07", "J12")
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ([], "wrong_type", ""),
        ("secret", "wrong_type", ""),
        ({}, "missing_field", ""),
        ({"rows": [{"text": "a"}], "row": {"text": "a"}}, "unknown_field", ""),
        ({"rows": {"text": "a"}}, "wrong_type", "/rows"),
        ({"rows": ["secret"]}, "wrong_type", "/rows/0"),
        ({"rows": [{"text": "a"}, {}]}, "missing_field", "/rows/1/text"),
        ({"rows": [{"text": "a", "secret": 1}]}, "unknown_field", "/rows/0"),
        ({"row": {"text": "a"}, "secret": 1}, "unknown_field", ""),
        ({"row": {"text": "a"}, "__proto__": 1}, "unknown_field", ""),
        ({"row": {"text": "a"}, "constructor": {}}, "unknown_field", ""),
        ({"row": {"text": "a", "$ref": "#"}}, "unknown_field", "/row"),
        ({"row": {"text": "a", "x" * 1_000_000: 1}}, "unknown_field", "/row"),
    ],
)
def test_a_body_of_another_form_is_refused_with_the_place(body, code, field):
    assert question(body) == (422, code, field)


@pytest.mark.row("J08")
@pytest.mark.parametrize("scores", ["true", 1, 1.0, None, []])
def test_nothing_is_converted(scores):
    assert question({"row": {"text": "a"}, "scores": scores}) == (422, "wrong_type", "/scores")
    assert question({"row": {"text": "a"}, "id": 1.0}) == (422, "wrong_type", "/id")
    assert question({"row": {"text": "a"}, "id": True}) == (422, "wrong_type", "/id")


@pytest.mark.row("J10")
def test_no_rows_and_too_many_rows_are_refused():
    assert question({"rows": []})[:2] == (422, "no_rows")
    assert question({"rows": [{"text": "a"}] * 65})[:2] == (413, "too_many_items")
    assert read_question({"rows": [{"text": "a"}] * 64}, ["text"], files=(), limits=Limits()).count == 64


@pytest.mark.row("X02")
def test_a_text_beyond_its_bound_is_refused_before_anything_reads_it():
    assert question({"row": {"text": "a" * 20_001}}) == (422, "text_too_long", "/row/text")
    assert question({"row": {"text": ["a", {"b": "a" * 20_001}]}})[1] == "text_too_long"


@pytest.mark.row("I12")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("http://127.0.0.1/a.png", "url_not_allowed"),
        ("file:///etc/passwd", "url_not_allowed"),
        ("\\\\host\\share\\a.png", "url_not_allowed"),
        ("//host/a.png", "url_not_allowed"),
        ("/etc/passwd.png", "not_base64"),
        ("../a.png", "not_base64"),
        ("data:image/png,abc", "not_base64"),
        ("data:image/png;base64,a b", "not_base64"),
        ({"path": "/etc/passwd"}, "wrong_type"),
        ({"bytes": "aGk="}, "wrong_type"),
        (["a"], "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_a_column_of_files_takes_the_bytes_of_one_and_opens_nothing(value, code, monkeypatch):
    monkeypatch.setattr("os.open", lambda *_: pytest.fail("something was opened"))
    assert question({"row": {"picture": value}}, ("picture",), files=("picture",)) == (422, code, "/row/picture")


def test_base64_is_taken_with_and_without_its_address():
    assert read_value("aGk=", file=True, limits=Limits()) == b"hi"
    assert read_value("DATA:image/png;BASE64,aGk=", file=True, limits=Limits()) == b"hi"
    assert isinstance(read_value("etcpasswd+++", file=True, limits=Limits()), bytes)  # a name that is base64 is no path
