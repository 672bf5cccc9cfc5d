"""Encodings are found over the whole file, said, and never half-decoded."""

import pytest

from underlay.core import DataError

_CHINESE = "text,label\n" + "质量很好，我非常喜欢，下次还会再来,好\n太差了，完全失望，不推荐给任何人,差\n" * 3
_FRENCH = "text,label\ndéjà vu, un très bel été,bon\nça va mal à Noël,mauvais\n".replace(", un", " un")


@pytest.mark.row("D06")
@pytest.mark.parametrize(
    ("content", "codec", "said"),
    [
        (_CHINESE, "gb18030", "GB18030"),
        (_CHINESE, "gbk", "GB18030"),
        (_CHINESE, "utf-16", "UTF-16"),
        (_CHINESE, "utf-32", "UTF-32"),
        (_CHINESE, "utf-8-sig", "byte order mark"),
        ("text,label\nplain words,ok\n", "utf-16-le", "UTF-16 without"),
        ("text,label\nplain words,ok\n", "utf-16-be", "UTF-16 without"),
        (_FRENCH, "latin-1", "Latin-1"),
        (_FRENCH.replace("bon", "“bon”"), "cp1252", "Windows-1252"),
        ("text,label\n這個產品的質量非常好我很喜歡,好\n這個產品太差了非常失望,差\n", "big5", "Big5"),
        (
            "text,label\nこんにちは、今日はとても良い天気ですね,良い\nこの商品は本当にひどいです,悪い\n",
            "shift_jis",
            "Shift-JIS",
        ),
        (
            "text,label\nこんにちは、今日はとても良い天気ですね,良い\nこの商品は本当にひどいです,悪い\n",
            "euc_jp",
            "EUC-JP",
        ),
        ("text,label\n안녕하세요 오늘 날씨가 정말 좋네요 감사합니다 여러분,좋음\n", "euc_kr", "EUC-KR"),
        ("text,label\nОчень хороший товар всем советую,да\nПлохое качество не покупайте,нет\n", "cp1251", "1251"),
    ],
)
def test_the_encoding_is_found_and_said(opened, content, codec, said):
    table = opened("a.csv", content.encode(codec))
    assert table.values("text")[0] == content.splitlines()[1].rpartition(",")[0]
    assert said in " ".join(table.notes)


def test_plain_utf8_is_not_worth_a_note(opened):
    assert opened("a.csv", _CHINESE).notes == ()


def test_the_first_odd_byte_may_come_late(opened):
    content = b"text,label\n" + b"plain ascii words,ok\n" * 300_000 + "un été à la mer,bon\n".encode("latin-1")
    table = opened("a.csv", content)
    assert table.values("text", [300_000]) == ["un été à la mer"]


@pytest.mark.row("D06")
def test_a_file_in_two_encodings_is_refused_with_the_line(opened):
    mixed = _CHINESE.encode("utf-8") + "un été,x\n".encode("latin-1")
    with pytest.raises(DataError, match=r"a\.csv, line 8: byte .* does not decode") as caught:
        opened("a.csv", mixed)
    assert caught.value.exit_code == 3


@pytest.mark.row("D06")
def test_utf16_that_breaks_off_is_refused(opened):
    with pytest.raises(DataError, match="begins as UTF-16, but byte"):
        opened("a.csv", _CHINESE.encode("utf-16")[:-1])


def test_jsonl_is_decoded_alike(opened):
    table = opened("a.jsonl", '{"text": "质量很好，我非常喜欢", "label": "好"}\n'.encode("gb18030"))
    assert table.values("text") == ["质量很好，我非常喜欢"]
    assert "GB18030" in table.notes[0]
