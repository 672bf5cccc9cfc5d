"""The tables of a state brought to those this release knows; a state of a later release is refused."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from underlay.core import UsageError
from underlay.serve.state.tables import VERSIONS

FOLDER = Path(__file__).with_name("migrations")


def migrate(connection: Connection, *, make: bool) -> None:
    """Take every step that is left, within the transaction of the connection: all of them or none.

    Args:
        connection: In a transaction that nobody else writes beside.
        make: Whether the first step is taken too, where there is nothing yet.

    Raises:
        UsageError: `state_newer`, `no_state`.
    """
    config = _config()
    reached = _reached(connection, config)
    if reached is None and not make:
        raise _nothing()
    if reached != _head(config):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_version(connection: Connection) -> None:
    """Refuse tables that are not those of this release.

    Raises:
        UsageError: `state_newer`, `state_older`, `no_state`.
    """
    config = _config()
    reached = _reached(connection, config)
    if reached is None:
        raise _nothing()
    if reached != _head(config):
        raise UsageError(
            f"the state is at {reached}, this release reads {_head(config)}",
            "`underlay serve --state` brings it there",
            code="state_older",
        )


def _nothing() -> UsageError:
    return UsageError("there is no state in this database", "name what `underlay serve --state` used", code="no_state")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _reached(connection: Connection, config: Config) -> str | None:
    """The step that a state has reached; None where there is none.

    Raises:
        UsageError: `state_newer`.
    """
    reached = MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision()
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if reached is not None and reached not in known:
        raise UsageError(
            f"the state is at {reached!r:.40}, which this release does not know",
            "use the release that wrote it, or a later one",
            code="state_newer",
        )
    return reached
