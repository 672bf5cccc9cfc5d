"""The report's pictures."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from markupsafe import Markup

from underlay.evaluate.axis import Axis, axis_over
from underlay.evaluate.calibration import BINS, Reliability
from underlay.evaluate.confusion import LabelFigures
from underlay.evaluate.examination import Examination, Scatter
from underlay.evaluate.frame import BOTTOM, HEIGHT, TOP, Frame, Point, tag
from underlay.evaluate.interval import Interval, wilson
from underlay.evaluate.selective import RiskCoverage
from underlay.evaluate.slices import Slice
from underlay.evaluate.wording import count, figure, in_sentence, metric_of, number, percent

MOST_POINTS = 300
"""Points of a line: a screen shows no more."""


def calibration_chart(before: Reliability, after: Reliability) -> Markup:
    """Confidence beside accuracy, without and with the temperature; the area of a dot is its share of the rows."""
    everything = [*before.confidence, *before.accuracy, *after.confidence, *after.accuracy, 1.0]
    axis = axis_over(everything, bounds=(0, 1))
    frame = Frame(axis, axis, titles=("Confidence (%)", "Answered rightly (%)"), percent=(True, True))
    parts = [frame.line([(axis.low, axis.low), (axis.high, axis.high)], "ideal")]
    for curve, style in ((before, "before"), (after, "model")):
        parts.append(frame.line(zip(curve.confidence, curve.accuracy, strict=True), style))
        rows = max(sum(curve.count), 1)
        for said, found, size in zip(curve.confidence, curve.accuracy, curve.count, strict=True):
            told = f"{count(size, 'answer')}: {percent(said)} sure, {percent(found)} right"
            if style == "model":
                likely = wilson(found, size)
                parts.append(frame.line([(said, likely.low), (said, likely.high)], "whisker"))
            parts.append(frame.dot(said, found, style=f"dot {style}", radius=2.5 + 8 * (size / rows) ** 0.5, says=told))
    return frame.picture(parts, label="Reliability diagram: confidence beside accuracy")


def confidence_chart(curve: Reliability) -> Markup:
    """How many answers were given with which confidence."""
    axis = axis_over([*curve.confidence, 1.0], bounds=(0, 1))
    heights = axis_over([0.0, *curve.count])
    frame = Frame(axis, heights, titles=("Confidence (%)", "Answers"), percent=(True, False))
    parts = []
    for said, size in zip(curve.confidence, curve.count, strict=True):
        low = min(int(said * BINS), BINS - 1) / BINS
        (left, top), (right, bottom) = frame.at(low, size), frame.at(low + 1 / BINS, 0)
        title = tag("title", f"{percent(low, 0)} to {percent(low + 1 / BINS, 0)} sure: {count(size, 'answer')}")
        width, height = max(right - left - 2, 1.0), max(bottom - top, 1.0)
        parts.append(tag("rect", title, class_="bar", x=left + 1, y=top, width=width, height=height, rx=1.5))
    return frame.picture(parts, label="Histogram of confidence")


def coverage_chart(curve: RiskCoverage) -> Markup:
    """The share of wrong answers by how many rows are answered, surest first."""
    x = Axis(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    # The first few rows decide the curve's left end by chance alone: the scale is set by the rest.
    settled = [risk for part, risk in zip(curve.coverage, curve.risk, strict=True) if part >= 0.05]
    y = axis_over([0.0, *settled], bounds=(0, 1))
    frame = Frame(x, y, titles=("Rows answered, surest first (%)", "Wrong among them (%)"), percent=(True, True))
    mistakes = curve.risk[-1]
    best = [(0.0, 0.0), (1 - mistakes, 0.0)]
    best += [(part, (part - 1 + mistakes) / part) for part in _steps(1 - mistakes, 1.0, 30) if part > 0]
    points = list(zip(curve.coverage, curve.risk, strict=True))
    parts = [
        frame.line([(0.0, mistakes), (1.0, mistakes)], "ideal"),
        frame.line(best, "before"),
        frame.line(points, "model"),
    ]
    for asked in (0.5, 0.8, 0.9, 1.0):
        place = coverage_at(curve, asked)
        said, part, risk = curve.confidence[place], curve.coverage[place], curve.risk[place]
        told = f"{percent(part, 0)} answered (confidence {percent(said)} or more): {percent(risk)} wrong"
        parts.append(frame.dot(part, risk, style="dot model", radius=4, says=told))
    return frame.picture(parts, label="Risk-coverage curve")


def coverage_at(curve: RiskCoverage, asked: float) -> int:
    """The position on the curve whose coverage is nearest to `asked`."""
    return min(range(len(curve.coverage)), key=lambda place: abs(curve.coverage[place] - asked))


def loss_chart(points: Sequence[tuple[int, float]]) -> Markup:
    """Training loss by step: as it was, and smoothed."""
    thin = thinned([point for point in points if isfinite(point[1])])
    smooth = _smoothed(thin)
    y = axis_over([0.0, *_typical(thin)])
    frame = Frame(_steps_axis(points), y, titles=("Step", "Training loss"), percent=(False, False))
    parts = [frame.line(thin, "raw"), frame.line(smooth, "model")]
    if len(thin) <= 20:  # a line through so few says less than its points
        parts += [
            frame.dot(step, value, style="dot model", says=f"step {step:,}: {number(value)}") for step, value in thin
        ]
    return frame.picture(parts, label="Training loss by step")


def validation_chart(
    points: Sequence[tuple[int, float]], *, metric: str, best: int | None, last: int | None = None
) -> Markup:
    """The validation metric by step, with the step whose weights were kept."""
    shown = metric_of(metric)
    y = axis_over([value for _, value in points], bounds=(0, 1) if shown.percent else (float("-inf"), float("inf")))
    unit = " (%)" if shown.percent else ""
    points = [point for point in points if isfinite(point[1])]
    steps = _steps_axis([*points, *([(last, 0.0)] if last else [])])
    titles = ("Step", f"Validation {in_sentence(shown.title)}{unit}")
    frame = Frame(steps, y, titles=titles, percent=(False, shown.percent))
    parts = [frame.line(thinned(points), "model")]
    for step, value in points if len(points) <= 60 else []:
        parts.append(frame.dot(step, value, style="dot model", says=f"step {step:,}: {figure(metric, value)}"))
    for step, value in points:
        if step == best:
            parts.append(frame.dot(step, value, style="ring", radius=7, says="kept"))
            parts.append(_beside(frame, (step, value), f"kept: {figure(metric, value)}", below=not shown.higher))
    return frame.picture(parts, label=f"Validation {shown.title} by step")


def _beside(frame: Frame, point: Point, text: str, *, below: bool) -> Markup:
    height = frame.y.place(point[1])
    late, low = frame.x.place(point[0]) > 0.75, height > 0.9 or (below and height > 0.08)
    return frame.words(*point, text, anchor="end" if late else "start", shift=(-11 if late else 11, 22 if low else -9))


def scatter_chart(points: Scatter) -> Markup:
    """Predicted beside true numbers; on the line they agree."""
    axis = axis_over([*points.truth, *points.prediction], ticks=8)
    frame = Frame(axis, axis, titles=("True", "Predicted"), percent=(False, False))
    parts = [frame.line([(axis.low, axis.low), (axis.high, axis.high)], "ideal")]
    for true, said in zip(points.truth, points.prediction, strict=True):
        parts.append(frame.dot(true, said, style="speck", says=f"true {number(true)}, predicted {number(said)}"))
    return frame.picture(parts, label="Predicted beside true numbers")


def error_chart(points: Scatter) -> Markup:
    """How often errors of which size occur."""
    errors = [said - true for true, said in zip(points.truth, points.prediction, strict=True)]
    x = axis_over(errors, ticks=6)
    edges = _steps(x.low, x.high, 24)
    counts = [sum(low <= error < high for error in errors) for low, high in pairwise(edges)]
    counts[-1] += sum(error == edges[-1] for error in errors)
    frame = Frame(x, axis_over([0.0, *counts]), titles=("Predicted - true", "Rows"), percent=(False, False))
    parts = []
    for (low, high), size in zip(pairwise(edges), counts, strict=True):
        (left, top), (right, bottom) = frame.at(low, size), frame.at(high, 0)
        title = tag("title", f"{number(low)} to {number(high)}: {count(size, 'row')}")
        parts.append(tag("rect", title, class_="bar", x=left + 1, y=top, width=right - left - 2, height=bottom - top))
    zero, _ = frame.at(0, 0)
    if x.low < 0 < x.high:
        parts.append(tag("line", class_="ideal", x1=zero, x2=zero, y1=TOP, y2=HEIGHT - BOTTOM))
    return frame.picture(parts, label="Histogram of errors")


def _steps_axis(points: Sequence[tuple[int, float]]) -> Axis:
    last = max([step for step, _ in points], default=1)
    whole = axis_over([0.0, float(max(last, 1))])
    return Axis(0.0, float(max(last, 1)), tuple(tick for tick in whole.ticks if tick <= last and tick == round(tick)))


def _steps(low: float, high: float, number_of: int) -> list[float]:
    return [low + (high - low) * step / number_of for step in range(number_of + 1)]


def _typical(points: Sequence[Point]) -> list[float]:
    """All but the largest hundredth: one spike must not flatten a curve."""
    values = sorted(value for _, value in points)
    return values[: max(1, round(len(values) * 0.99))]


def thinned(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MOST_POINTS` points, each the mean of its neighbours."""
    size = -(-len(points) // MOST_POINTS) or 1
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """A centred mean over about a twentieth of the points."""
    half = max(len(points) // 40, 1) if len(points) > 20 else 0
    found = []
    for place, (step, _) in enumerate(points):
        near = points[max(0, place - half) : place + half + 1]
        found.append((step, sum(value for _, value in near) / len(near)))
    return found


SHARES = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
"""The whole range of a share."""

PlotRow = tuple[str, Interval, str, str]
"""Who, the figure, the style, an aside."""


def interval_axis(metric: str, figures: Sequence[Interval]) -> Axis:
    """An axis that holds all of these intervals."""
    bounds = (0.0, 1.0) if metric_of(metric).percent else (float("-inf"), float("inf"))
    return axis_over([end for one in figures for end in (one.low, one.high)], ticks=4, bounds=bounds)


def contribution_rows(target: Examination) -> list[PlotRow]:
    """The figure with all inputs, then without each, the dearest first."""
    whole = [("With all inputs", target.metrics[target.key], "model", "")] if target.key in target.metrics else []
    return whole + [(f"without {one.column}", one.figure, "", "") for one in target.contributions]


def opponent_rows(target: Examination) -> list[PlotRow]:
    """The baselines in the key metric, strongest (given last) first."""
    return [(other.name, other.metrics[target.key], "", "") for other in target.opponents[::-1]]


def slice_rows(parts: Sequence[Slice]) -> list[PlotRow]:
    """The slices of one column."""
    return [(part.name, part.figure, "warn" if part.worse else "", count(part.count, "row")) for part in parts]


def weakest(figures: Sequence[LabelFigures], number_of: int) -> list[LabelFigures]:
    """The labels with the lowest F1, lowest first; untested ones have none."""
    return sorted((one for one in figures if one.f1 is not None), key=lambda one: one.f1 or 0.0)[:number_of]


def coverage_rows(curve: RiskCoverage) -> list[int]:
    """Positions on the curve worth a table's row, from all rows to half of them."""
    return list(dict.fromkeys(coverage_at(curve, asked) for asked in (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)))
