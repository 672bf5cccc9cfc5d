"""Answers to keep, without a server."""

from collections.abc import Sequence
from typing import Any

from underlay.core import Column, Schema, Target
from underlay.serve.state import Store, Transaction
from underlay.serve.state.idempotency import Once
from underlay.serve.state.kept_input import keep_input
from underlay.serve.state.predictions import Answered
from underlay.serve.state.tables import BUNDLES

MOOD = Target("mood", "binary", ("calm", "loud"))
TAGS = Target("tags", "multilabel", ("a", "b", "c"))
PRICE = Target("price", "regression")
SCHEMA = Schema((Column("text", "text"), Column("size", "table")), (MOOD, TAGS, PRICE))


def declare(store: Store, seal: str = "f" * 64, schema: Schema = SCHEMA, model: str = "shop") -> None:
    """What a server tells when it starts."""
    import json

    def work(transaction: Transaction) -> None:
        if transaction.first(BUNDLES.select().where(BUNDLES.c.seal == seal)) is None:
            transaction.add(BUNDLES, seal=seal, model=model, schema=json.dumps(schema.to_dict()), files="[]")

    store.write(work)


def answered(rows: Sequence[dict[str, Any]], *, inputs: bool = True, key: str = "k1", model: str = "shop") -> Answered:
    """A request of these rows, all answered alike."""
    output = {
        "mood": {"prediction": "calm", "confidence": 0.75},
        "tags": {"prediction": ["a"]},
        "price": {"prediction": 2.5},
    }
    return Answered(
        model, "f" * 64, key, [keep_input(row, inputs=inputs) for row in rows], [output] * len(rows), [0.75] * len(rows)
    )


def keep(store: Store, *texts: str, once: Once | None = None, **more: Any) -> list[str]:
    """Ids of answers to rows of these texts, durable."""
    one = answered([{"text": text, "size": 1.5} for text in texts], **more)
    told = store.write(lambda transaction: one.write(transaction, told={"model": "shop"}, once=once))
    return list(told["prediction_ids"])
