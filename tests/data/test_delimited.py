"""CSV and TSV: what is read, what is refused, and what the reader is told."""

import csv
import gzip
import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from underlay.core import DataError
from underlay.data import open_table


def test_cells_are_strings_as_they_stand(opened):
    table = opened("a.csv", "text,label\ngood,01\nNA,True\n")
    assert table.arrow.to_pylist() == [{"text": "good", "label": "01"}, {"text": "NA", "label": "True"}]
    assert table.place(1) == "a.csv, line 3"


def test_quoted_newlines_and_blank_lines_keep_the_line_of_each_row(opened):
    table = opened("a.csv", 'text,label\n"two\nlines",1\n\nplain,0\n"x ""y"" z",1\n')
    assert table.values("text") == ["two\nlines", "plain", 'x "y" z']
    assert [table.place(row) for row in range(3)] == ["a.csv, line 2", "a.csv, line 5", "a.csv, line 6"]
    assert "blank lines left out: 1" in table.notes[0]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(opened, newline):
    table = opened("a.csv", newline.join(["text,label", "a,1", "b,0", ""]))
    assert table.values("text") == ["a", "b"]
    assert table.place(1) == "a.csv, line 3"


def test_line_separators_of_unicode_are_text(opened):
    table = opened("a.csv", "text,label\na\u2028b\x0cc,1\nd,0\n")
    assert table.values("text") == ["a\u2028b\x0cc", "d"]
    assert table.place(1) == "a.csv, line 3"


def test_a_semicolon_or_tab_is_found_and_said(opened):
    table = opened("a.csv", "text;label\ngood, really;1\nbad;0\n")
    assert table.values("text") == ["good, really", "bad"]
    assert "semicolon" in table.notes[0]
    assert opened("b.csv", "text\tlabel\ngood, really\t1\n").columns == ("text", "label")


def test_quotes_that_do_not_pair_in_a_tsv_are_text(opened):
    table = opened("a.tsv", 'text\tlabel\n"Fine" she said\tpos\nhe said "no"\tneg\n')
    assert table.values("text") == ['"Fine" she said', 'he said "no"']
    assert "quotes" in table.notes[0]


def test_a_quoted_tsv_is_unquoted(opened):
    assert opened("a.tsv", 'text\tlabel\n"a\tb\nc"\tpos\n').values("text") == ["a\tb\nc"]


def test_a_nul_byte_is_kept_for_the_checks_to_name(opened):
    assert opened("a.csv", b"text,label\na\x00b,1\nc,2\n").values("text") == ["a\0b", "c"]


def test_a_cell_of_two_megabytes_is_read(opened):
    table = opened("a.csv", b"text,label\n" + b"z" * (2 << 20) + b",1\nb,0\n")
    assert [len(text) for text in table.values("text")] == [2 << 20, 1]


def test_gzip_and_zstd_are_read_by_their_first_bytes(opened):
    plain = b"text,label\ngood,1\n"
    assert opened("a.csv.gz", gzip.compress(plain)).values("text") == ["good"]
    assert opened("a.csv.zst", pa.compress(plain, "zstd", asbytes=True)).values("text") == ["good"]
    with pytest.raises(DataError, match="damaged or cut short"):
        opened("b.csv.gz", gzip.compress(os.urandom(1000))[:-20])


def test_a_small_file_that_grows_without_end_is_stopped(opened):
    with pytest.raises(DataError, match="grows beyond 100 times"):
        opened("a.csv.gz", gzip.compress(b"text,label\n" + b"good,1\n" * 12_000_000))


@pytest.mark.row("D01")
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(opened, content):
    with pytest.raises(DataError, match=r"a\.csv is empty") as caught:
        opened("a.csv", content)
    assert caught.value.exit_code == 3


@pytest.mark.row("D08")
def test_ragged_rows_are_named_with_their_line_and_counted(opened):
    with pytest.raises(DataError) as caught:
        opened("a.csv", 'text,label\n"one\ntwo",1\nbad\n\nx,y,z\nq\n')
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith("a.csv, line 4: 1 cell, the header has 2: 'bad' (2 more such rows)")


@pytest.mark.row("D08")
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\na,1\n"b,0\nc,1\n', 3),
        ('text,label\na,1\nb,"0\nc,1\n', 3),
        ('text,label\na,1\nb,"0', 3),
        ('text,label\n"a\nb",1\n"c,0\n' + "d,1\n" * 1000, 4),
    ],
)
def test_a_quote_that_is_never_closed_is_named_by_the_line_that_opens_it(opened, content, line):
    with pytest.raises(DataError, match=f"a.csv, line {line}: a quote opens and is never closed"):
        opened("a.csv", content)


@pytest.mark.row("D08")
def test_an_open_quote_in_a_file_larger_than_a_block_is_named(opened):
    with pytest.raises(DataError, match="line 3: a quote opens"):
        opened("a.csv", 'text,label\na,1\n"b,1\n' + "some more text,2\n" * 600_000)


@pytest.mark.row("D08")
def test_a_hundred_thousand_columns_are_refused(opened):
    with pytest.raises(DataError, match="100,000 columns"):
        opened("a.csv", ",".join(f"c{number}" for number in range(100_000)) + "\n")


