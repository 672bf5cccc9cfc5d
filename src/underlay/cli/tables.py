"""Tables of results, for people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Table":
    """Give a table of plain cells; numbers stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        show_header=any(columns),
    )
    for position, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[position], (int, float)) for row in rows)
        drawn.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell(value)) for value in row))
    return drawn


def cell(value: Any) -> str:
    """Text of a cell.

    >>> cell(0.84751), cell(12345), cell(None)
    ('0.848', '12,345', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figures(metrics: Mapping[str, Mapping[str, float]]) -> "Table":
    """Metrics with their 95 % intervals, one a line."""
    rows = [(name.replace("_", " "), *interval(figure)) for name, figure in metrics.items()]
    return table("", ["metric", "value", "95 % interval"], rows)


def interval(figure: Mapping[str, float]) -> tuple[str, str]:
    """Value and interval as text.

    >>> interval({"value": 0.8475, "low": 0.8254, "high": 0.8668})
    ('0.848', '0.825 to 0.867')
    """
    return cell(float(figure["value"])), f"{cell(float(figure['low']))} to {cell(float(figure['high']))}"
