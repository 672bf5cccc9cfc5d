"""What Alembic runs: on the connection that it is given, within its transaction."""

from alembic import context

from underlay.serve.state.tables import METADATA, VERSIONS


def run() -> None:
    """Take the steps that were asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        version_table=VERSIONS,
        transactional_ddl=True,  # SQLite too: the transaction is begun by us, not by its driver
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # else it was imported like any other module, and there is nothing to run
    run()
