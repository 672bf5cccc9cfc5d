"""Why a request is not answered: one code, one status and one sentence each.

A sentence never holds what was sent: no value, path or message of a library; where the fault lies says a JSON pointer.
"""

import random
from collections.abc import Mapping
from typing import Any, ClassVar

ROW = (
    422,
    "This row cannot be used; the code says why, `field` which row. Mend it or leave it out: none was answered.",
)
"""Of every code that a modality gives, which are its own."""

TOO_LARGE = "_too_large"
"""How a modality's code ends where there is simply too much of a value."""

ANSWERS: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "These bytes are no HTTP/1.1 request that can be read."),
    "several_keys": (400, "Send one Authorization header."),
    "json_syntax": (400, "The body is no JSON; `offset` is the character where it stops being it."),
    "not_utf8": (400, "The body is not UTF-8 without a byte order mark; encode it so."),
    "json_too_deep": (400, "The body is nested deeper than 32 levels; send it flatter."),
    "duplicate_key": (400, "An object of the body has the same key twice; readers differ in which one counts."),
    "no_key": (401, "Send a key that is valid here: `Authorization: Bearer KEY`. `underlay keys create` makes one."),
    "scope": (403, "The key is valid but lacks the scope that this needs."),
    "not_found": (404, "There is nothing at this address; /openapi.json lists what there is."),
    "own_answer": (403, "The key that asked may not decide; somebody else has to."),
    "no_item": (404, "Nothing waits for a review that nobody else has."),
    "unknown_item": (404, "No item has this id; its answer may have been erased or have lived its time."),
    "unknown_prediction": (404, "No answer is kept under this id; it may have been erased or have lived its time."),
    "method": (405, "This address does not take that method; the Allow header names those it takes."),
    "too_slow": (408, "The request did not arrive in time; send it faster or smaller."),
    "item_leased": (409, "Somebody else has this item; take another, or wait until the lease ends."),
    "item_decided": (409, "This item was decided."),
    "stale_version": (409, "The item was leased again since; lease it to see what it is now."),
    "lost_lease": (409, "The item is not leased to this key, or the lease has ended; lease it again."),
    "idempotency_reused": (409, "This Idempotency-Key was another request's; give each request its own."),
    "body_too_large": (413, "The body is larger than this server takes; send fewer or smaller rows."),
    "too_many_items": (413, "The request has more rows than this server takes at once; send several requests."),
    "url_too_long": (414, "The address is longer than this server takes."),
    "media_type": (415, "Send the body as `Content-Type: application/json`, in UTF-8."),
    "encoding": (415, "Send the body as it is: no Content-Encoding is taken."),
    "binary_tensors": (415, "Tensors come as JSON here; leave Inference-Header-Content-Length out."),
    "unknown_field": (422, "An object has a field that is not known; `expected` names those that are."),
    "missing_field": (422, "A field is missing; `expected` names those that are needed."),
    "wrong_type": (422, "A value has another type than `expected` says."),
    "no_rows": (422, "The request has no rows; send at least one."),
    "non_finite": (422, "A number is not finite; JSON has no NaN and no infinity, and the model could not use them."),
    "number_too_long": (422, "A number has more than 64 characters."),
    "invalid_text": (422, "A text holds half a surrogate pair, a NUL or another code point that is no character."),
    "text_too_long": (422, "A text has more characters than this server reads; shorten it."),
    "url_not_allowed": (422, "Send the file itself in base64: no address is fetched and no path is opened."),
    "not_base64": (422, "This column takes a file in base64, by itself or as `data:...;base64,...`."),
    "shape": (422, "The shape of a tensor does not fit its data, or the tensors do not have the same rows."),
    "datatype": (422, "A tensor has a datatype that is not known, or values that are not of it."),
    "deadline_header": (422, "X-Deadline-Ms is a whole number of milliseconds above 0."),
    "wrong_label": (422, "The label is none that the target can have; `expected` says what would be."),
    "idempotency_header": (422, "Send one Idempotency-Key of 1 to 128 visible ASCII characters."),
    "headers_too_large": (431, "The headers are larger or more than this server takes."),
    "rate_limited": (429, "This key asks more often than it may; wait as long as Retry-After says."),
    "quota_exceeded": (429, "This key has asked as often as it may today; a day begins at midnight UTC."),
    "too_many_failures": (429, "Too many wrong keys came from this address; wait as long as Retry-After says."),
    "bug": (500, "Something is broken on this side; report the request id."),
    "row_failed": (500, "The model broke on this row and on no other; leave it out and report the request id."),
    "row_not_finite": (422, "The model has no finite answer to this row; leave it out."),
    "overloaded": (503, "There is more work than this server can do in time; try again after Retry-After."),
    "draining": (503, "This server is stopping; ask another, or try again after Retry-After."),
    "stopped": (503, "An operator has stopped this model; it answers again when it is started, not before."),
    "model_hangs": (503, "The model has not come back from its work; others answer, and this one may again later."),
    "not_ready": (503, "This server is stopping and takes no new work."),
    "quota_unknown": (503, "How often this key asked today cannot be read or written, so nothing is answered."),
    "too_many_connections": (503, "Too many connections are open; close some or try again after Retry-After."),
    "redaction_timeout": (503, "A text took too long to be redacted, so nothing was kept and nothing is answered."),
    "redaction_failed": (503, "A text could not be redacted, so nothing was kept and nothing is answered."),
    "disk_full": (503, "The disk on which answers are kept is full, so nothing is answered; try again later."),
    "disk_failed": (503, "The disk on which answers are kept cannot be written, so nothing is answered."),
    "state_damaged": (503, "What answers are kept in is damaged, so nothing is answered."),
    "database_busy": (503, "What answers are kept in is held by another; try again after Retry-After."),
    "database_away": (503, "What answers are kept in does not answer; try again after Retry-After."),
    "no_replica": (503, "None of the machines that answer is there; try again after Retry-After."),
    "deadline_exceeded": (
        504,
        "There was no answer before the deadline; ask for fewer rows, or allow more time with X-Deadline-Ms.",
    ),
}
"""By code: status and sentence."""

