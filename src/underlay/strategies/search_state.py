"""What a search has measured so far, on disk: a search that is started again measures only what is missing."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from underlay.core.durable import write_file
from underlay.evaluate import Contender

RECORDS = "measured.json"


@dataclass(frozen=True)
class Record:
    """One candidate as it was measured.

    Args:
        contender: Its figures.
        facts: By step: what it did.
        told: What the card says of a graph; empty of a model that PyTorch runs.
        lasting: Whether it holds for other targets too; else it is not written down.
    """

    contender: Contender
    facts: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    lasting: bool = True


@dataclass(frozen=True)
class SearchState:
    """Records by candidate, and the folder beside them.

    Args:
        folder: Of the search; bodies and graphs stand in it.
        key: All that decides a record: data, original, machine, versions.
        records: By the candidate's name.
    """

    folder: Path
    key: Mapping[str, Any]
    records: dict[str, Record]

    @classmethod
    def at(cls, folder: Path, key: Mapping[str, Any]) -> "SearchState":
        """What a search with the same key has left; of another one everything is removed."""
        known = _read(folder / RECORDS)
        same = known is not None and known[0] == json.loads(json.dumps(key))
        if not same:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, key, known[1] if known is not None and same else {})

    def keep(self, record: Record) -> None:
        """Add a record, on disk before it returns if it lasts."""
        self.records[record.contender.name] = record
        records = [asdict(one) for one in self.records.values() if one.lasting]
        write_file(self.folder / RECORDS, json.dumps({"key": self.key, "records": records}, indent=1).encode())

    def drop_models(self) -> None:
        """Remove all but the records."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> tuple[Any, dict[str, Record]] | None:
    """Key and records; None where there are none, or they cannot be read: then they are measured again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        records = TypeAdapter(list[Record]).validate_python(found["records"])
        return found["key"], {one.contender.name: one for one in records}
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
