"""Everything else that may be called DATA: JSONL, Parquet, Arrow, folders, frames, and what is refused."""

import datetime as dt
import json
import pickle
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from underlay.core import BundleRefused, DataError, UnderlayError, UnknownName, UsageError
from underlay.data import infer_schema, open_table

_ROWS = {"text": ["good film", "bad film"], "label": [1, 0]}


def test_jsonl_keeps_types_lines_and_missing_keys(opened):
    table = opened("a.jsonl", '{"text": "a", "n": 1, "s": [1, 2.5]}\n\n{"text": "b", "tags": ["x", null], "n": 2.5}\n')
    assert table.arrow.to_pylist() == [
        {"text": "a", "n": 1.0, "s": [1.0, 2.5], "tags": None},
        {"text": "b", "n": 2.5, "s": None, "tags": ["x", None]},
    ]
    assert table.place(1) == "a.jsonl, line 3"


def test_jsonl_reads_nan_as_missing_and_objects_as_json_text(opened):
    table = opened("a.jsonl", '{"a": NaN, "b": {"c": "好"}, "d": 123456789012345678901234567890, "e": "\\ud800x"}\n')
    assert table.arrow.to_pylist() == [
        {"a": None, "b": '{"c": "好"}', "d": "123456789012345678901234567890", "e": "?x"}
    ]


_json_cells = st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=8))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), _json_cells), min_size=1, max_size=10))
def test_what_a_json_writer_wrote_is_read_back_as_one_type_a_column(tmp_path, rows):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = open_table(path)
    for name in table.columns:
        cells = [row.get(name) for row in rows]
        kinds = {type(cell) for cell in cells if cell is not None}
        expected = cells if len(kinds) <= 1 else [None if cell is None else str(cell) for cell in cells]
        assert table.values(name) == expected
    assert set(table.columns) == {name for row in rows for name in row}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n{"a": 2\n[1]\n', r"line 2: not JSON .*: '\{\"a\": 2' \(1 more such lines\)"),
        ('{"a": 1}\n[1, 2]\n', "line 2: a list, not an object"),
        ('{"a": 1, "a": 2}\n', "line 1: the key 'a' appears twice"),
        ("[" * 100_000 + "\n", "line 1: nested too deeply"),
        ("\n\n", "is empty"),
    ],
)
def test_lines_that_are_no_rows_are_named(opened, content, said):
    with pytest.raises(DataError, match=said):
        opened("a.jsonl", content)


def test_parquet_keeps_types_and_reads_categories_as_values(tmp_path):
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame(
        {"text": ["a b", "c d"], "label": pd.Categorical(["x", "y"]), "when": pd.Timestamp("2026-01-01")}
    )
    frame.to_parquet(path)
    table = open_table(path)
    assert table.values("label") == ["x", "y"]
    assert table.values("when")[0] == dt.datetime(2026, 1, 1)  # noqa: DTZ001
    assert table.arrow.schema.field("label").type == pa.string()


def test_a_large_parquet_file_is_mapped(tmp_path):
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    pq.write_table(pa.table({"x": rng.random(5_000_000)}), path, row_group_size=100_000)
    held = pa.total_allocated_bytes()
    table = open_table(path, cache=tmp_path / "run")
    assert len(table) == 5_000_000
    assert pa.total_allocated_bytes() - held < 20_000_000


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_streams_are_read(tmp_path, kind):
    path = tmp_path / "a.arrow"
    table = pa.table(_ROWS)
    with pa.OSFile(str(path), "wb") as sink:
        writer = pa.ipc.new_file(sink, table.schema) if kind == "file" else pa.ipc.new_stream(sink, table.schema)
        with writer:
            writer.write_table(table)
    assert open_table(path).arrow.equals(table)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_typed_files_are_refused(opened, name):
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        opened(name, b"PAR1" + bytes(range(200)))


