"""Named samples: the rows they promise, the same on every machine."""

from collections import Counter

import pytest

from underlay.core import OutputExists, UnknownName, UsageError
from underlay.data import (
    SAMPLES,
    EventLog,
    export_sample,
    gather_events,
    gathered_items,
    infer_schema,
    open_table,
    sample_info,
)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_the_rows_and_labels_it_promises(name):
    info, table = sample_info(name), open_table(f"sample:{name}")
    assert len(table) == info.rows
    table = gather_events(table, EventLog.read(info.log)) if info.log else table
    schema = infer_schema(table, columns=gathered_items(table) or None).schema
    assert [column.name for column in schema.columns] == [info.column]
    assert (schema.target.name, schema.target.labels) == (info.target, info.labels)
    cells = table.values(info.target)
    names = [name for cell in cells for name in cell] if schema.target.by_unit else cells
    assert min(Counter(names).values()) >= 20
    values = table.values(info.column)
    assert all(value.strip() if isinstance(value, str | bytes) else value for value in values)
    assert info.credit in table.notes[0]


def test_ratings_become_signs_and_zeros_are_dropped():
    table = open_table("sample:movie-snippets")
    row = table.values("text").index("Effective but too tepid biopic")
    assert table.values("label", [row]) == ["negative"]
    assert len(table) == 10_605 - 37


def test_the_messages_that_the_file_ran_together_are_apart_again():
    texts = open_table("sample:sms-spam").values("text")
    assert len(texts) == 5574
    assert not any("\nham\t" in text or "\nspam\t" in text for text in texts)


def test_no_review_stands_under_two_labels():
    texts = open_table("sample:zh-reviews").values("text")
    assert len(set(texts)) == len(texts)


def test_pictures_are_png_bytes_and_are_read_as_pictures(tmp_path):
    for name, side in (("digits", 8), ("mnist-5k", 28)):
        table = open_table(f"sample:{name}")
        assert infer_schema(table).schema.columns[0].modality == "image"
        first = table.values("image", [0])[0]
        assert (int.from_bytes(first[16:20]), int.from_bytes(first[20:24])) == (side, side)
    path = export_sample("digits", tmp_path / "a.parquet")
    assert open_table(path).arrow.to_pydict() == open_table("sample:digits").arrow.to_pydict()
    with pytest.raises(UsageError, match=r"\.parquet"):
        export_sample("digits", tmp_path / "a.csv")


def test_series_keep_the_parts_that_their_archive_divides_them_into():
    table = open_table("sample:gunpoint")
    assert infer_schema(table).schema.columns[0].modality == "series"
    assert Counter(table.values("split")) == {"train": 50, "test": 150}
    assert {len(row) for row in table.values("series")} == {150}
    motions = open_table("sample:basic-motions").values("series")
    assert {(len(row), len(row[0])) for row in motions} == {(6, 100)}
    vowels = open_table("sample:japanese-vowels").values("series")
    assert {len(row) for row in vowels} == {12}
    lengths = {len(row[0]) for row in vowels}
    assert (min(lengths), max(lengths)) == (7, 29)


def test_opening_twice_gives_the_same_digest():
    assert open_table("sample:tweets").digest == open_table("sample:tweets").digest


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_an_exported_sample_reads_back_the_same(tmp_path, ending):
    path = export_sample("product-snippets", tmp_path / f"a{ending}")
    assert open_table(path).arrow.to_pydict() == open_table("sample:product-snippets").arrow.to_pydict()
    with pytest.raises(OutputExists, match="--force"):
        export_sample("product-snippets", path)
    export_sample("product-snippets", path, force=True)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_unknown_samples_and_endings_are_refused(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'tweets'"):
        sample_info("tweet")
    with pytest.raises(UsageError, match=r"\.csv, \.tsv or \.parquet"):
        export_sample("tweets", tmp_path / "a.xlsx")
