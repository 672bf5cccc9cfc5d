"""Asks the second listener of a running server, as `underlay admin` does."""

import http.client
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from underlay.core import BundleRefused, ResourceError, ServiceAway, UsageError

KEY = "UNDERLAY_ADMIN_KEY"
"""Variable that holds the key: what stands on a command line is seen by everybody on the machine."""

SECONDS = 900.0
"""That an answer may take: a large bundle is read, proved and measured before it is told."""


@dataclass(frozen=True)
class AdminClient:
    """The second listener of one server.

    Args:
        url: As `underlay serve` says it.
        key: Of scope `admin`.
    """

    url: str
    key: str

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What is answered.

        Args:
            method: Of HTTP.
            path: As `address` makes it.
            body: JSON data; None: there is none.

        Raises:
            UsageError: It is refused, by its code; `url`: that is no address.
            BundleRefused: The bundle is.
            ResourceError: The server lacks what it needs for it.
            ServiceAway: Nobody answers.
        """
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, told = answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceAway(
                f"no server answers at {self.url}: {error}",
                "start `underlay serve`, or name its second address with --url",
                code="no_server",
            ) from error
        finally:
            connection.close()
        if status >= 400:
            raise _refused(status, told)
        return dict(told)

    def _connection(self) -> http.client.HTTPConnection:
        try:
            found = urlsplit(self.url)
            if found.scheme != "http" or not found.hostname:
                raise ValueError(self.url)
            return http.client.HTTPConnection(found.hostname, found.port or 80, timeout=SECONDS)
        except ValueError as error:
            raise UsageError(f"{self.url!r:.80} is no address", "pass http://127.0.0.1:8001", code="url") from error


def address(*steps: str) -> str:
    """The path of these steps.

    >>> address("models", "a b")
    '/models/a%20b'
    """
    return "".join(f"/{quote(step, safe='')}" for step in steps)


def read_key(file: Path | None) -> str:
    """The key, from a file or from the variable that holds one.

    Args:
        file: Its first line is the key; None: the variable.

    Raises:
        UsageError: `no_key`: there is none.
        ResourceError: The file cannot be read.
    """
    try:
        text = os.environ.get(KEY, "") if file is None else file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"{file} cannot be read: {error}", "name the file that holds the key") from error
    if not text or not text.isascii() or len(text.split()) != 1:
        raise UsageError(
            f"{f'${KEY}' if file is None else file} holds no key",
            "make one with `underlay keys create --name me --scope admin`",
            code="no_key",
        )
    return text


def _refused(status: int, told: Any) -> Exception:
    error = told.get("error", {}) if isinstance(told, dict) else {}
    code, message = str(error.get("code", "bug")), str(error.get("message", status))
    more = [f"{name}: {error[name]}" for name in ("reason", "expected") if name in error]
    what = f"{message.rstrip('.')} ({'; '.join(more)})" if more else message.rstrip(".")
    if code == "bundle_refused":
        return BundleRefused(what, "`underlay verify BUNDLE` says more, and so does the server's log", code=code)
    if status >= 500:
        return ResourceError(what, code=code)
    return UsageError(what, code=code)
