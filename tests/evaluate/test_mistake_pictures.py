"""Mistakes that can be seen: pictures beside the words, of bounded number and size, and nothing else in their place."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from tests.evaluate.test_report import ATTACK, Page, report

from underlay.core import RowError, Target
from underlay.evaluate import Examination, ReportData, examine, render_report
from underlay.evaluate.mistakes import LARGEST_PICTURE, as_text, row_text

SVG = "data:image/svg+xml;base64," + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()


def drawn(value):
    if not isinstance(value, bytes):
        raise RowError("it is no picture", "give bytes", code="not_image")
    return SVG


def wrong(thumbnails=None, *, rows: int = 40, **columns) -> Examination:
    """Answers that are sure and wrong in every row."""
    target = Target("kind", "binary", ("cat", "dog"))
    truth = np.arange(rows) % 2
    values = columns or {"photo": [f"picture {row}".encode() for row in range(rows)]}
    return examine(target, np.eye(2)[1 - truth], truth, values=values, thumbnails=thumbnails, resamples=20)


def test_each_mistake_shows_its_value_and_there_are_twenty_at_most():
    found = wrong({"photo": drawn}, rows=60)
    assert len(found.mistakes) == 20
    assert all(one.pictures == {"photo": SVG} for one in found.mistakes)
    page = Page(render_report(report(found)))
    assert page.tags.count("img") == 20
    assert {value for tag, name, value in page.attributes if tag == "img" and name == "src"} == {SVG}
    assert {value for tag, name, value in page.attributes if tag == "img" and name == "alt"} == {"photo"}


def test_without_a_way_to_draw_them_values_stay_words():
    assert "img" not in Page(render_report(report(wrong()))).tags
    assert wrong().mistakes[0].value == "9 bytes"


def test_a_value_that_cannot_be_drawn_and_a_picture_too_large_are_left_out():
    huge = "data:image/png;base64," + "A" * LARGEST_PICTURE
    found = wrong({"photo": drawn}, photo=[b"x", "a.png"] * 20)
    assert {len(one.pictures) for one in found.mistakes} == {0, 1}
    assert all(not one.pictures for one in wrong({"photo": lambda value: huge}).mistakes)


def test_several_inputs_are_each_shown_under_their_names():
    rows = [f"{row}".encode() for row in range(40)]
    found = wrong({"front": drawn, "back": drawn}, front=rows, back=rows, price=list(range(40)))
    assert list(found.mistakes[0].pictures) == ["front", "back"]
    words = Page(render_report(report(found))).words
    assert "front back" in words
    assert "price: " in words


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://example.org/a.png", "data:text/html;base64,AA==", ATTACK]
)
def test_what_is_no_small_picture_does_not_become_part_of_a_page(address):
    found = wrong({"photo": drawn})
    with pytest.raises(ValueError, match="no data: address"):
        replace(found.mistakes[0], pictures={"photo": address})
    stored = json.loads(json.dumps(report(found).to_dict()))
    stored["targets"][0]["mistakes"][0]["pictures"]["photo"] = address
    with pytest.raises(ValueError, match="no data: address"):
        render_report(stored)


def test_a_hostile_column_name_is_only_a_name():
    rows = [b"1"] * 40
    page = Page(render_report(report(wrong({ATTACK: drawn, "b": drawn}, **{ATTACK: rows, "b": rows}))))
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_a_report_with_pictures_survives_json_and_older_ones_have_none():
    found = report(wrong({"photo": drawn}))
    again = json.loads(json.dumps(found.to_dict()))
    assert ReportData.from_dict(again).targets == found.targets
    for one in again["targets"][0]["mistakes"]:
        del one["pictures"]
    assert ReportData.from_dict(again).targets[0].mistakes[0].pictures == {}


def test_of_what_is_shown_less_is_told_and_bytes_are_counted_not_written():
    numbers = list(range(500))
    assert len(row_text({"series": numbers}, pictured={"series"})) == 120
    assert len(row_text({"series": numbers})) == 600
    assert as_text({"bytes": b"\x00" * 2000, "path": "a/b.png"}) == "bytes: 2,000 bytes, path: a/b.png"
