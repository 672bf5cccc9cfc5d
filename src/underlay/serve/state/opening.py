"""A state opened for a server."""

import logging
import time
from pathlib import Path

from underlay.serve.redaction import ready
from underlay.serve.served import Served
from underlay.serve.state.erasing import LABELLED_DAYS, RETAIN_DAYS, Retention
from underlay.serve.state.failing import StoreFailed
from underlay.serve.state.journal import Journal
from underlay.serve.state.place import place_of
from underlay.serve.state.review_rules import ReviewRules
from underlay.serve.state.store import Store

LOG = logging.getLogger("underlay.serve")

START_SECONDS = 30.0
"""That a server waits for its database before it gives up: another machine may still be starting."""


def open_journal(
    state: str,
    audit: Path | None,
    *,
    served: Served,
    inputs: bool,
    days: float = RETAIN_DAYS,
    reviews: ReviewRules | None = None,
) -> Journal:
    """What a server keeps its answers in; a database that does not answer yet is waited for.

    Args:
        state: As `place_of` takes it.
        audit: As `place_of` takes it.
        served: The model.
        inputs: Whether inputs are kept, redacted; else their digests alone.
        days: That an answer without a label is kept.
        reviews: Which answers wait for a person; None: none.

    Raises:
        UsageError: `state`, `state_locked`, `state_newer`, `audit_key`, `days`.
        ResourceError: The folder cannot be written.
        StoreFailed: The database does not answer for half a minute, or its disk is full.
    """
    if inputs:
        ready()
    place, until = place_of(state, audit), time.monotonic() + START_SECONDS
    chores = Retention(days, max(days, LABELLED_DAYS))
    while True:
        try:
            journal = Journal(Store(place, serves=True, chores=chores), inputs=inputs, reviews=reviews)
            break
        except StoreFailed as failed:
            if failed.code != "database_away" or time.monotonic() > until:
                raise
            LOG.warning("state_awaited", extra={"fields": {"code": failed.code}})
            time.sleep(1)
    try:
        journal.started(served)
    except BaseException:
        journal.close()
        raise
    return journal
