"""One alarm, and one figure that alarms are made of, as Prometheus's rule files have them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["page", "ticket", "watchdog"]
"""`page`: somebody gets up. `ticket`: in working hours. `watchdog`: its absence is the alarm."""


@dataclass(frozen=True)
class Alarm:
    """What is to be noticed.

    Args:
        name: Of the alarm; begins with `Underlay`.
        condition: In PromQL; it holds while there is a sample.
        severity: Who is to be told.
        summary: What was seen, in one line.
        action: What to do.
        lasting: How long the condition must hold, as `5m`; "": not at all.
    """

    name: str
    condition: str
    severity: Severity
    summary: str
    action: str
    lasting: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The rule.

        >>> Alarm("UnderlayDown", "up == 0", "page", "gone", "look", "1m").to_dict()["for"]
        '1m'
        """
        told: dict[str, Any] = {"alert": self.name, "expr": self.condition}
        if self.lasting:
            told["for"] = self.lasting
        return told | {
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "action": self.action},
        }


@dataclass(frozen=True)
class Figure:
    """A series that is computed from others at each evaluation.

    Args:
        name: Of the series.
        value: In PromQL.
        labels: Added to each.
    """

    name: str
    value: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The rule.

        >>> Figure("underlay:share", "vector(0.5)", {"label": "good"}).to_dict()["record"]
        'underlay:share'
        """
        told: dict[str, Any] = {"record": self.name, "expr": self.value}
        return told | ({"labels": dict(self.labels)} if self.labels else {})


def quoted(text: str) -> str:
    r"""A string of PromQL.

    >>> quoted('a "b"')
    '"a \\"b\\""'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