RETRIED = (429, 503)
"""Statuses whose sender is told when to come back."""


class Refusal(Exception):
    """A request, or one row of it, that gets no answer.

    Args:
        code: One of `ANSWERS`, or a modality's own for a row that cannot be used.
        field: JSON pointer to what is wrong, "" for the whole.
        retry_after: Seconds until it is worth trying again.
        headers: Of the answer.
        details: What else a person needs, of our own making: `expected`, `offset`.

    >>> Refusal("no_rows").status
    422
    """

    answers: ClassVar[Mapping[str, tuple[int, str]]] = ANSWERS

    def __init__(
        self,
        code: str,
        *,
        field: str | None = None,
        retry_after: float = 1.0,
        headers: Mapping[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.message = self.answers.get(code, ROW)
        if code not in self.answers and code.endswith(TOO_LARGE):
            self.status = 413
        self.field = field
        self.details = details
        self.headers = dict(headers or {})
        if self.status in RETRIED:
            self.headers["retry-after"] = str(max(1, round(retry_after * random.uniform(0.8, 1.2))))
        if self.status == 401:
            self.headers["www-authenticate"] = "Bearer"

    def within(self, prefix: str) -> "Refusal":
        """The same, of a part that lies at `prefix`."""
        found = type(self)(self.code, field=prefix + (self.field or ""), headers=self.headers, **self.details)
        found.headers = self.headers
        return found

    def to_dict(self, request_id: str) -> dict[str, Any]:
        """The body of the answer.

        >>> Refusal("scope").to_dict("r1")["error"]["code"]
        'scope'
        """
        told = {"code": self.code, "message": self.message, "request_id": request_id} | self.details
        return {"error": told if self.field is None else told | {"field": self.field}}

    def to_line(self) -> str:
        """The same as one string, as the Open Inference Protocol has it."""
        return f"{self.code}: {self.message}" + (f" (at {self.field or 'the body'})" if self.field is not None else "")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""
