"""The checks of a data set: what is found, counted, placed and obeyed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import Column, DataError, Schema, Target
from underlay.data import check, encode_targets, infer_schema, open_table, split
from underlay.data.duplicates import first_equals, jaccard, near_pairs, prints
from underlay.data.label_checks import folded


def shingles(value: str | None) -> np.ndarray:
    """A plain fingerprint: hashes of four-character pieces of the folded text."""
    text = " ".join((value or "").casefold().split())
    pieces = {text[at : at + 4] for at in range(max(1, len(text) - 3))} if text else set()
    return np.unique(np.array([hash(piece) & (2**64 - 1) for piece in pieces], np.uint64))


_SCHEMA = Schema((Column("text", "text"),), (Target("label", "binary", ("no", "yes")),))
_LONG = "this is a long enough sentence about a film that nobody has ever seen before today number "


def _rows(*pairs: tuple[str | None, str | None]):
    return open_table({"text": [text for text, _ in pairs], "label": [label for _, label in pairs]})


def _plain(count: int, offset: int = 0) -> list[tuple[str, str]]:
    words = np.random.default_rng(offset).integers(0, 9999, (count, 8))
    return [(" ".join(f"w{word}" for word in row), "yes" if at % 2 else "no") for at, row in enumerate(words)]


def test_clean_rows_have_no_findings():
    checks = check(_rows(*_plain(40)), _SCHEMA, fingerprint={"text": shingles})
    assert checks.findings == ()
    assert checks.usable.all()
    checks.raise_if(strict=True)


def test_empty_inputs_and_missing_targets_are_set_aside_counted_and_placed():
    table = _rows(*_plain(10), ("", "yes"), ("  \n", "no"), (None, "yes"), ("words", ""), ("more words", None))
    checks = check(table, _SCHEMA)
    assert checks["empty_input"].count == 3
    assert checks["empty_input"].rows == ("memory, row 11", "memory, row 12", "memory, row 13")
    assert checks["missing_target"].count == 2
    assert checks.usable.tolist() == [True] * 10 + [False] * 5
    checks.raise_if()


@pytest.mark.row("D09")
def test_targets_missing_in_more_than_half_of_the_rows_stop():
    table = _rows(*_plain(4), *[(f"text {n}", "nan") for n in range(7)])
    checks = check(table, _SCHEMA)
    assert checks["missing_target"].severity == "error"
    assert len(checks["missing_target"].rows) == 5
    with pytest.raises(DataError, match="7 rows without a usable 'label', which is more than half") as caught:
        checks.raise_if()
    assert caught.value.exit_code == 3


@pytest.mark.row("D03")
def test_spellings_of_one_label_are_a_warning_with_the_line_that_merges_them():
    rows = [(text, ["Yes", "yes ", "ＹＥＳ", "No"][at % 4]) for at, (text, _) in enumerate(_plain(41))]
    table = _rows(*rows)
    schema = infer_schema(table).schema
    assert len(schema.target.labels) == 4
    checks = check(table, schema)
    assert checks["near_duplicate_labels"].count == 3
    assert """merge: {"yes ": "Yes", "ＹＥＳ": "Yes"}""" in checks["near_duplicate_labels"].message
    checks.raise_if()
    with pytest.raises(DataError, match="differ in case, width or spaces"):
        checks.raise_if(strict=True)
    merged = table.with_merged("label", {"yes ": "Yes", "ＹＥＳ": "Yes"})
    assert infer_schema(merged).schema.target.labels == ("No", "Yes")


@pytest.mark.row("D02")
def test_a_label_with_one_row_is_a_warning_that_names_it():
    rows = [*_plain(20), ("something quite different", "maybe")]
    table = _rows(*rows)
    checks = check(table, infer_schema(table).schema)
    assert "'label' with one row: maybe" in checks["lone_label"].message
    assert checks["lone_label"].rows == ("memory, row 21",)
    checks.raise_if()


def test_rare_labels_and_lopsided_ones_are_found():
    rows = [*[(f"a text {n}", "yes") for n in range(90)], *[(f"b text {n}", "no") for n in range(4)]]
    checks = check(_rows(*rows), _SCHEMA)
    assert "no 4" in checks["rare_label"].message
    assert checks["imbalance"].severity == "info"


def test_repeated_and_contradicting_rows_are_found():
    text = _LONG + "one"
    table = _rows(*_plain(20), (text, "yes"), (text.upper(), "yes"), (text + "  ", "no"))
    checks = check(table, _SCHEMA, fingerprint={"text": shingles})
    assert checks["duplicate_rows"].count == 2
    assert checks["duplicate_rows"].rows == ("memory, row 22", "memory, row 23")
    assert checks["contradicting_labels"].count == 3
    assert checks["contradicting_labels"].rows[2] == "memory, row 23 (no)"
    assert checks.duplicate_of[20:].tolist() == [20, 20, 20]


def test_nearly_repeated_rows_are_found():
    table = _rows(*_plain(20), (_LONG + "one", "yes"), (_LONG + "two", "yes"))
    checks = check(table, _SCHEMA, fingerprint={"text": shingles})
    assert checks["near_duplicate_rows"].rows == ("memory, row 22",)


@pytest.mark.row("D05")
def test_test_rows_that_training_has_seen_are_counted_exactly_and_nearly():
    train = _rows(*_plain(30), (_LONG + "one", "yes"), ("short", "no"))
    test = _rows(*_plain(10, offset=1), ("  SHORT ", "no"), (_LONG + "two", "yes"), (_LONG + "one", "no"))
    checks = check(train, _SCHEMA, test=test, fingerprint={"text": shingles})
    assert checks["leakage"].count == 2
    assert checks["leakage"].rows == ("memory, row 11", "memory, row 13")
    assert checks["near_leakage"].rows == ("memory, row 12",)
    assert checks.leaked.tolist() == [10, 11, 12]
    checks.raise_if()
    with pytest.raises(DataError, match=r"2 test rows \(15.4%\) also in training"):
        checks.raise_if(strict=True)


@pytest.mark.row("D05")
def test_leakage_between_the_parts_of_one_table_is_given_as_positions_in_the_test_part():
    table = _rows(*_plain(50), *_plain(50))
    parts = split(100, strategy="random", seed=0, test=0.2)
    checks = check(table, _SCHEMA, splits=parts, fingerprint={"text": shingles})
    outside = set(parts.train) | set(parts.validation)
    expected = [at for at, row in enumerate(parts.test) if (row + 50) % 100 in outside]
    assert checks.leaked.tolist() == expected


@pytest.mark.row("D07")
def test_cells_that_a_spreadsheet_would_run_stay_text_and_are_counted(opened):
    table = opened("a.csv", "text,label\n=1+1,yes\n+1+cmd,no\n-x,yes\n@sum(a),no\n<b>bold</b>,yes\nplain,no\n")
    assert table.values("text") == ["=1+1", "+1+cmd", "-x", "@sum(a)", "<b>bold</b>", "plain"]
    checks = check(table, _SCHEMA)
    numbers = open_table({"text": ["-0.5", "+3", "-1e-4"], "label": ["yes", "no", "yes"]})
    assert "formula_like" not in {one.code for one in check(numbers, _SCHEMA).findings}
    assert (checks["formula_like"].count, checks["markup"].count) == (4, 1)
    assert {checks["formula_like"].severity, checks["markup"].severity} == {"info"}


def test_huge_and_damaged_cells_are_named(opened):
    table = opened("a.csv", b"text,label\na\x00b,yes\n" + b"z" * (2 << 20) + b",no\n" + "caf\ufffd,yes\n".encode())
    checks = check(table, _SCHEMA)
    assert checks["nul_character"].rows == ("a.csv, line 2",)
    assert checks["huge_cell"].rows == ("a.csv, line 3",)
    assert checks["replacement_character"].rows == ("a.csv, line 4",)


def test_rows_longer_than_the_model_reads_are_counted():
    checks = check(_rows(*_plain(10)), _SCHEMA, lengths=np.arange(10) * 100, limit=512)
    assert checks["truncated"].message.startswith("4 rows (40.0%) longer than 512 positions, the longest 900")


def test_regression_and_multilabel_tables_are_checked_too():
    table = open_table({"text": ["a b c", "", "d e f"], "score": ["1.5", "2", "inf"]})
    checks = check(
        table, Schema((Column("text", "text"),), (Target("score", "regression"),)), fingerprint={"text": shingles}
    )
    assert checks.usable.tolist() == [True, False, False]
    table = open_table({"text": ["a b c", "x y"], "tags": [["u"], []]})
    target = Target("tags", "multilabel", ("u", "v"))
    assert check(table, Schema((Column("text", "text"),), (target,))).usable.all()


def test_the_message_gives_places_once():
    table = _rows(*_plain(5), ("", "yes"), ("", "no"))
    assert check(table, _SCHEMA)["empty_input"].line().endswith("[memory, row 6, 7]")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab c", max_size=14), min_size=1, max_size=40))
def test_equal_rows_are_those_with_equal_normal_form(texts):
    first = first_equals(prints(shingles(text) for text in texts))
    arrays = [shingles(text).tobytes() for text in texts]
    for at, array in enumerate(arrays):
        assert first[at] == (arrays.index(array) if array else at)


def test_near_pairs_agree_with_comparing_every_pair():
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(150):
        words = [f"word{number}" for number in rng.integers(0, 500, 30)]
        texts.append(" ".join(words))
        if rng.random() < 0.5:
            words[int(rng.integers(30))] = "other"
            texts.append(" ".join(words))
    arrays = [shingles(text) for text in texts]
    every = {
        (one, other)
        for one in range(len(texts))
        for other in range(one + 1, len(texts))
        if jaccard(arrays[one], arrays[other]) >= 0.8
    }
    found = near_pairs(prints(arrays), arrays.__getitem__, np.arange(len(texts)))
    assert {(int(one), int(other)) for one, other in found} <= every
    assert len(found) >= 0.95 * len(every) > 50


def test_folding_ignores_case_width_and_spaces_alone():
    assert folded("Ｙes ") == folded("yes") != folded("yes!")


def test_encoding_targets_gives_what_check_counts():
    table = _rows(*_plain(7), ("x", "nan"))
    assert encode_targets(table, _SCHEMA.target).missing.tolist() == [False] * 7 + [True]


def test_rows_of_several_columns_are_near_only_where_their_cells_are_equal():
    from underlay.data.duplicates import jaccard, row_fingerprint

    def cell(value):
        return np.array([hash((value, "cell")) & 0xFFFFFFFFFFFFFFFF], np.uint64) if value else np.zeros(0, np.uint64)

    def words(value):
        return np.unique([hash(value[at : at + 5]) & 0xFFFFFFFFFFFFFFFF for at in range(len(value))]).astype(np.uint64)

    def row(text, *cells):
        return row_fingerprint([text, *cells], [words, *[cell] * len(cells)])

    text = "a long text that says a good deal about one thing and another"
    near = text.replace("another", "an other")
    assert jaccard(row(text, "red", "3"), row(near, "red", "3")) > 0.7
    assert jaccard(row(text, "red", "3"), row(near, "red", "4")) == 0
    assert jaccard(row(text, "red", None), row(text, None, "red")) == 0  # the order of the columns counts
    table = [row_fingerprint(values, [cell] * 10) for values in ([*"abcdefghij"], [*"abcdefghiX"])]
    assert jaccard(*table) == 0
    assert len(row_fingerprint([None, None], [cell, cell])) == 0
