"""Raw values that are looked up when asked for: the same values, few of them at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from underlay.core import Beside, Picked, picked
from underlay.data import ColumnRows, Table, column_rows, columnar, open_table


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr("underlay.data.lazy_column.SLICE_BYTES", 100)
    cells = [bytes([number]) * 20 for number in range(50)]
    return Table(pa.table({"audio": pa.chunked_array([cells[:7], cells[7:]])}))


@pytest.mark.parametrize("rows", [None, np.arange(50), np.array([49, 3, 3, 0, 20])])
def test_large_cells_are_the_same_values_in_order_whole_one_by_one_and_cut(table, rows):
    plain = table.values("audio", rows)
    found = ColumnRows(table, "audio", rows)
    assert len(found) == len(plain)
    assert list(found) == [found[at] for at in range(len(plain))] == plain
    assert [found[-1], found[0]] == [plain[-1], plain[0]]
    assert found[1:4] == plain[1:4]
    assert found[::-2] == plain[::-2]
    assert list(Picked(found, np.array([2, 1]))) == [plain[2], plain[1]]
    with pytest.raises(IndexError):
        found[len(plain)]


def test_no_more_than_a_slice_is_held(table, monkeypatch):
    asked = []
    whole = ColumnRows._read
    monkeypatch.setattr(ColumnRows, "_read", lambda self, a, b: asked.append(b - a) or whole(self, a, b))
    rows = column_rows(table, "audio", np.arange(50))
    assert [rows[at] for at in range(50)] == table.values("audio")
    assert 1 <= max(asked) <= 5  # a hundred bytes
    assert sum(asked) <= 55  # each slice once


def test_small_values_are_a_list(table):
    assert isinstance(column_rows(table, "audio", np.arange(4)), list)
    assert not isinstance(column_rows(table, "audio", np.arange(40)), list)


def test_a_parquet_file_of_one_row_group_is_read_a_few_recordings_at_a_time(tmp_path, monkeypatch):
    cells = [bytes([number % 251]) * 4_000 for number in range(400)]
    pq.write_table(pa.table({"audio": cells}), tmp_path / "rows.parquet", compression="none", use_dictionary=False)
    monkeypatch.setattr(columnar, "_BATCH_BYTES", 100_000)
    seen = []
    whole = columnar._batches

    def batches(file, schema):
        for batch in whole(file, schema):
            seen.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(columnar, "_batches", batches)
    table = open_table(tmp_path / "rows.parquet")
    assert sum(seen) == 400
    assert max(seen) <= 30
    assert table.values("audio") == cells


def test_columns_side_by_side_are_rows_and_stay_columns_when_some_are_picked(table):
    columns = [ColumnRows(table, "audio"), list(range(50))]
    rows = Beside(columns)
    assert list(rows) == list(zip(table.values("audio"), range(50), strict=True))
    assert rows[2:4] == [rows[2], rows[3]]
    some = picked(rows, np.array([7, 1]))
    assert list(some) == [rows[7], rows[1]]
    assert list(some.columns[1]) == [7, 1]
