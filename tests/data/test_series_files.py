"""Series in files: .ts, .npz, JSON in cells, a column a moment, a row a moment; and broken ones."""

import gzip
import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from underlay.core import BundleRefused, DataError, MissingColumn, UsageError
from underlay.data import Gathering, Table, find_wide, gather, gathered_as, infer_schema, open_table

TS = """# a comment
@problemName Two
@timeStamps false
@univariate {univariate}
@classLabel true a b
@data
{rows}
"""


def ts(tmp_path, rows, *, univariate="true", name="a.ts", text=TS):
    path = tmp_path / name
    content = text.format(rows=rows, univariate=univariate).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def test_a_ts_file_of_one_channel_gives_lists_and_labels(tmp_path):
    table = open_table(ts(tmp_path, "1,?,-3e2:a\n\n  4,5:b"))
    assert table.arrow.to_pydict() == {"series": [[1.0, None, -300.0], [4.0, 5.0]], "label": ["a", "b"]}
    assert table.place(1) == "a.ts, line 9"
    assert "1 channel, problem Two" in table.notes[0]
    schema = infer_schema(table).schema
    assert [column.modality for column in schema.columns] == ["series"]
    assert schema.target.labels == ("a", "b")


@pytest.mark.parametrize("name", ["a.ts", "a.ts.gz", "A.TS"])
def test_a_ts_file_of_several_channels_gives_lists_of_channels(tmp_path, name):
    table = open_table(ts(tmp_path, "1,2:3,4:a\r\n5:6:b", univariate="false", name=name))
    assert table.values("series") == [[[1.0, 2.0], [3.0, 4.0]], [[5.0], [6.0]]]


def test_a_ts_file_without_labels_gives_series_alone(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("@univariate true\n@classLabel false\n@data\n1,2\n3,4\n", encoding="utf-8")
    assert open_table(path).arrow.to_pydict() == {"series": [[1.0, 2.0], [3.0, 4.0]]}


def test_a_ts_file_with_numbers_to_predict_and_a_missing_one(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("@targetlabel true\n@data\n1,2:0.5\n3,4:?\n", encoding="utf-8")
    assert open_table(path).values("label") == ["0.5", None]


def test_many_rows_are_read_in_batches_and_kept_for_the_next_run(tmp_path):
    path = ts(tmp_path, "\n".join(f"{at},1:{'ab'[at % 2]}" for at in range(3000)))
    first, second = (open_table(path, cache=tmp_path / "cache") for _ in range(2))
    assert first.arrow.equals(second.arrow)
    assert first.values("series", [2999]) == [[2999.0, 1.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"const x = 1;\n", r"line 1: 'const x = 1;' stands before @data"),
        (b"@univariate true\n1,2:a\n", r"line 2: '1,2:a' stands before @data"),
        (b"@univariate true\n", "has no line @data"),
        (b"@data\n", "no line behind @data"),
        (b"@univariate true\n@univariate false\n@data\n1\n", "line 2: @univariate appears twice"),
        (b"@timeStamps true\n@data\n(0,1)\n", "time stamps"),
        (b"@data\n(0,1),(1,2)\n", "line 2: values with time stamps"),
        (b"@data\n1,two,3\n", r"line 2: value 2 is 'two'"),
        (b"@data\n1,,3\n", r"line 2: value 2 is ''"),
        (b"@data\n1_0,2\n", r"line 2: value 1 is '1_0'"),
        (b"@data\n1:2\n3\n", "line 3: 1 channels, the rows above have 2"),
        (b"@classLabel true a b\n@data\n1,2:c\n", "line 3: the label 'c' is none of a, b"),
        (b"@classLabel true a b\n@data\n1,2\n", "line 3: one part alone"),
        (b"@data\n1,\xff\n", "line 2 is not UTF-8"),
    ],
)
def test_a_broken_ts_file_says_what_is_wrong_and_where(tmp_path, content, message):
    (tmp_path / "a.ts").write_bytes(content)
    with pytest.raises(DataError, match=message) as refused:
        open_table(tmp_path / "a.ts")
    assert " — " in str(refused.value)


def npz(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("shape", [(4, 5), (4, 2, 5)])
def test_an_archive_of_arrays_gives_series_labels_and_further_columns(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values[0, ..., 0] = np.nan
    path = npz(tmp_path, X=values, y=np.array(["a", "b", "a", "b"]), part=np.arange(4), edges=np.zeros(9))
    table = open_table(path)
    assert table.columns == ("series", "label", "part")
    assert np.array_equal(np.array(table.values("series")), values, equal_nan=True)
    assert table.values("part") == [0, 1, 2, 3]
    assert "left out: edges" in table.notes[1]
    assert infer_schema(table).schema.columns[0].modality == "series"


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"signal": np.zeros((3, 4))}, "npz_names"),
        ({}, "npz_names"),
        ({"X": np.zeros((3, 4)), "x": np.zeros((3, 4))}, "npz_names"),
        ({"X": np.zeros(3)}, "npz_shape"),
        ({"X": np.zeros((2, 2, 2, 2))}, "npz_shape"),
        ({"X": np.zeros((0, 4))}, "npz_shape"),
        ({"X": np.array([["a", "b"]])}, "npz_shape"),
        ({"X": np.array([[1j, 2]])}, "npz_shape"),
        ({"X": np.array([[True, False]])}, "npz_shape"),
        ({"X": np.zeros((3, 4)), "y": np.zeros(2)}, "npz_shape"),
        ({"X": np.zeros((3, 4)), "y": np.zeros((3, 1))}, "npz_shape"),
    ],
)
def test_an_archive_of_other_arrays_is_refused(tmp_path, arrays, code):
    with pytest.raises(DataError) as refused:
        open_table(npz(tmp_path, **arrays))
    assert refused.value.code == code


