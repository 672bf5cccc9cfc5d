"""Answers for files, streams and single values: the input comes back as it was, bad rows are said, the rest is done."""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from underlay.bundle import open_bundle


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.mark.row("D07")
def test_a_file_comes_back_with_its_columns_unchanged_and_the_answers_beside(underlay, bundle, reviews, tmp_path):
    done = underlay("predict", str(bundle), str(reviews), "--out", "answers.csv")
    assert (done.returncode, done.stdout) == (0, "")
    before, after = rows_of(reviews), rows_of(tmp_path / "answers.csv")
    assert list(after[0]) == ["id", "text", "note", "prediction", "confidence"]
    assert [{name: row[name] for name in before[0]} for row in after] == before
    expected = open_bundle(bundle).answer({"text": [row["text"] for row in before]})
    assert [row["prediction"] for row in after] == expected.predictions["label"]
    assert [float(row["confidence"]) for row in after] == pytest.approx(expected.confidence["label"].tolist(), abs=1e-6)


def test_scores_add_a_column_for_every_label_that_sums_to_one(underlay, bundle, reviews, tmp_path):
    assert underlay("predict", str(bundle), str(reviews), "--scores", "--out", "answers.tsv").returncode == 0
    for row in rows_of(tmp_path / "answers.tsv", "\t"):
        assert float(row["bad"]) + float(row["good"]) == pytest.approx(1, abs=1e-6)
        assert float(row[row["prediction"]]) == pytest.approx(float(row["confidence"]), abs=1e-6)


def test_without_out_the_table_goes_to_stdout(underlay, bundle, reviews):
    done = underlay("predict", str(bundle), str(reviews))
    assert done.returncode == 0
    assert [row["prediction"] for row in csv.DictReader(done.stdout.splitlines(keepends=True))].count("") == 0


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow", "a.csv.gz", "a.jsonl.zst"])
def test_the_ending_decides_the_format_and_it_can_be_read_back(name, underlay, bundle, reviews, tmp_path):
    from underlay.data import open_table

    assert underlay("predict", str(bundle), str(reviews), "--out", name).returncode == 0
    table = open_table(tmp_path / name)
    assert table.columns == ("id", "text", "note", "prediction", "confidence")
    assert table.values("text") == [row["text"] for row in rows_of(reviews)]


def test_bad_rows_get_an_error_cell_and_exit_3_and_the_others_are_answered(underlay, bundle, tmp_path):
    pq.write_table(pa.table({"text": ["fine", None, "also fine"], "n": [1, 2, 3]}), tmp_path / "in.parquet")
    done = underlay("predict", str(bundle), "in.parquet", "--out", "out.jsonl")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("underlay: bad_rows: 1 row could not be answered")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["prediction"] is None for row in rows] == [False, True, False]
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert [row["n"] for row in rows] == [1, 2, 3]


def test_one_value_prints_one_line(underlay, bundle):
    done = underlay("predict", str(bundle), "a quiet, wonderful film")
    assert done.returncode == 0
    prediction, confidence = done.stdout.rstrip("\n").split("\t")
    assert prediction in ("good", "bad")
    assert 0.5 <= float(confidence) <= 1
    assert done.stderr == ""


def test_one_value_with_scores_names_every_label(underlay, bundle):
    said = underlay("predict", str(bundle), "a film", "--scores").stdout.rstrip("\n").split("\t")
    assert [part.partition("=")[0] for part in said[2:]] == ["bad", "good"]


def test_a_text_that_ends_like_a_file_name_is_a_text_and_a_missing_file_is_an_error(underlay, bundle):
    assert underlay("predict", str(bundle), "I opened reviews.csv").returncode == 0
    missing = underlay("predict", str(bundle), "missing.csv")
    assert missing.returncode in (2, 3)
    assert "missing.csv" in missing.stderr


