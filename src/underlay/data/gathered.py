"""Tables gathered as a recipe says: series that lie in many columns or rows, logs of events."""

from collections.abc import Callable, Mapping
from typing import Any

from underlay.data.event_log import EventLog, gather_events
from underlay.data.gathering import Gathering, gather
from underlay.data.table import Table

GATHERERS: Mapping[str, Callable[[Table, Mapping[str, Any]], Table]] = {
    "series": lambda table, spec: gather(table, Gathering.read(spec)),
    "events": lambda table, spec: gather_events(table, EventLog.read(spec)),
}
"""Key of a recipe's `data` -> `(table, what the recipe says there) -> table`."""


def gathered_as(table: Table, recipe: Mapping[str, Any]) -> Table:
    """The table as the run of this recipe (plain data, resolved) gathered its own; as it is where that did not."""
    data = recipe.get("data") or {}
    for key, gatherer in GATHERERS.items():
        if data.get(key):
            table = gatherer(table, data[key])
    return table


def gathered_items(table: Table) -> dict[str, str]:
    """The column that a log of events was gathered into, and its modality; none where there was no log."""
    spec = (table.gathered or {}).get("events")
    return {str(spec["item"]): "events"} if spec else {}