def test_an_archive_of_objects_is_a_pickle_and_never_read(tmp_path):
    with pytest.raises(BundleRefused, match="pickle"):
        open_table(npz(tmp_path, X=np.array([[1], [1, 2]], dtype=object)))


def test_an_archive_that_is_none_damaged_or_a_bomb_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"PK\x03\x04 no archive", b"no archive at all", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged or no archive"):
            open_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"no array")
    with pytest.raises(DataError, match=r"X\.npy cannot be read"):
        open_table(path)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", huge.getvalue())
    with pytest.raises(DataError, match=r"X\.npy"):
        open_table(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", bytes(80 << 20))
    with pytest.raises(DataError, match="grows to") as refused:
        open_table(path)
    assert refused.value.code == "decompression_bomb"


def test_a_missing_archive_is_not_found(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        open_table(tmp_path / "a.npz")


def test_json_lists_in_cells_are_series(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('values,label\n"[1, null, 2.5e1]",a\n"[[1,2],[3,4]]",b\n"[0]",a\n"[5]",b\n', encoding="utf-8")
    assert [(column.name, column.modality) for column in infer_schema(open_table(path)).schema.columns] == [
        ("values", "series")
    ]


def test_lists_in_jsonl_and_parquet_are_series(tmp_path):
    rows = [{"values": [1.0, 2.0], "label": "a"}, {"values": [3.5], "label": "b"}] * 3
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert infer_schema(open_table(tmp_path / name)).schema.columns[0].modality == "series"
    timed = [{"x": {"time": [0.0, 1.0], "value": [3.0, 4.0]}, "label": label} for label in "abab"]
    assert infer_schema(open_table(timed)).schema.columns[0].modality == "series"


def test_pairs_of_arrays_and_labels_are_series():
    for values in (np.zeros((4, 2, 5)), [[1.0, 2.0]] * 4, [np.ones(3)] * 4, [np.ones((2, 3))] * 4):
        table = open_table((values, ["a", "b"] * 2))
        assert table.columns == ("series", "label")
        assert infer_schema(table).schema.columns[0].modality == "series"


def wide(tmp_path, *, prefix="t", count=20, extra=("label",), cell=lambda row, at: f"{row}.{at}", first=0):
    path = tmp_path / "wide.csv"
    lines = [",".join([*(f"{prefix}{at + first}" for at in range(count)), *extra])]
    lines += [",".join([*(cell(row, at) for at in range(count)), *("ab"[row % 2] for _ in extra)]) for row in range(6)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("prefix", "first"), [("t", 0), ("", 0), ("T_", 1), ("time ", 0), ("step-", 1)])
def test_numbered_moments_are_gathered_and_said(tmp_path, prefix, first):
    table = open_table(wide(tmp_path, prefix=prefix, first=first))
    how = find_wide(table)
    assert how is not None
    found = gather(table, how)
    assert found.columns == ("label", "series")
    assert found.values("series", [3])[0][:3] == [3.0, 3.1, 3.2]
    assert f"20 columns '{prefix}{first}' to '{prefix}{first + 19}' read as series of 20 moments" in found.notes
    assert found.gathered == {"series": {"wide": [prefix]}}
    assert found.place(3) == "wide.csv, line 5"


@pytest.mark.parametrize(
    "arguments",
    [
        {"count": 15},
        {"prefix": "pixel"},
        {"prefix": "f"},
        {"first": 5},
        {"cell": lambda row, at: "x" if (row, at) == (2, 3) else "1"},
        {"extra": ("label", "series")},
    ],
)
def test_columns_that_may_be_no_moments_are_left_alone(tmp_path, arguments):
    assert find_wide(open_table(wide(tmp_path, **arguments))) is None


def test_moments_beside_a_text_or_beside_others_are_left_alone():
    moments = {f"t{at}": [0.1, 0.2] for at in range(20)}
    assert find_wide(open_table({**moments, "note": ["a long enough text", "and another one here"]})) is None
    assert find_wide(open_table({**moments, **{f"time{at}": [0.1, 0.2] for at in range(20)}})) is None
    assert find_wide(open_table({**moments, "label": ["a", "b"]})) is not None


def test_empty_cells_at_the_end_of_a_row_shorten_it_and_within_it_are_missing(tmp_path):
    path = wide(tmp_path, cell=lambda row, at: "" if (row == 1 and at > 9) or (row == 2 and at == 4) else str(at))
    found = gather(open_table(path), Gathering.read({"wide": "t"}))
    assert len(found.values("series", [1])[0]) == 10
    assert np.isnan(found.values("series", [2])[0][4])


def test_named_prefixes_are_channels():
    columns = {f"{axis}_{at}": [float(at), 2.0] for axis in "xyz" for at in range(5)}
    found = gather(open_table({**columns, "label": ["a", "b"]}), Gathering.read({"wide": ["x_", "y_", "z_"]}))
    assert found.values("series", [0]) == [[[0.0, 1.0, 2.0, 3.0, 4.0]] * 3]
    del columns["y_4"]
    with pytest.raises(DataError, match="do not have the same numbers"):
        gather(open_table(columns), Gathering.read({"wide": ["x_", "y_"]}))


LONG = """run,t,x,y,label
b,1,4,40,no
a,0,1,10,yes
a,2,3,30,yes
a,1,2,,yes
b,0,5,50,no
"""


def long(tmp_path, text=LONG):
    (tmp_path / "long.csv").write_text(text, encoding="utf-8")
    return open_table(tmp_path / "long.csv")


HOW = Gathering.read({"id": "run", "time": "t", "value": ["x", "y"]})


def test_rows_of_one_id_are_gathered_in_order_of_time(tmp_path):
    found = gather(long(tmp_path), HOW)
    assert found.arrow.to_pydict() == {
        "run": ["b", "a"],
        "label": ["no", "yes"],
        "series": [[[5.0, 4.0], [50.0, 40.0]], [[1.0, 2.0, 3.0], [10.0, None, 30.0]]],
    }
    assert "5 rows gathered into 2 series by 'run'" in found.notes[-1]
    assert found.place(1) == "long.csv, line 3"


def test_uneven_times_are_kept_beside_their_values(tmp_path):
    how = Gathering.read({"id": "run", "time": "t", "value": "x"})
    found = gather(long(tmp_path, LONG.replace("a,2,", "a,5,")), how)
    assert found.values("series", [1]) == [{"time": [0.0, 1.0, 5.0], "value": [1.0, 2.0, 3.0]}]
    assert infer_schema(found).schema.columns[0].modality == "series"


def test_dates_are_times_too_and_columns_that_vary_are_left_out_and_said(tmp_path):
    text = "run,t,x,label,note\na,2024-01-02,2,p,u\na,2024-01-01,1,p,v\nb,2024-01-01,3,q,w\n"
    found = gather(long(tmp_path, text), Gathering.read({"id": "run", "time": "t", "value": "x"}))
    assert found.values("series") == [[1.0, 2.0], [3.0]]
    assert found.columns == ("run", "label", "series")
    assert "left out: note" in found.notes[-1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,1,2,,", "a,0,2,,", r"line 3: run 'a' has the time '0' twice|line 5: run 'a' has the time '0' twice"),
        ("a,1,2,,", ",1,2,,", r"line 5: 'run' is empty"),
        ("a,1,2,,", "a,later,2,,", r"line 5: 'later' in column 't' is no number"),
        ("a,1,2,,", "a,,2,,", r"line 5: the time '' in 't' is none"),
        ("a,1,2,,", "a,1,two,,", r"line 5: 'two' in column 'x' is no number"),
    ],
)
def test_a_row_that_cannot_be_gathered_is_named(tmp_path, old, new, message):
    with pytest.raises(DataError, match=message):
        gather(long(tmp_path, LONG.replace(old, new)), HOW)


def test_what_names_other_columns_or_other_keys_is_refused(tmp_path):
    with pytest.raises(MissingColumn, match="'z'"):
        gather(long(tmp_path), Gathering.read({"id": "run", "time": "t", "value": "z"}))
    with pytest.raises(MissingColumn, match="q0"):
        gather(long(tmp_path), Gathering.read({"wide": "q"}))
    for spec in (
        {},
        {"wide": []},
        {"id": "run"},
        {"wide": "t", "id": "run"},
        {"id": ["a", "b"], "time": "t", "value": "x"},
    ):
        with pytest.raises(UsageError, match=r"data\.series"):
            Gathering.read(spec)


def test_a_table_is_gathered_as_the_run_did_and_one_with_series_stays(tmp_path):
    recipe = {"data": {"series": {"id": "run", "time": "t", "value": ["x", "y"]}}}
    assert gathered_as(long(tmp_path), recipe).columns == ("run", "label", "series")
    plain = Table(pa.table({"series": [[1.0]]}))
    assert gathered_as(plain, recipe) is plain
    assert gathered_as(plain, {"data": {"series": False}}) is plain
    assert gathered_as(plain, {}) is plain
