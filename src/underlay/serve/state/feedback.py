"""What people say is right: a label for an answer that was given, kept beside it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import select

from underlay.core import Schema, Target
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import check_object
from underlay.serve.state.canonical import canonical
from underlay.serve.state.chain import Entry
from underlay.serve.state.idempotency import Once
from underlay.serve.state.labels import check_label
from underlay.serve.state.predictions import digest_of_row
from underlay.serve.state.tables import BUNDLES, FEEDBACK, PREDICTIONS
from underlay.serve.state.transaction import Transaction

FIELDS = ("prediction_id", "target", "label")


@dataclass(frozen=True)
class Said:
    """What one request says.

    Args:
        prediction: Id of the answer.
        target: Of the bundle; None: its only one.
        label: What is right, JSON data.
        key: Id of the key that says it.
    """

    prediction: str
    target: str | None
    label: Any
    key: str

    def write(
        self,
        transaction: Transaction,
        *,
        once: Once | None,
        judged: Callable[[str, str, bool], None] = lambda model, target, right: None,
    ) -> dict[str, Any]:
        """Keep it, unless the same request was kept before.

        Args:
            transaction: Of the writer.
            once: The request's name for itself.
            judged: Told the model, the target, and whether the answer was right; not of numbers, which never quite are.

        Returns:
            What to answer.

        Raises:
            Refusal: `unknown_prediction`, `unknown_field`, `missing_field`, `wrong_label`, `idempotency_reused`.
        """
        if once is not None and (stored := once.look_again(transaction)) is not None:
            return stored
        row = transaction.first(select(PREDICTIONS).where(PREDICTIONS.c.id == self.prediction))
        if row is None:
            raise Refusal("unknown_prediction", field="/prediction_id")
        target = self._target(schema_of(transaction, row.bundle))
        said = json.loads(row.output)[target.name]["prediction"]
        label = check_label(self.label, target, said=said, field="/label")
        if target.labels:
            judged(row.model, target.name, label == said)
        seq, identity = keep_label(transaction, row.id, row.bundle, target=target.name, label=label, key=self.key)
        told = {"feedback_id": identity, "prediction_id": row.id, "target": target.name}
        if once is not None:
            once.remember(transaction, seq=seq, answer=told)
        return told

    def _target(self, schema: Schema) -> Target:
        """Which target is meant.

        Raises:
            Refusal: `unknown_field`, `missing_field`.
        """
        names = [target.name for target in schema.targets]
        if self.target is None and len(names) > 1:
            raise Refusal("missing_field", field="/target", expected=names)
        if self.target is not None and self.target not in names:
            raise Refusal("unknown_field", field="/target", expected=names)
        return schema.targets[0 if self.target is None else names.index(self.target)]


def keep_label(
    transaction: Transaction, prediction: str, bundle: str, *, target: str, label: Any, key: str, review: str = ""
) -> tuple[int, str]:
    """Keep a label and tell the chain; the number of the entry and the label's id.

    Args:
        transaction: Of the writer.
        prediction: Id of the answer that it is about.
        bundle: Seal of what gave the answer.
        target: Name.
        label: Checked.
        key: Id of the key that gave it.
        review: Id of the item that was decided; "" where nobody had asked.
    """
    identity = token_hex(16)
    kept = {
        "id": identity,
        "prediction": prediction,
        "target": target,
        "label": canonical(label),
        "key": key,
        "time": transaction.now,
    }
    extra = {"prediction": prediction, "target": target, "rows": [digest_of_row(kept)]}
    seq = transaction.append(
        Entry(
            key,
            "feedback",
            object=identity,
            model=bundle,
            outcome=brief(label),
            extra=extra | ({"review": review} if review else {}),
        )
    )
    transaction.add(FEEDBACK, seq=seq, **kept)
    return seq, identity


def brief(label: Any) -> Any:
    """What the chain repeats of a label: of many, one a unit, how many."""
    return {"labels": len(label)} if isinstance(label, list) else label


def schema_of(transaction: Transaction, seal: str) -> Schema:
    """The columns and targets of the bundle that gave an answer."""
    row = transaction.first(select(BUNDLES.c.schema).where(BUNDLES.c.seal == seal))
    if row is None:
        raise LookupError(f"no bundle {seal[:12]} was ever started")
    return Schema.from_dict(json.loads(row.schema))


def read_feedback(body: Any, key: str) -> Said:
    """What a body says.

    Args:
        body: Parsed.
        key: Id of the key that sent it.

    Raises:
        Refusal: `wrong_type`, `unknown_field`, `missing_field`.
    """
    check_object(body, FIELDS, ("prediction_id", "label"))
    for name in ("prediction_id", "target"):
        if not isinstance(body.get(name, ""), str):
            raise Refusal("wrong_type", field=f"/{name}", expected="string")
    return Said(body["prediction_id"], body.get("target"), body["label"], key)
