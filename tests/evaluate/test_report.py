"""The HTML report: whole, self-contained, inert whatever the data holds, right for every task."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from underlay.core import Target
from underlay.evaluate import (
    CheckLine,
    Contribution,
    DataFacts,
    Examination,
    Fact,
    FactGroup,
    Interval,
    Learning,
    Phase,
    ReportData,
    baselines,
    examine,
    render_report,
    to_probabilities,
)

VOID = {"meta", "br", "img", "input", "link", "hr"}
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></style></svg>&lt;b&gt; {{ 7 * 7 }}"


class Page(HTMLParser):
    """Collects tags, attributes and text, and complains when they do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def examination(
    task: str, labels: int = 3, *, rows: int = 240, text: str = "some words", skill: float = 1.5
) -> Examination:
    rng = np.random.default_rng(0)
    values = [f"{text} {row}" for row in range(rows)]
    names = tuple(f"label {k}" for k in range(labels))
    if task == "regression":
        target, truth = Target("stars", "regression"), rng.normal(size=rows)
        scores, logits = truth + rng.normal(scale=0.4, size=rows), None
    elif task == "multilabel":
        target, truth = Target("tags", "multilabel", names), (rng.random((rows, labels)) < 0.3).astype(int)
        logits = rng.normal(size=(rows, labels)) + 2 * truth - 1
        scores = to_probabilities(logits, 1.3, multilabel=True)
    else:
        target, truth = Target("kind", task, names), rng.integers(0, labels, rows)  # type: ignore[arg-type]
        logits = rng.normal(size=(rows, labels)) + skill * np.eye(labels)[truth]
        scores = to_probabilities(logits, 1.3)
    return examine(
        target,
        scores,
        truth,
        values={"text": values},
        logits=logits,
        temperature=1.3,
        opponents=baselines(target, values[:50], truth[:50], values, truth, classical=TfidfVectorizer(), resamples=50),
        columns={"length": [len(value) for value in values], "source": [f"{text} {row % 3}" for row in range(rows)]},
        places=lambda row: f"data.csv, line {row + 2}",
        resamples=50,
    )


def report(*targets: Examination, text: str = "words") -> ReportData:
    return ReportData(
        title=text,
        model=text,
        created=text,
        data=DataFacts(text, {"train": 800, "test": 240}, (Fact(text, text),), {"kind": {text: 4}}),
        targets=targets,
        checks=(
            CheckLine(text, "warning", text, 3, (text,)),
            CheckLine("b", "error", text),
            CheckLine("c", "info", text),
        ),
        learning=Learning(((1, 0.9), (2, 0.5), (3, float("nan"))), ((1, 0.6), (3, 0.8)), "accuracy", 3),
        run=(FactGroup(text, (Fact(text, text),)),),
        recipe=text,
        phases=(Phase(text, 3.2), Phase("b", 61)),
        notes=(text,),
        unmeasured=(text,),
    )


CASES = [
    ("binary", 2),
    ("multiclass", 3),
    ("multiclass", 9),
    ("multiclass", 25),
    ("multiclass", 60),
    ("multilabel", 5),
    ("regression", 0),
]


@pytest.mark.parametrize(("task", "labels"), CASES)
def test_every_task_gives_a_whole_page_that_loads_nothing(task: str, labels: int) -> None:
    data = report(examination(task, labels))
    html = render_report(data)
    page = Page(html)
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(page.tags)
    assert not re.search(r"https?:|url\(|@import|src=", html)
    assert "default-src 'none'" in html
    assert len(page.ids) == len(set(page.ids))
    for _, name, value in page.attributes:
        assert not re.search(r"\b(nan|inf)\b", value) or name in ("title", "aria-label"), (name, value)
        if name == "href":
            assert value[1:] in page.ids
    assert ("confusion" in page.ids) == (task in ("binary", "multiclass"))
    assert ("errors" in page.ids) == (task == "regression")
    assert ("calibration" in page.ids) == (task != "regression")
    assert {"figures", "data", "slices", "mistakes", "training", "run", "unmeasured"} <= set(page.ids)
    assert ("matrix" in html.split("</style>")[1]) == (0 < labels <= 30 and task != "multilabel")


@pytest.mark.parametrize(("task", "labels"), CASES)
def test_a_report_survives_json(task: str, labels: int) -> None:
    data = replace(report(examination(task, labels)), learning=None)
    again = json.loads(json.dumps(data.to_dict()))
    assert ReportData.from_dict(again) == data
    assert render_report(again) == render_report(data)


