"""Answers as rows of the log, and as one entry of the chain for each request."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_hex
from typing import Any

from underlay.serve.redaction import rule_set
from underlay.serve.served import Answer
from underlay.serve.state.canonical import canonical
from underlay.serve.state.chain import Entry
from underlay.serve.state.idempotency import Once
from underlay.serve.state.kept_input import KeptInput
from underlay.serve.state.review_rules import MANY, ReviewRules, put, waiting
from underlay.serve.state.tables import PREDICTIONS
from underlay.serve.state.transaction import Transaction

LONGEST = 1_024
"""Characters of one row's answer that the chain repeats; of a longer one, tags of a long text, it has the digest, and
the row of the log the whole."""


@dataclass(frozen=True)
class Answered:
    """A request that is about to be answered.

    Args:
        model: Name.
        bundle: Seal.
        key: Id of the key that asked.
        inputs: Kept of each row.
        outputs: Told of each row, by target.
        confidence: The lowest of each row's targets; None where all are numbers.
        rules: Which answers wait for a person.
    """

    model: str
    bundle: str
    key: str
    inputs: Sequence[KeptInput]
    outputs: Sequence[Mapping[str, Any]]
    confidence: Sequence[float | None]
    rules: ReviewRules = field(default_factory=ReviewRules)

    def write(self, transaction: Transaction, *, told: dict[str, Any], once: Once | None) -> dict[str, Any]:
        """Keep it, unless the same request was answered before.

        Args:
            transaction: Of the writer.
            told: What is about to be answered; the ids of the predictions are added.
            once: The request's name for itself.

        Returns:
            What to answer: it, or what an earlier request of this name was told.

        Raises:
            Refusal: `idempotency_reused`.
        """
        if once is not None and (stored := once.look_again(transaction)) is not None:
            return stored
        request = token_hex(16)
        ids = [f"{request}-{place}" for place in range(len(self.inputs))]
        redaction = rule_set() if any(kept.text is not None for kept in self.inputs) else ""
        rows = [self._row(place, identity, transaction.now, redaction) for place, identity in enumerate(ids)]
        reasons = self.rules.reasons(self.confidence)
        extra = {"review": {ids[place]: reason for place, reason in reasons.items()}} if reasons else {}
        seq = transaction.append(
            Entry(
                self.key,
                "predict",
                object=request,
                model=self.bundle,
                rules=redaction,
                outcome=[_brief(output, row["output"]) for output, row in zip(self.outputs, rows, strict=True)],
                inputs=tuple(kept.hmac for kept in self.inputs),
                extra=extra | {"rows": [digest_of_row(row) for row in rows]},
            )
        )
        for row in rows:
            transaction.add(PREDICTIONS, seq=seq, **row)
        for place, reason in reasons.items():
            put(transaction, ids[place], reason)
        told = {**told, "prediction_ids": ids}
        if reasons:
            told["review_ids"] = [ids[place] for place in reasons]
            if waiting(transaction) > MANY:
                told["review_delayed"] = True
        if once is not None:
            once.remember(transaction, seq=seq, answer=told)
        return told

    def _row(self, place: int, identity: str, now: int, redaction: str) -> dict[str, Any]:
        kept = self.inputs[place]
        return {
            "id": identity,
            "place": place,
            "time": now,
            "model": self.model,
            "bundle": self.bundle,
            "key": self.key,
            "input": kept.text,
            "input_hmac": kept.hmac,
            "output": canonical(self.outputs[place]),
            "confidence": self.confidence[place],
            "rules": redaction if kept.text is not None else "",
            "salt": kept.salt,
        }


def digest_of_row(row: Mapping[str, Any]) -> str:
    """What the chain says of a row of the log, so that a change is seen; the salt within keeps it from being guessed.

    Args:
        row: By column, without `seq`.
    """
    told = {name: value for name, value in row.items() if name != "seq"}
    return sha256(canonical(told).encode("utf-8", "surrogatepass")).hexdigest()


def lowest_confidence(answer: Answer) -> float | None:
    """The least sure of a row's answers; None where all are numbers."""
    found = [said.confidence for said in answer.values() if not math.isnan(said.confidence)]
    return min(found) if found else None


def _brief(output: Mapping[str, Any], text: str) -> Any:
    return dict(output) if len(text) <= LONGEST else {"sha256": sha256(text.encode()).hexdigest()}