@pytest.mark.row("D08")
def test_a_row_of_a_hundred_megabytes_is_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"text,label\nfine,0\n")
        for _ in range(100):
            file.write(b"z" * (1 << 20))
        file.write(b",1\n")
    grown = _peak_growth(f"open_table({str(path)!r})")
    assert "line 3: the row is longer than 4 MiB" in grown["said"]
    assert grown["megabytes"] < 90


def test_column_names_must_differ_and_nameless_ones_get_a_name(opened):
    with pytest.raises(DataError, match="'text' appears 2 times"):
        opened("a.csv", "text,text\na,b\n")
    table = opened("b.csv", ",text,label\n0,a,b\n")
    assert table.columns == ("column_1", "text", "label")
    assert "has no name" in table.notes[0]


def test_a_first_line_that_reads_like_a_row_is_pointed_out(opened):
    table = opened("a.csv", "a film that nobody has ever liked,1\na better one,0\n")
    assert "if it is a row, add a header" in table.notes[0]


@pytest.mark.row("D14")
def test_a_file_that_changes_after_it_was_read_is_noticed(opened):
    from underlay.core import DataChanged

    table = opened("a.csv", "text,label\na,1\nb,0\n")
    table.require_unchanged()
    table.source.write_text("text,label\na,1\nb,1\n", encoding="utf-8")
    with pytest.raises(DataChanged, match=r"a\.csv changed while it was in use"):
        table.require_unchanged()
    table.source.unlink()
    with pytest.raises(DataChanged, match="gone"):
        table.require_unchanged()


def test_a_large_file_is_mapped_and_the_cache_is_used_again(tmp_path):
    path, cache = tmp_path / "a.csv", tmp_path / "run"
    row = "x" * 1000
    path.write_text("text,label\n" + "".join(f'"{row}\n{n}",{n % 2}\n' for n in range(34_000)), encoding="utf-8")
    table = open_table(path, cache=cache)
    files = list(cache.glob("*.arrow"))
    assert len(files) == 1
    assert pa.total_allocated_bytes() < path.stat().st_size / 2
    again = open_table(path, cache=cache)
    assert again.arrow.equals(table.arrow)
    assert table.place(33_999) == again.place(33_999) == "a.csv, line 68000"
    assert table.values("text", [33_999, 0]) == [f"{row}\n33999", f"{row}\n0"]


def test_a_damaged_cache_is_written_anew(tmp_path):
    path, cache = tmp_path / "a.csv", tmp_path / "run"
    path.write_text("text,label\n" + f"{'x' * 1000},1\n" * 34_000, encoding="utf-8")
    open_table(path, cache=cache)
    for file in cache.glob("*.arrow"):
        file.write_bytes(file.read_bytes()[:1000])
    assert len(open_table(path, cache=cache)) == 34_000


@pytest.mark.row("D08")
def test_a_full_disk_while_reading_is_said_and_leaves_nothing(tmp_path):
    path, cache = tmp_path / "a.csv", tmp_path / "run"
    path.write_text("text,label\n" + f"{'x' * 1000},1\n" * 34_000, encoding="utf-8")
    code = f"""
        import resource, signal
        from pathlib import Path
        from underlay.data import open_table
        from underlay.core import ResourceError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
        try:
            open_table({str(path)!r}, cache=Path({str(cache)!r}))
        except ResourceError as error:
            print(error.exit_code, error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("5 cannot write")
    assert list(cache.iterdir()) == []


@pytest.mark.slow
def test_ten_million_rows_are_read_in_bounded_memory(tmp_path, record_property):
    path = tmp_path / "big.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,text,label\n")
        for start in range(0, 10_000_000, 10_000):
            rows = range(start, start + 10_000)
            file.write("".join(f'{n},"row {n}, a film that was 好",{"yes" if n % 3 else "no"}\n' for n in rows))
    grown = _peak_growth(f"table = open_table({str(path)!r}); said = f'{{len(table)}} {{table.place(9_999_999)}}'")
    record_property("peak_megabytes", grown["megabytes"])
    print(f"peak above the imports: {grown['megabytes']:.0f} MB for {path.stat().st_size >> 20} MB of CSV")
    assert grown["said"] == "10000000 big.csv, line 10000001"
    assert grown["megabytes"] < 400


def _peak_growth(statement: str) -> dict:
    """Run in a fresh process; the peak of its memory above what the imports take."""
    code = f"""
        import json, resource
        import numpy, pyarrow.csv, pyarrow.compute
        from underlay.data import open_table
        from underlay.core import DataError
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        said = ""
        try:
            {statement}
        except DataError as error:
            said = str(error)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({{"said": said, "megabytes": (peak - before) / 1024}}))
    """
    import json

    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


_cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(rows=[("", "\r")], delimiter=",", newline="\n")
@given(
    rows=st.lists(st.tuples(_cells, _cells).filter(any), min_size=1, max_size=12),
    delimiter=st.sampled_from([",", ";"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_wrote_is_read_back(tmp_path: Path, rows, delimiter, newline):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    path = tmp_path / "a.csv"
    path.write_bytes(buffer.getvalue().encode("utf-8"))
    table = open_table(path)
    assert list(zip(table.values("text"), table.values("label"), strict=True)) == rows
    lines = [1 + sum(len(re.findall(r"\r\n|\r|\n", text)) for text in row) for row in rows]
    expected = [2 + sum(lines[:at]) for at in range(len(rows))]
    assert [table.place(at) for at in range(len(rows))] == [f"a.csv, line {line}" for line in expected]
