"""The report: one HTML file that shows what a model does, how sure that is, and where it fails."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter

from underlay.evaluate import charts, search_charts, wording
from underlay.evaluate.contenders import Search
from underlay.evaluate.examination import Examination
from underlay.evaluate.recommendation import points
from underlay.evaluate.remarks import remarks


@dataclass(frozen=True)
class Fact:
    """A name and a value, as text.

    Args:
        name: What it is.
        value: What was found; long ones wrap.
    """

    name: str
    value: str


@dataclass(frozen=True)
class FactGroup:
    """Facts under one heading.

    Args:
        name: The heading.
        facts: In order.
    """

    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class CheckLine:
    """What a check of the data found.

    Args:
        code: Which check.
        severity: `info`, `warning` or `error`.
        message: A sentence.
        count: Rows concerned.
        rows: Where the first of them are.
    """

    code: str
    severity: str
    message: str
    count: int = 0
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataFacts:
    """What the model learned from.

    Args:
        name: The file or sample.
        rows: By split, in the order train, validation, test.
        facts: Columns, encoding, digest, what was inferred.
        label_counts: Training rows by label, by target.
    """

    name: str
    rows: Mapping[str, int]
    facts: tuple[Fact, ...] = ()
    label_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Learning:
    """How training went.

    Args:
        loss: (step, training loss).
        validation: (step, validation metric).
        metric: Which one.
        best: The step whose weights were kept.
    """

    loss: tuple[tuple[int, float], ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    metric: str = "accuracy"
    best: int | None = None


@dataclass(frozen=True)
class Phase:
    """Where the time went.

    Args:
        name: Reading, training, ...
        seconds: Wall clock.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows, as plain data: `ReportData.from_dict(data.to_dict()) == data`.

    Args:
        title: Names the model.
        model: What was fine-tuned, in half a sentence ("minilm, 22.7 M parameters").
        created: When, as text.
        data: What it learned from.
        targets: What was measured.
        checks: What the checks of the data found.
        learning: How training went.
        run: Seeds, versions, digests, hardware, by group.
        recipe: The resolved recipe (YAML).
        phases: Where the time went.
        notes: What a reader must know before relying on it (warnings), one sentence each.
        unmeasured: What was not measured, one sentence each.
        search: How it was found among others, where it was sought.
    """

    title: str
    model: str = ""
    created: str = ""
    data: DataFacts | None = None
    targets: tuple[Examination, ...] = ()
    checks: tuple[CheckLine, ...] = ()
    learning: Learning | None = None
    run: tuple[FactGroup, ...] = ()
    recipe: str = ""
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    search: Search | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ReportData":
        """Read back what `to_dict` gave, also after a trip through JSON."""
        return TypeAdapter(cls).validate_python(data)


def render_report(data: ReportData | Mapping[str, Any]) -> str:
    """A self-contained HTML page: no script, no network, light and dark, on paper too.

    Every text in it may come from strangers and is escaped; the page's own policy forbids scripts and loading.

    Args:
        data: As an object, or as `to_dict` gave it.
    """
    report = data if isinstance(data, ReportData) else ReportData.from_dict(data)
    page = _environment().get_template("report.html.jinja").render(report=report)
    # A lone surrogate (broken input) cannot be written as UTF-8.
    return page.encode("utf-8", "replace").decode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for words in (
        wording.compact,
        wording.count,
        wording.duration,
        wording.figure,
        wording.gap_text,
        wording.in_sentence,
        wording.metric_of,
        wording.number,
        wording.percent,
        wording.span,
        wording.verdict,
    ):
        environment.globals[words.__name__] = words
    environment.globals["charts"] = charts
    environment.globals["search_charts"] = search_charts
    environment.globals["points"] = points
    environment.globals["remarks"] = remarks
    return environment