@pytest.mark.row("D07")
@pytest.mark.parametrize("task", ["binary", "multilabel", "regression"])
def test_whatever_the_data_holds_is_shown_and_does_nothing(task: str) -> None:
    found = examination(task, 2, text=ATTACK)
    labels = (ATTACK, "b")
    figures = tuple(replace(one, label=ATTACK) for one in found.figures)
    confusion = replace(found.confusion, labels=labels) if found.confusion else None
    opponents = tuple(replace(other, name=ATTACK) for other in found.opponents)
    found = replace(
        found,
        target=ATTACK,
        labels=labels if found.labels else (),
        figures=figures,
        confusion=confusion,
        opponents=opponents,
    )
    page = Page(render_report(report(found, found, text=ATTACK)))
    assert {"script", "img"}.isdisjoint(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert " ".join(ATTACK.split()) in page.words
    assert "{{ 7 * 7 }}" in page.words


def test_the_headline_holds_the_figure_its_interval_and_the_verdicts() -> None:
    found = examination("binary", 2)
    page = Page(render_report(report(found)))
    accuracy = found.metrics["accuracy"]
    words = page.words.replace("\u202f", " ")
    assert f"{accuracy.value * 100:.1f} % Accuracy on 240 rows" in words
    assert f"95 % interval {accuracy.low * 100:.1f} – {accuracy.high * 100:.1f} %" in words
    assert "Better than Majority class" in words
    assert "fine-tuned on 800 rows of words; measured on 240 rows it has not seen." in words


def test_a_model_that_beats_no_baseline_is_said_to() -> None:
    words = Page(render_report(report(examination("binary", 2, skill=0.0)))).words
    assert "In accuracy this model is not clearly better than" in words or "this model is worse than" in words


@pytest.mark.row("D02")
def test_labels_without_a_test_row_are_named_before_the_figures() -> None:
    target = Target("kind", "multiclass", ("a", "b", "lone"))
    scores = np.tile([0.5, 0.4, 0.1], (40, 1))
    found = examine(target, scores, np.arange(40) % 2, values={"text": ["x"] * 40}, resamples=50)
    words = Page(render_report(report(found))).words
    assert "1 label has no test row, so nothing is known of it: lone." in words
    assert "Only 40 test rows" in words
    assert "untested: no test row" in words


def test_an_empty_report_says_what_it_does_not_know() -> None:
    words = Page(render_report(ReportData("nothing"))).words
    assert "Nothing was measured" in words
    assert "No learning curve is recorded" in words
    none = examine(
        Target("t", "multiclass", ("a", "b", "c")), np.ones((2, 3)) / 3, np.full(2, -100), values={"text": ["x", "y"]}
    )
    assert "No test row carries a label of t" in Page(render_report(ReportData("empty", targets=(none,)))).words


def test_perfect_answers_leave_no_mistake_to_show() -> None:
    target = Target("kind", "binary", ("a", "b"))
    truth = np.arange(150) % 2
    found = examine(
        target, np.eye(2)[truth], truth, values={"text": ["x"] * 150}, logits=9 * np.eye(2)[truth], resamples=50
    )
    assert "No test row was answered wrongly." in Page(render_report(ReportData("perfect", targets=(found,)))).words


def test_five_hundred_chinese_labels_fit_in_a_small_page_quickly() -> None:
    found = examination("multiclass", 500, rows=1500, skill=5)
    figures = tuple(replace(one, label=f"很长的中文标签{k}") for k, one in enumerate(found.figures))
    started = perf_counter()
    html = render_report(ReportData("五百类", targets=(replace(found, figures=figures),)))
    assert perf_counter() - started < 5
    assert len(html.encode()) < 1_000_000
    assert "很长的中文标签499" in Page(html).words


def test_both_themes_define_every_colour_and_paper_is_light() -> None:
    html = render_report(ReportData("colours"))
    used = set(re.findall(r"var\((--[a-z-]+)\)", html)) - {"--s"}
    themes = re.findall(r"\{ *\n?(color-scheme: (\w+);.*?)\}", html, re.DOTALL)
    assert [name for _, name in themes] == ["light", "dark", "dark", "light"]
    for text, _ in themes:
        assert used <= set(re.findall(r"(--[a-z-]+):", text))


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_the_contrast_that_accessibility_asks_for(theme: int) -> None:
    html = render_report(ReportData("colours"))
    text = re.findall(r"color-scheme: \w+;.*?\}", html, re.DOTALL)[theme]
    colours = dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6})", text))
    for ground in ("--page", "--tint"):
        for ink in ("--ink", "--muted", "--model", "--warn"):
            light, dark = sorted((luminance(colours[ground]), luminance(colours[ink])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)


@settings(max_examples=15, deadline=None)
@given(text=st.text(st.characters(codec=None), min_size=1, max_size=40))
def test_any_text_at_all_is_rendered_as_text(text: str) -> None:
    html = render_report(report(text=text))
    html.encode("utf-8")
    assert "script" not in Page(html).tags


def test_a_report_on_other_data_claims_no_training_and_no_novelty() -> None:
    data = ReportData(
        "later", "minilm", data=DataFacts("later.csv", {"test": 240}), targets=(examination("binary", 2),)
    )
    page = Page(render_report(data))
    assert "minilm, measured on 240 rows of later.csv." in page.words
    assert "What it was measured on" in page.words
    assert "fine-tuned" not in page.words and "not seen" not in page.words
    assert {"training", "run"}.isdisjoint(page.ids)


def test_what_each_input_contributes_is_shown_and_older_reports_have_none() -> None:
    plain = examination("multiclass")
    assert 'id="inputs"' not in render_report(report(plain))
    worth = (
        Contribution("<b>price</b>", Interval(0.6, 0.5, 0.7), Interval(0.15, 0.1, 0.2)),
        Contribution("shop", Interval(0.75, 0.7, 0.8), Interval(0.0, -0.02, 0.02)),
    )
    both = report(replace(plain, contributions=worth))
    page = render_report(both)
    for said in ("What each input contributes", "&lt;b&gt;price&lt;/b&gt;", "it helps", "no clear difference"):
        assert said in page
    assert ReportData.from_dict(json.loads(json.dumps(both.to_dict()))).targets == both.targets
    older = both.to_dict()
    del older["targets"][0]["contributions"]
    assert ReportData.from_dict(older).targets[0].contributions == ()
