"""What the report says of a search: every candidate once, the chosen one marked, the targets where they are."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.test_report import ATTACK, Page

from underlay.evaluate import (
    Contender,
    Examination,
    Interval,
    Lost,
    ReportData,
    Search,
    Targets,
    closest,
    front,
    recommendation,
    render_report,
)
from underlay.evaluate.frame import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from underlay.evaluate.search_charts import search_chart


def lost(points: float, *, target: str = "label", metric: str = "accuracy", was: float = 0.9) -> Lost:
    def at(lost: float) -> float:
        return was - lost / 100 if metric == "accuracy" else was * (1 + lost / 100)

    ends = sorted((at(points - 1), at(points + 1)))
    return Lost(target, metric, at(points), *ends, points, points - 1, points + 1)


def contender(name: str, points: float, megabytes: float, ms: float, **more) -> Contender:
    return Contender(name, (lost(points, **more),), int(megabytes * 1e6), ms, 2 * ms, 1000 / ms, 8.0)


def sought(*contenders: Contender, chosen: str = "", **more) -> Search:
    original = contender("as it is", 0.0, 90.0, 8.0, **more)
    found = Search(Targets(0.5, 5.0, 20.0), 500, original, contenders, chosen)
    return replace(found, words=recommendation(found))


SEARCH = sought(
    contender("int8", 0.1, 24.0, 3.0),
    Contender("int8 static", why="fixed ranges save time alone; int8: too large"),
    contender("vocabulary", 2.5, 60.0, 8.0),
    contender("vocabulary + int8", 0.3, 18.0, 2.9),
    chosen="vocabulary + int8",
)


def picture(search: Search, cost="one_p50", target="label") -> ET.Element:
    return ET.fromstring(str(search_chart(search, target, cost)))


def named(picture: ET.Element, tag: str, style: str) -> list[ET.Element]:
    return [one for one in picture.iter(tag) if one.get("class") == style]


@pytest.mark.parametrize("cost", ["one_p50", "megabytes"])
def test_every_measured_candidate_is_a_dot_and_the_chosen_one_has_a_ring(cost):
    drawn = picture(SEARCH, cost)
    dots = [one for one in drawn.iter("circle") if str(one.get("class")).startswith("dot ")]
    assert len(dots) == 4
    titles = [str(one.findtext("title")) for one in dots]
    assert sum(title.startswith("vocabulary + int8:") for title in titles) == 1
    assert not [title for title in titles if "static" in title]
    (ring,) = named(drawn, "circle", "ring")
    mine = next(one for one in dots if str(one.findtext("title")).startswith("vocabulary + int8:"))
    assert (ring.get("cx"), ring.get("cy")) == (mine.get("cx"), mine.get("cy"))


def test_the_tinted_corner_holds_those_that_hold_quality_and_that_cost_and_no_others():
    for cost, limit in (("one_p50", 5.0), ("megabytes", 20.0)):
        drawn = picture(SEARCH, cost)
        (zone,) = named(drawn, "rect", "zone")
        x, y, width, height = (float(str(zone.get(key))) for key in ("x", "y", "width", "height"))
        assert (x, y) == (LEFT, TOP)
        for dot in drawn.iter("circle"):
            if str(dot.get("class")).startswith("dot "):
                name = str(dot.findtext("title")).partition(":")[0]
                one = next(each for each in SEARCH.measured if each.name == name)
                inside = x <= float(str(dot.get("cx"))) <= x + width and y <= float(str(dot.get("cy"))) <= y + height
                assert inside == (one.points <= 0.5 and getattr(one, cost) <= limit), name


def test_of_an_error_the_lower_corner_is_the_good_one():
    search = sought(contender("int8", 0.2, 24, 3, metric="mae", was=4.0), chosen="int8", metric="mae", was=4.0)
    drawn = picture(search)
    (zone,) = named(drawn, "rect", "zone")
    bottom = float(str(zone.get("y"))) + float(str(zone.get("height")))
    assert bottom == pytest.approx(HEIGHT - BOTTOM, abs=0.1)
    assert float(str(zone.get("y"))) > TOP


def test_without_a_target_of_time_there_is_one_line_and_the_whole_width_holds():
    drawn = picture(replace(SEARCH, targets=Targets(0.5, None, 20.0)))
    assert len(named(drawn, "line", "target")) == 1
    (zone,) = named(drawn, "rect", "zone")
    assert float(str(zone.get("width"))) == pytest.approx(WIDTH - RIGHT - LEFT, abs=0.1)
    assert len(named(picture(SEARCH), "line", "target")) == 2


FIGURES = st.tuples(st.floats(-5, 30), st.floats(0.1, 200), st.floats(0.01, 50))


@given(st.lists(FIGURES, min_size=1, max_size=12))
def test_labels_stand_apart_and_inside(figures):
    search = sought(*(contender(f"candidate {place}", *one) for place, one in enumerate(figures)), chosen="candidate 0")
    drawn = picture(search)
    boxes = []
    for text in named(drawn, "text", "note"):
        width, left, top = 6.6 * len(str(text.text)), float(str(text.get("x"))), float(str(text.get("y")))
        left -= {"start": 0, "middle": width / 2, "end": width}[str(text.get("text-anchor"))]
        boxes.append((left, top - 11, left + width, top + 2))
    for place, one in enumerate(boxes):
        assert LEFT - 1 <= one[0] <= one[2] <= WIDTH - RIGHT + 1
        for other in boxes[:place]:
            assert one[2] <= other[0] + 1 or other[2] <= one[0] + 1 or one[3] <= other[1] + 1 or other[3] <= one[1] + 1


@given(st.lists(FIGURES, min_size=1, max_size=12))
def test_nothing_on_the_front_is_beaten_and_everything_else_is(figures):
    every = [contender(str(place), *one) for place, one in enumerate(figures)]
    best = front(every, cost="one_p50")
    for one in every:
        beaten = [
            each for each in best if each.one_p50 <= one.one_p50 and each.points <= one.points and each is not one
        ]
        assert bool(beaten) != (one in best)


def test_the_recommendation_names_the_first_that_holds_and_what_it_costs():
    words = " ".join(SEARCH.words)
    assert "Take “vocabulary + int8”: it holds all targets, the first after 2 others" in words
    assert "20 % of the bytes" in words
    assert "36 % of the time" in words
    assert "loses 0.30 points of accuracy of label" in words
    assert "500 validation rows cannot tell it for sure: the loss of label lies between −0.70 and 1.30 points" in words
    assert "“int8” keeps more" in words
    sure = sought(replace(contender("int8", 0.0, 10, 1), lost=(replace(lost(0.0), most=0.4),)), chosen="int8")
    assert "cannot tell" not in " ".join(sure.words)


def test_where_nothing_holds_the_closest_and_the_bound_that_would_do_are_named():
    found = Search(Targets(0.5, 5.0, 10.0), 500, SEARCH.original, SEARCH.contenders)
    words = closest(found)
    assert words[0].startswith("“vocabulary + int8” came closest: accuracy 89.7 %")
    assert words[0].endswith("too large.")
    assert words[1] == "With --target-mb 18.0 “vocabulary + int8” would have been taken."
    assert len(words) == 2
    looser = replace(found, targets=replace(found.targets, megabytes=18.0))
    assert not SEARCH.contenders[3].misses(looser.targets)


def report(search: Search) -> ReportData:
    figures = {"accuracy": Interval(0.9, 0.88, 0.92)}
    return ReportData(
        "small", targets=(Examination("label", "binary", ("bad", "good"), 500, "accuracy", figures),), search=search
    )


def test_the_page_shows_every_candidate_once_and_survives_a_trip_through_json():
    data = report(SEARCH)
    page = Page(render_report(data))
    assert "search" in page.ids
    text = " ".join(page.text)
    for one in SEARCH.contenders:
        assert one.name in text
    assert "not measured: fixed ranges save time alone" in text
    assert text.count("chosen") >= 2
    assert ReportData.from_dict(data.to_dict()) == data
    assert "search" not in Page(render_report(replace(data, search=None))).ids


def test_names_of_strangers_stay_text():
    hostile = sought(contender(ATTACK, 0.1, 5, 1), chosen=ATTACK)
    page = Page(render_report(report(hostile)))
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if re.match(r"on", name)]


def test_each_of_several_targets_has_its_pictures():
    both = (lost(0.1), lost(4.0, target="电影评论的情感倾向", metric="mae", was=3.0))
    search = sought(replace(contender("int8", 0.1, 5, 1), lost=both), chosen="")
    search = replace(
        search,
        original=replace(search.original, lost=(lost(0.0), lost(0.0, target=both[1].target, metric="mae", was=3.0))),
    )
    assert search.contenders[0].misses(search.targets) == ("loses too much",)
    html = render_report(report(search))
    assert html.count('class="zone"') == 4
    assert "电影评论的情感倾向" in html
