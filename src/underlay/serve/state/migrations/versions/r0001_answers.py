"""What was answered, what people say of it, and the chain."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("seal", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("input", sa.Text),
        sa.Column("input_hmac", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
    )
    op.create_index("predictions_seq", "predictions", ["seq", "place"], unique=True)
    op.create_index("predictions_time", "predictions", ["time"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("prediction", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_index("feedback_prediction", "feedback", ["prediction"])
    op.create_index("feedback_seq", "feedback", ["seq"], unique=True)
    op.create_index("feedback_time", "feedback", ["time"])
    op.create_table(
        "idempotency",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("idempotency_time", "idempotency", ["time"])
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
