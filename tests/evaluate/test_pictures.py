"""Axes, numbers in words, and curves."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.evaluate import Interval, RiskCoverage
from underlay.evaluate.axis import axis_over
from underlay.evaluate.calibration import Reliability
from underlay.evaluate.charts import (
    calibration_chart,
    confidence_chart,
    coverage_chart,
    error_chart,
    loss_chart,
    scatter_chart,
    thinned,
    validation_chart,
)
from underlay.evaluate.examination import Scatter
from underlay.evaluate.wording import THIN, compact, duration, figure, gap_text, number, span, verdict

NUMBERS = st.floats(-1e12, 1e12) | st.floats(-1, 1)


@given(st.lists(NUMBERS, max_size=20))
def test_an_axis_holds_its_values_and_has_few_round_ticks(values: list[float]) -> None:
    axis = axis_over(values)
    assert axis.low < axis.high
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)
    assert all(0 <= axis.place(value) <= 1 for value in values)
    assert 2 <= len(axis.ticks) <= 9
    assert all(first < second for first, second in pairwise(axis.ticks))
    assert len({axis.label(tick) for tick in axis.ticks}) == len(axis.ticks) or axis.high - axis.low < 1e-5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_axis_of_shares_stays_within_zero_and_one(values: list[float]) -> None:
    axis = axis_over(values, bounds=(0, 1))
    assert 0 <= axis.low < axis.high <= 1
    assert all(axis.low - 1e-9 <= value <= axis.high + 1e-9 for value in values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (0.5, "0.500"),
        (-3.25, "−3.250"),
        (31.42, "31.42"),
        (1234.5, "1,234"),
        (2.5e10, "2.5e+10"),
        (0.00123, "0.0012"),
        (float("nan"), "not finite"),
    ],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert number(value) == text


def test_units_are_said_once_and_minus_is_a_minus() -> None:
    assert figure("accuracy", 0.8516) == f"85.2{THIN}%"
    assert span("accuracy", Interval(0.85, 0.83, 0.873)) == f"83.0 – 87.3{THIN}%"
    assert span("mae", Interval(1.5, 1.25, 1.75)) == "1.250 – 1.750"
    assert gap_text("accuracy", Interval(-0.02, -0.05, 0.01)) == "−2.0 points (−5.0 to 1.0)"
    assert figure("a_metric_of_next_year", 0.5) == "0.500"


def test_a_verdict_follows_the_direction_of_the_metric() -> None:
    up, down, level = Interval(0.1, 0.05, 0.15), Interval(-0.1, -0.15, -0.05), Interval(0.1, -0.1, 0.3)
    assert [verdict("accuracy", gap) for gap in (up, down, level)] == ["better", "worse", "level"]
    assert [verdict("mae", gap) for gap in (up, down, level)] == ["worse", "better", "level"]


def test_times_and_counts_are_short() -> None:
    assert [duration(t) for t in (0.04, 9.96, 59.6, 60, 61, 3600, 7260)] == [
        "0.0 s",
        "10 s",
        "1 min",
        "1 min",
        "1 min 1 s",
        "1 h",
        "2 h 1 min",
    ]
    assert [compact(n) for n in (0, 999, 1000, 9999, 10_000, 2_500_000)] == ["0", "999", "1.0k", "10.0k", "10k", "2.5M"]


@given(st.integers(1, 5000))
def test_a_thinned_line_keeps_its_end_and_its_mean(points: int) -> None:
    line = [(step, float(step % 7)) for step in range(1, points + 1)]
    thin = thinned(line)
    assert len(thin) <= 300
    assert thin[-1][0] == points
    assert min(value for _, value in line) <= min(value for _, value in thin)


def test_pictures_of_next_to_nothing_still_draw() -> None:
    one = Reliability((1.0,), (1.0,), (3,), 0.0)
    pictures = [
        calibration_chart(one, one),
        confidence_chart(one),
        coverage_chart(RiskCoverage((1.0,), (0.0,), (0.5,), 0.0, 0.0)),
        coverage_chart(RiskCoverage((1.0,), (1.0,), (0.5,), 1.0, 1.0)),
        loss_chart([(1, 0.5)]),
        loss_chart([(1, float("nan"))]),
        validation_chart([(0, 0.5)], metric="accuracy", best=0),
        validation_chart([(10, 3.0), (20, float("inf"))], metric="mae", best=10, last=30),
        scatter_chart(Scatter((2.0,), (2.0,))),
        error_chart(Scatter((2.0,), (2.0,))),
        error_chart(Scatter((1e9, -1e9), (0.0, 3.0))),
    ]
    for picture in pictures:
        assert str(picture).startswith("<svg") and "nan" not in picture and "inf" not in picture
