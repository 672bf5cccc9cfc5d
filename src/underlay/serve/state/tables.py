"""The tables of a state, alike in SQLite and PostgreSQL; times are microseconds since 1970."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text

METADATA = MetaData()

VERSIONS = "underlay_version"
"""The table that says which step of `migrations` a state has reached."""

BUNDLES = Table(
    "bundles",
    METADATA,
    Column("seal", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("files", Text, nullable=False),
)
"""What was served, and which columns take files: a label can be checked when the bundle is gone."""

PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("input", Text),
    Column("input_hmac", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("confidence", Float),
    Column("rules", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Index("predictions_seq", "seq", "place", unique=True),
    Index("predictions_time", "time"),
)
"""One row that was answered. `seq` is the entry of the chain that tells of its request, `place` its row there."""

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("prediction", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("feedback_prediction", "prediction"),
    Index("feedback_seq", "seq", unique=True),
    Index("feedback_time", "time"),
)
"""What a person says is right, as JSON; of several for one target the last counts."""

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Index("idempotency_time", "time"),
)
"""Requests that named themselves: digests of the name and of the body, and what was answered."""

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""The chain: `hash` is SHA-256 of the hash before and of `entry`, which is canonical JSON."""

REVIEWS = Table(
    "reviews",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("prediction", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("holder", Text),
    Column("lease_until", BigInteger),
    Column("decided_by", Text),
    Column("decided", BigInteger),
    Column("override", Boolean),
    Index("reviews_prediction", "prediction", unique=True),
    Index("reviews_waiting", "decided", "made"),
)
"""Answers that wait for a person, or waited: `version` counts leases, `override` says whether the person differed."""