@pytest.mark.parametrize(
    "source",
    [
        _ROWS,
        pa.table(_ROWS),
        pa.RecordBatch.from_pydict(_ROWS),
        pd.DataFrame(_ROWS),
        pl.DataFrame(_ROWS),
        pl.DataFrame(_ROWS).lazy(),
        (_ROWS["text"], _ROWS["label"]),
        (np.array(_ROWS["text"]), np.array(_ROWS["label"])),
        (pd.Series(_ROWS["text"]), pl.Series(_ROWS["label"])),
        (pd.DataFrame({"text": _ROWS["text"]}), _ROWS["label"]),
        [{"text": "good film", "label": 1}, {"text": "bad film", "label": 0}],
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_form_in_memory_gives_the_same_table_and_digest(source):
    table = open_table(source)
    assert table.arrow.to_pydict() == _ROWS
    assert table.digest == open_table(_ROWS).digest
    assert table.place(1) == "memory, row 2"


def test_a_datasets_table_is_read():
    datasets = pytest.importorskip("datasets")
    assert open_table(datasets.Dataset.from_dict(_ROWS)).arrow.to_pydict() == _ROWS


def test_a_column_of_mixed_objects_becomes_text():
    assert open_table(pd.DataFrame({"a": ["x", 1, None, 2.5]})).values("a") == ["x", "1", None, "2.5"]


def test_values_and_labels_of_different_length_are_refused():
    with pytest.raises(DataError, match="X has 2 values and y has 1"):
        open_table((["a", "b"], [1]))
    with pytest.raises(UsageError, match=r"shape \(3, 2\)"):
        open_table((np.zeros((3, 2)), [0, 1, 0]))


def test_class_folders_become_paths_or_texts_and_labels(tmp_path):
    for label, count in (("cats", 2), ("dogs", 1)):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "pets" / label / f"{number}.PNG").write_bytes(b"x")
            (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "texts" / label / f"{number}.txt").write_text(f"words of {label} {number}", encoding="utf-8")
    pets = open_table(tmp_path / "pets")
    assert pets.arrow.to_pydict() == {
        "image": ["cats/0.PNG", "cats/1.PNG", "dogs/0.PNG"],
        "label": ["cats", "cats", "dogs"],
    }
    assert pets.folder == tmp_path / "pets"
    assert infer_schema(pets).schema.columns[0].modality == "image"
    assert open_table(tmp_path / "texts").values("text")[0] == "words of cats 0"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        open_table(tmp_path / "empty")


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.row("D10")
@pytest.mark.parametrize(
    "name", ["a.pkl", "a.pt", "a.joblib", "a.npy", "a.xlsm", "renamed.csv", "renamed.parquet", "a.gz.pkl"]
)
def test_files_that_could_run_code_are_refused_and_nothing_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(BundleRefused, match="could run code") as caught:
        open_table(tmp_path / name)
    assert caught.value.exit_code == 4
    assert not (tmp_path / "exploded").exists()


@pytest.mark.row("D10")
def test_an_array_of_objects_is_refused_whatever_its_name(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").rename(tmp_path / "a.csv")
    with pytest.raises(BundleRefused, match="NumPy"):
        open_table(tmp_path / "a.csv")


@pytest.mark.row("D12")
@pytest.mark.parametrize(
    "source",
    [
        "http://127.0.0.1/a.csv",
        "http://169.254.169.254",
        "http://[::1]",
        "http://127.1",
        "http://host\\@evil",
        "file:///etc/passwd",
        "https://example.com/a.csv",
        "s3://bucket/a.csv",
        "HTTP://localhost",
    ],
)
def test_urls_are_refused_and_nothing_is_connected_to(source, monkeypatch):
    def connect(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    with pytest.raises(UsageError, match="is a URL") as caught:
        open_table(source)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"PK\x03\x04", "save it as CSV"),
        ("a.json", b"[]", "one object a line"),
        ("a.dat", b"text", "name it .csv"),
        ("a.csv", b"\0\1\2\3" * 100, "not a text file"),
    ],
)
def test_other_files_are_refused_with_what_to_do(opened, name, content, said):
    with pytest.raises(DataError, match=said):
        opened(name, content)


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(DataError, match=r"no file or folder nowhere\.csv"):
        open_table("nowhere.csv")
    with pytest.raises(UsageError, match="int 5 is no data set"):
        open_table(5)
    with pytest.raises(UnknownName, match="did you mean 'movie-snippets'"):
        open_table("sample:movie-snipets")


@pytest.mark.parametrize("closed", ["a.csv", "."])
def test_a_file_or_folder_that_may_not_be_read_is_said(tmp_path, closed):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,1\n", encoding="utf-8")
    tmp_path.chmod(0o755)
    (tmp_path / closed).chmod(0)
    code = f"""
        import os
        from underlay.core import DataError
        from underlay.data import open_table
        os.chdir({str(tmp_path)!r})
        if os.getuid() == 0:  # for whom no file is closed
            os.setgid(65534)
            os.setuid(65534)
        try:
            open_table("a.csv")
        except DataError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    tmp_path.chmod(0o755)
    assert "a.csv may not be read: permission denied" in done.stdout, done.stderr


def test_the_hub_needs_its_extra_or_a_network(monkeypatch):
    monkeypatch.setenv("UNDERLAY_OFFLINE", "1")
    with pytest.raises(UnderlayError, match=r"UNDERLAY_OFFLINE is set|pip install"):
        open_table("hf:imdb")
