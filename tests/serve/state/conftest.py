"""States in both databases; PostgreSQL is a server of this session's own, from the system's package."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.serve.conftest import free_port

from underlay.serve.state import Place, place_of


@dataclass
class PostgreSQL:
    """A server of PostgreSQL.

    Args:
        bin: Folder of its programs.
        data: Of its files.
        port: On 127.0.0.1.
        user: That it runs as; None: this one.
    """

    bin: Path
    data: Path
    port: int
    user: str | None

    def run(self, *command: str) -> None:
        # Its output goes nowhere: the server inherits it, and whoever read it would wait for the server's end.
        subprocess.run(
            [str(self.bin / command[0]), *command[1:]], check=True, user=self.user, cwd="/", timeout=60,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data.parent}"
        log = str(self.data.parent / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", log, "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "stop", "-w", "-t", "30", "-m", mode, "-D", str(self.data))

    def admin(self, statement: str, database: str = "postgres") -> list[Any]:
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.execute(text(statement))
                return found.all() if found.returns_rows else []
        finally:
            engine.dispose()

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql+psycopg://underlay@127.0.0.1:{port or self.port}/{database}"

    def database(self) -> str:
        """A new one; its name."""
        name = f"state_{token_hex(4)}"
        self.admin(f"CREATE DATABASE {name}")
        return name


def programs() -> Path | None:
    found = [Path(path).parent for path in (shutil.which("initdb"),) if path]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1] if found else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running server; skipped where none is installed."""
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    user = None
    if os.getuid() == 0:  # it refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root has no user `postgres` to run PostgreSQL as")
        user = "postgres"
    base = Path(tempfile.mkdtemp(prefix="underlay-postgresql-"))
    if user is not None:
        shutil.chown(base, user)
    server = PostgreSQL(folder, base / "data", free_port(), user)
    try:
        server.run("initdb", "-D", str(server.data), "-U", "underlay", "-A", "trust", "--no-sync", "-E", "UTF8")
        server.start()
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(base, ignore_errors=True)


@dataclass
class State:
    """A state of one test.

    Args:
        given: What `--state` takes.
        place: The same.
        options: That `serve`, `verify` and others need to find it.
    """

    given: str
    place: Place
    options: tuple[str, ...]

    def change(self, *statements: str) -> None:
        """Do to the database what nobody should."""
        engine = create_engine(self.place.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def rows(self, statement: str) -> list[Any]:
        engine = create_engine(self.place.url)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)).all())
        finally:
            engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    """An empty one, in either database."""
    return request.getfixturevalue(f"{request.param}_state")


@pytest.fixture
def sqlite_state(tmp_path: Path) -> State:
    given = str(tmp_path / "state")
    return State(given, place_of(given), ())


@pytest.fixture
def postgresql_state(postgresql: PostgreSQL, tmp_path: Path) -> State:
    given, audit = postgresql.url(postgresql.database()), tmp_path / "audit"
    return State(given, place_of(given, audit), ("--audit", str(audit)))
