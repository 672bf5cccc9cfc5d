"""Which way to run a graph is kept: every way is timed on one row and on many, and both count alike."""

import importlib

import pytest

from underlay.compress.measuring import FEW, MANY, Speed, measure_bundles

export = importlib.import_module("underlay.compress.export")


@pytest.mark.parametrize(("cores", "threads"), [(1, {1}), (2, {0, 1}), (8, {0, 1})])
def test_ways_are_one_core_or_all_with_memory_kept_or_given_back(cores, threads, monkeypatch):
    monkeypatch.setattr(export, "cores", lambda: cores)
    ways = export._settings()
    assert {(way["threads"], way["arena"]) for way in ways.values()} == {(n, a) for n in threads for a in (True, False)}


def test_a_row_alone_and_a_row_among_many_count_alike():
    quick_alone, quick_together = Speed("a", 1.0, 1.0, 1000, 100.0), Speed("b", 2.0, 2.0, 1000, 300.0)
    assert min((quick_alone, quick_together), key=lambda speed: speed.cost).name == "b"
    assert Speed("c", 1.0, 9.0, 1000, 150.0).cost == quick_together.cost


class Counting:
    """A bundle that knows how many rows it was asked."""

    def __init__(self):
        self.asked = []

    def answer(self, columns):
        self.asked.append(len(columns["x"]))


def test_one_row_is_timed_beside_as_many_as_a_thousand():
    one, other = Counting(), Counting()
    speeds = measure_bundles({"one": one, "other": other}, [{"x": 1}, {"x": 2}], seconds=0.05)
    assert one.asked == other.asked
    assert one.asked.count(1) >= 20
    assert max(one.asked) == speeds[0].rows
    assert FEW <= speeds[0].rows <= MANY
    patient = Counting()
    assert measure_bundles({"patient": patient}, [{"x": 1}], seconds=0.5)[0].rows == MANY
