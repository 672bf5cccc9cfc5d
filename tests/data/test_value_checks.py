"""Findings on what values hold: placed, counted, of every reason one."""

import numpy as np
import pytest

from underlay.core import Column, RowProblem, Schema, Target
from underlay.data import Inspection, check, open_table
from underlay.data import value_checks as value_checks_module

SCHEMA = Schema((Column("series", "series"),), (Target("label", "binary", ("no", "yes")),))
MISSING = RowProblem("missing_series", "the series is missing — give a list of numbers")
WORDS = RowProblem("not_a_series", "it is words — give a list of numbers")


def table_of(*cells):
    return open_table({"series": list(cells), "label": ["yes" if at % 2 else "no" for at in range(len(cells))]})


def flat(value):
    return ("flat",) if len(set(value)) == 1 else ()


def test_each_reason_is_one_finding_with_its_rows_and_the_first_ones_message():
    table = table_of("[1, 2]", "some words", "more words", "[3, 4]", None)
    inspected = {"series": Inspection({1: WORDS, 2: WORDS, 4: MISSING})}
    found = check(table, SCHEMA, inspected=inspected)
    assert found["not_a_series"].count == 2
    assert found["not_a_series"].severity == "warning"
    assert found["not_a_series"].rows == ("memory, row 2", "memory, row 3")
    assert "2 cells of 'series' cannot be read, set aside: it is words" in found["not_a_series"].message
    assert found["missing_series"] is None, "an empty cell is counted as empty"
    assert found["empty_input"].count == 1


def test_files_that_cannot_be_read_are_named_one_by_one_up_to_twenty():
    table = table_of(*["words"] * 30)
    found = check(table, SCHEMA, inspected={"series": Inspection(dict.fromkeys(range(30), WORDS))})
    assert found["not_a_series"].count == 30
    assert len(found["not_a_series"].rows) == 20


def test_values_that_hold_nothing_are_found_among_those_that_can_be_read():
    table = table_of([1.0, 2.0], [3.0, 3.0], [4.0, 4.0], [5.0, 5.0])
    inspected = {"series": Inspection({3: WORDS}, {"flat": "that never change"}, flat)}
    found = check(table, SCHEMA, inspected=inspected)
    assert found["flat"].count == 2
    assert found["flat"].rows == ("memory, row 2", "memory, row 3")
    assert found["flat"].message == "2 cells of 'series' that never change"


def test_no_more_rows_are_looked_into_than_are_said_to_be(monkeypatch):
    monkeypatch.setattr(value_checks_module, "LOOKED_AT", 3)
    table = table_of(*[[1.0, 1.0]] * 5)
    found = check(table, SCHEMA, inspected={"series": Inspection({}, {"flat": "that never change"}, flat)})
    assert found["flat"].count == 3
    assert found["flat"].message.endswith("among the first 3 rows")


def test_sizes_are_told_and_stop_nothing():
    table = table_of(*np.arange(40.0).reshape(20, 2).tolist())
    found = check(table, SCHEMA, inspected={"series": Inspection(sizes="series of 2 positions, 1 channel")})
    assert found["sizes"].severity == "info"
    assert found["sizes"].message == "'series': series of 2 positions, 1 channel"
    found.raise_if(strict=True)


@pytest.mark.parametrize("inspected", [None, {}, {"series": Inspection()}])
def test_where_a_modality_says_nothing_there_is_no_finding(inspected):
    assert check(table_of([1.0, 2.0], [2.0, 1.0]), SCHEMA, inspected=inspected)["sizes"] is None
