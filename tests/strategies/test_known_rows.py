"""Rows to adjust a changed model on, and others to measure it on: never those of the test."""

import csv

import pytest
from tests.strategies.conftest import tiny

from underlay.bundle import open_bundle
from underlay.core import MissingColumn
from underlay.strategies import fine_tune
from underlay.strategies.known_rows import known_rows
from underlay.strategies.listening import Say
from underlay.strategies.prepare import read


def written(path, columns):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_own_data_is_split_as_it_was_and_no_test_row_is_shown(tuned, snippets, tmp_path):
    bundle = tuned[0].bundle
    found = known_rows(bundle, str(snippets))
    data = read(str(snippets), tuned[0].recipe, cache=tmp_path, say=Say(None))
    assert found.own
    assert set(found.seen["text"]) == set(data.values("train", "text"))
    assert found.held["text"] == data.values("validation", "text")
    assert found.truths["label"].tolist() == data.truth("validation", "label").tolist()
    assert not set(data.values("test", "text")) & {*found.seen["text"], *found.held["text"]}


def test_data_whose_test_part_was_another_file_has_no_test_rows(snippets, tmp_path):
    rows = {"text": [f"a fine film {n}" for n in range(30)], "label": ["positive", "negative"] * 15}
    test = written(tmp_path / "test.csv", rows)
    fitted = fine_tune(str(snippets), recipe=tiny("train.epochs=1"), test=str(test), out=tmp_path / "bundle")
    found = known_rows(open_bundle(tmp_path / "bundle"), str(snippets))
    assert found.own
    counts = fitted.bundle.provenance["rows"]
    assert (len(found.seen["text"]), len(found.held["text"])) == (counts["train"], counts["validation"])


def test_other_data_is_cut_in_halves(tuned, tmp_path):
    rows = {"text": [f"a fine film {n}" for n in range(41)], "label": ["positive"] * 40 + [""]}
    found = known_rows(tuned[0].bundle, str(written(tmp_path / "more.csv", rows)))
    assert not found.own
    assert (len(found.seen["text"]), len(found.held["text"])) == (20, 21)
    assert sorted([*found.seen["text"], *found.held["text"]]) == sorted(rows["text"])
    assert len(found.truths["label"]) == 21


def test_data_without_answers_has_rows_all_the_same(tuned, tmp_path):
    found = known_rows(tuned[0].bundle, str(written(tmp_path / "bare.csv", {"text": ["one film", "two films"]})))
    assert found.truths is None
    assert len(found.seen["text"]) == len(found.held["text"]) == 1
    with pytest.raises(MissingColumn):
        known_rows(tuned[0].bundle, str(written(tmp_path / "none.csv", {"other": ["a", "b"]})))
