"""Which bundles a state knows: their columns, targets and labels outlive them."""

import json

from sqlalchemy import select

from underlay.serve.served import Served
from underlay.serve.state.tables import BUNDLES
from underlay.serve.state.transaction import Transaction


def declare(transaction: Transaction, served: Served) -> None:
    """See that the state knows a bundle's columns, targets and labels."""
    seal = served.seal
    if transaction.first(select(BUNDLES.c.seal).where(BUNDLES.c.seal == seal)) is None:
        schema = json.dumps(served.bundle.schema.to_dict(), ensure_ascii=False)
        files = json.dumps(sorted(served.bundle.file_columns), ensure_ascii=False)
        transaction.add(BUNDLES, seal=seal, model=served.name, schema=schema, files=files)
