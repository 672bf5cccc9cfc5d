"""Answers that wait for a person."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("blind", sa.Boolean, nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided", sa.BigInteger),
        sa.Column("override", sa.Boolean),
    )
    op.create_index("reviews_prediction", "reviews", ["prediction"], unique=True)
    op.create_index("reviews_waiting", "reviews", ["decided", "made"])
