"""`*` in place of a column's name: which columns it takes, which it leaves, and that it says so."""

import pyarrow as pa
import pytest

from underlay.core import MissingColumn, UsageError
from underlay.data import Table, infer_schema, open_table

ROWS = 40


def shop(**more) -> Table:
    columns = {
        "order_id": [str(7 * at % 41) for at in range(ROWS)],
        "row": list(range(ROWS)),
        "review": [f"a fine thing of many, number {at}" for at in range(ROWS)],
        "price": [at * 1.5 if at % 5 else None for at in range(ROWS)],
        "stars": [str(at % 5) for at in range(ROWS)],
        "shop": ["north" if at % 3 else "south" for at in range(ROWS)],
        "open": [bool(at % 2) for at in range(ROWS)],
        "day": [f"2024-01-{at % 28 + 1:02d}" for at in range(ROWS)],
        "seen": pa.array([at * 86_400 for at in range(ROWS)], pa.timestamp("s")),
        "currency": ["EUR"] * ROWS,
        "note": [f"n{at}" for at in range(ROWS)],
        "empty": pa.array([None] * ROWS, pa.string()),
        "sizes": [[at, at + 1] for at in range(ROWS)],
        "label": ["keep" if at % 2 else "return" for at in range(ROWS)],
        **more,
    }
    return open_table(pa.table(columns))


def test_it_takes_numbers_categories_and_dates_and_says_what_it_leaves_and_why():
    found = infer_schema(shop(), targets=["label"], columns={"review": "text", "*": "table"})
    assert [(column.name, column.modality) for column in found.schema.columns] == [
        ("review", "text"),
        ("price", "table"),
        ("stars", "table"),
        ("shop", "table"),
        ("open", "table"),
        ("day", "table"),
        ("seen", "table"),
    ]
    said = found.notes[-1]
    assert said.startswith("'*' takes 6 columns: 'price', 'stars', 'shop', 'open', 'day', 'seen'; it leaves ")
    for left in ("'order_id' (a key)", "'row' (row numbers)", "'currency' (one value only)", "'empty' (empty)",
                 "'note' (hardly a value repeats)", "'sizes' (reads like series)"):  # fmt: skip
        assert left in said


def test_columns_with_a_role_are_not_taken():
    found = infer_schema(shop(), targets=["label"], columns={"*": "table"}, group="shop", time="day", extra=["open"])
    assert [column.name for column in found.schema.columns] == ["price", "stars", "seen"]
    assert "'review' (reads like text)" in found.notes[-1]


def test_nothing_left_to_take_is_an_error_only_where_nothing_else_is_read():
    bare = open_table({"text": ["a b c"] * 4, "label": ["x", "y"] * 2})
    with pytest.raises(UsageError, match=r"no column of memory is left for '\*': 'text' \(reads like text\)"):
        infer_schema(bare, targets=["label"], columns={"*": "table"})
    schema = infer_schema(bare, targets=["label"], columns={"text": "text", "*": "table"}).schema
    assert [column.name for column in schema.columns] == ["text"]


def test_a_table_of_numbers_alone_is_asked_for_with_the_flag_that_reads_it():
    numbers = open_table({"a": [0.5, 1.5, 2.5, 3.5], "b": [1.5, 0.5, 9.5, 3.0], "label": ["x", "y"] * 2})
    with pytest.raises(MissingColumn, match=r"--text COLUMN, or --table '\*' for 2 columns of numbers"):
        infer_schema(numbers)


def test_several_likely_inputs_are_asked_for_with_a_flag_for_each():
    texts = [f"some words of row {at}" for at in range(4)]
    table = open_table({
        "headline": texts, "the body": texts[::-1], "shot": [f"{at}.png" for at in range(4)], "label": ["a", "b"] * 2,
    })  # fmt: skip
    with pytest.raises(UsageError) as asked:
        infer_schema(table)
    assert "three columns could be the input: 'headline', 'the body', 'shot'" in str(asked.value)
    assert "pass --text headline or --text 'the body' or --image shot, or several of them" in str(asked.value)
