"""Files as people have them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.data import Table, open_table

Opener = Callable[[str, "bytes | str"], Table]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Write bytes (or text as UTF-8) to a file of that name and open it."""

    def open_written(name: str, content: bytes | str) -> Table:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return open_table(path)

    return open_written