def test_lines_from_stdin_are_objects_or_bare_values_and_come_back_as_objects(underlay, bundle):
    lines = ['{"text": "a fine film", "id": 7}', '"a dull film"', "", '{"text": "电影"}']
    done = underlay("predict", str(bundle), "-", stdin="\n".join(lines) + "\n")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(row) for row in rows] == [
        ["text", "id", "prediction", "confidence"],
        ["text", "prediction", "confidence"],
        ["text", "prediction", "confidence"],
    ]
    assert [row["text"] for row in rows] == ["a fine film", "a dull film", "电影"]


@pytest.mark.parametrize("line", ["not json", '{"other": 1}', '{"text": null}', '{"text": 5}', "[" * 100_000, "[1, 2]"])
def test_a_bad_line_is_answered_by_an_error_and_the_others_go_on(line, underlay, bundle):
    done = underlay("predict", str(bundle), "-", stdin=f'"first"\n{line}\n"last"\n')
    rows = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert done.returncode == 3
    assert ["error" in row for row in rows] == [False, True, False]


def test_the_input_is_never_the_output(underlay, bundle, reviews):
    before = reviews.read_bytes()
    done = underlay("predict", str(bundle), str(reviews), "--out", str(reviews))
    assert done.returncode == 2
    assert reviews.read_bytes() == before


def test_a_file_that_is_there_is_replaced_only_when_asked(underlay, bundle, reviews, tmp_path):
    (tmp_path / "kept.csv").write_text("mine\n", encoding="utf-8")
    done = underlay("predict", str(bundle), str(reviews), "--out", "kept.csv")
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (tmp_path / "kept.csv").read_text(encoding="utf-8") == "mine\n"
    assert underlay("predict", str(bundle), str(reviews), "--out", "kept.csv", "--force").returncode == 0
    assert len(rows_of(tmp_path / "kept.csv")) == len(rows_of(reviews))


def test_an_input_that_has_a_column_named_prediction_is_refused_before_anything_is_hidden(underlay, bundle, tmp_path):
    (tmp_path / "in.csv").write_text("text,prediction\na,b\n", encoding="utf-8")
    done = underlay("predict", str(bundle), "in.csv", "--out", "out.csv")
    assert done.returncode == 2
    assert "'prediction'" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_column_is_named_with_those_that_are_there(underlay, bundle, tmp_path):
    (tmp_path / "in.csv").write_text("txt,id\na,b\nc,d\n", encoding="utf-8")
    done = underlay("predict", str(bundle), "in.csv")
    assert done.returncode == 3
    assert "'text'" in done.stderr
    assert "txt" in done.stderr


def test_an_unknown_ending_is_refused_before_any_work(underlay, bundle, reviews):
    done = underlay("predict", str(bundle), str(reviews), "--out", "answers.xlsx")
    assert done.returncode == 2
    assert ".csv" in done.stderr


def test_a_compressed_input_is_read(underlay, bundle, reviews, tmp_path):
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(reviews.read_bytes()))
    assert underlay("predict", str(bundle), "in.csv.gz", "--out", "out.csv").returncode == 0
    assert len(rows_of(tmp_path / "out.csv")) == len(rows_of(reviews))


def test_a_header_without_rows_gives_a_header_without_rows(underlay, bundle, tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in.parquet")
    done = underlay("predict", str(bundle), "in.parquet")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["text,prediction,confidence"]


def test_a_full_disk_is_exit_5_and_leaves_nothing(underlay, bundle, reviews, tmp_path):
    import resource
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "underlay", "predict", str(bundle), str(reviews), "--out", "out.csv"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith("underlay: disk_full: ")
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.csv"}


def test_verify_says_that_a_bundle_is_intact_and_refuses_a_changed_one(underlay, bundle, tmp_path):
    import shutil

    done = underlay("verify", str(bundle))
    assert (done.returncode, "intact" in done.stdout) == (0, True)
    shutil.copytree(bundle, tmp_path / "copy")
    labels = tmp_path / "copy" / "labels.json"
    labels.write_bytes(labels.read_bytes().replace(b"good", b"goof"))
    refused = underlay("verify", "copy")
    assert refused.returncode == 4
    assert "labels.json" in refused.stderr
