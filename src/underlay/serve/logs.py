"""One JSON line an event; a line end or an escape within a value cannot make a second one."""

import json
import logging
from datetime import UTC, datetime


class JsonLine(logging.Formatter):
    """`{"time": ..., "level": ..., "event": ...}` and the fields that the record carries.

    >>> record = logging.makeLogRecord({"msg": "refused", "levelname": "WARNING", "fields": {"code": "bug"}})
    >>> json.loads(JsonLine().format(record))["code"]
    'bug'
    """

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(said | getattr(record, "fields", {}), ensure_ascii=True, default=str)
