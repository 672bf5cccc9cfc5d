"""`underlay redact`: every format in, the same format out, counts and never values, closed on what cannot be read."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PHONE, MAIL = "13800138000", "ann@example.com"


def test_a_text_keeps_its_encoding_its_line_ends_and_all_that_is_nobodys(underlay, tmp_path):
    text = f"第一行 手机{PHONE}\r\n\r\n  价格 12.50 元\t{MAIL}\r\n"
    (tmp_path / "notes.txt").write_bytes(text.encode("gb18030"))
    done = underlay("redact", "notes.txt", "--out", "clean.txt")
    assert done.returncode == 0
    assert (tmp_path / "clean.txt").read_bytes().decode("gb18030") == text.replace(PHONE, "[PHONE_1]").replace(
        MAIL, "[EMAIL_1]"
    )
    assert done.stdout.splitlines()[-1] == "clean.txt"
    assert PHONE not in done.stdout + done.stderr and "2 found in 1 text" in done.stdout


def test_stdin_goes_to_stdout_and_the_counts_beside_it(underlay):
    done = underlay("redact", "-", stdin=f"call {PHONE}\n")
    assert (done.returncode, done.stdout) == (0, "call [PHONE_1]\n")
    assert "1 found" in done.stderr


def test_json_without_out_only_counts(underlay, tmp_path):
    (tmp_path / "a.csv").write_text(f"id,text\n1,手机{PHONE}\n2,{MAIL} {PHONE}\n", encoding="utf-8")
    done = underlay("redact", "a.csv", "--json")
    told = json.loads(done.stdout)
    assert told["counts"] == {"EMAIL": 1, "PHONE": 2}
    assert told["columns"] == {"text": {"EMAIL": 1, "PHONE": 2}}
    assert told["failed"] == 0 and told["rule_set"].startswith("redaction.v1+")
    assert PHONE not in done.stdout and not (tmp_path / "a-redacted.csv").exists()


def test_a_row_of_a_csv_is_one_document_and_other_cells_are_what_they_were(underlay, tmp_path):
    rows = [["id", "phone", "note"], ["007", PHONE, f'回电{PHONE}\n谢谢, "急"'], ["008", "13900139000", ""]]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    assert underlay("redact", "a.csv", "--out", "b.csv").returncode == 0
    back = list(csv.reader(io.StringIO((tmp_path / "b.csv").read_text(encoding="utf-8"), newline="")))
    assert back == [rows[0], ["007", "[PHONE_1]", '回电[PHONE_1]\n谢谢, "急"'], ["008", "[PHONE_1]", ""]]


def test_only_the_columns_asked_for_are_redacted_and_a_missing_one_is_said(underlay, tmp_path):
    (tmp_path / "a.tsv").write_text(f"x\ty\n{PHONE}\t{PHONE}\n", encoding="utf-8")
    assert underlay("redact", "a.tsv", "--column", "y").stdout == f"x\ty\n{PHONE}\t[PHONE_1]\n"
    done = underlay("redact", "a.tsv", "--column", "z", "--out", "b.tsv")
    assert done.returncode == 3
    assert "missing_column" in done.stderr and not (tmp_path / "b.tsv").exists()


def test_parquet_keeps_its_types_but_where_a_number_had_to_go(underlay, tmp_path):
    table = pa.table(
        {
            "phone": pa.array([int(PHONE), None], pa.int64()),
            "n": pa.array([1, 2], pa.int32()),
            "tags": [[MAIL, "x"], None],
            "raw": pa.array([b"\x00\x01", PHONE.encode()], pa.binary()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    done = underlay("redact", "a.parquet", "--out", "b.parquet")
    assert done.returncode == 0
    back = pq.read_table(tmp_path / "b.parquet")
    assert back.to_pylist() == [
        {"phone": "[PHONE_1]", "n": 1, "tags": ["[EMAIL_1]", "x"], "raw": b"\x00\x01"},
        {"phone": None, "n": 2, "tags": None, "raw": PHONE.encode()},
    ]
    assert back.schema.field("n").type == pa.int32()
    assert "written as text" in done.stderr


def test_json_lines_change_only_where_something_goes_and_a_bad_line_is_masked(underlay, tmp_path):
    lines = [f'{{"a": "{PHONE}",  "n": 1.50}}', "", f'{{"a": {PHONE}', '{"a": "\\u00e9"}']
    (tmp_path / "a.jsonl").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    (tmp_path / "a.jsonl").rename(tmp_path / "a.jsonl.gz")
    done = underlay("redact", "a.jsonl.gz", "--out", "b.jsonl")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("underlay: redaction_failed: 1 text could not be redacted")
    assert (tmp_path / "b.jsonl").read_bytes().decode().split("\r\n") == [
        '{"a": "[PHONE_1]",  "n": 1.50}', "", '"[REDACTION_FAILED]"', '{"a": "\\u00e9"}',
    ]  # fmt: skip
    assert underlay("redact", "-", "--lines", stdin=f'"{PHONE}"\n').stdout == '"[PHONE_1]"\n'


def test_a_file_without_a_header_loses_its_first_row_too(underlay, tmp_path):
    (tmp_path / "a.csv").write_text(f"1,{PHONE}\n2,13900139000\n", encoding="utf-8")
    done = underlay("redact", "a.csv")
    assert done.stdout == "1,[PHONE_1]\n2,[PHONE_1]\n"
    assert "header" in done.stderr


def test_pseudonyms_take_a_key_and_words_a_list(underlay, tmp_path):
    (tmp_path / "key").write_bytes(b"k" * 32)
    (tmp_path / "words").write_text("李小龙\n\n", encoding="utf-8")
    done = underlay(
        "redact", "-", "--mode", "pseudonym", "--key-file", "key", "--words", "words", stdin=f"李小龙 {PHONE}"
    )
    assert done.returncode == 0
    first, second = done.stdout.split()
    assert first.startswith("[WORD_") and second.startswith("[PHONE_") and len(second) == len("[PHONE_]") + 12
    assert underlay("redact", "-", "--mode", "pseudonym", stdin="x").returncode == 2
    (tmp_path / "words").write_bytes(b"\xff\xfe\x00")
    broken = underlay("redact", "-", "--words", "words", stdin=PHONE)
    assert (broken.returncode, broken.stdout) == (3, "")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.bin", b"\x7fELF" + bytes(64) + PHONE.encode(), 3),
        ("a.txt", PHONE.encode() + b"\n\xe4\xb8\xad\xe6\x96\x87 \n" * 9 + b"\xff\xfe\x81 x\n", 3),
        ("a.pkl", b"\x80\x04\x95", 4),
        ("a.csv", b"", 3),
        ("a.pdf", b"%PDF-1.7 " + PHONE.encode(), 3),
    ],
    ids=["binary", "two encodings", "pickle", "empty", "pdf"],
)
def test_what_cannot_be_read_is_refused_and_nothing_of_it_is_shown(name, content, code, underlay, tmp_path):
    (tmp_path / name).write_bytes(content)
    done = underlay("redact", name, "--out", "out" + name[1:])
    assert done.returncode == code
    assert PHONE not in done.stdout + done.stderr and not (tmp_path / f"out{name[1:]}").exists()


def test_stdin_that_is_not_utf8_is_refused(underlay, checkout, tmp_path):
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "underlay", "redact", "-"],
        input=b"\xff" + PHONE.encode(),
        capture_output=True,
        timeout=250,
    )
    assert done.returncode == 3
    assert PHONE.encode() not in done.stdout + done.stderr


def test_what_stands_there_is_not_replaced_unasked_and_never_the_input(underlay, tmp_path):
    (tmp_path / "a.txt").write_text(PHONE, encoding="utf-8")
    (tmp_path / "b.txt").write_text("mine", encoding="utf-8")
    assert underlay("redact", "a.txt", "--out", "b.txt").returncode == 2
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "mine"
    assert underlay("redact", "a.txt", "--out", "a.txt", "--force").returncode == 2
    assert underlay("redact", "a.txt", "--out", "b.txt", "--force").returncode == 0
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "[PHONE_1]"
    assert underlay("redact", "a.txt", "--column", "x").returncode == 2
    assert underlay("redact", "a.txt", "--kind", "FACE").returncode == 2
    assert underlay("redact", "none.txt").returncode == 3


def test_a_huge_cell_is_redacted_like_any_other(underlay, tmp_path):
    cell = "x" * 400_000 + f" {PHONE} " + "y" * 400_000
    pq.write_table(pa.table({"text": [cell]}), tmp_path / "a.parquet")
    assert underlay("redact", "a.parquet", "--out", "b.parquet").returncode == 0
    assert pq.read_table(tmp_path / "b.parquet").to_pylist() == [{"text": cell.replace(PHONE, "[PHONE_1]")}]
