"""Who is told of alarms, and where Prometheus finds the figures: configurations that work as they are written."""

import re
from typing import Any
from urllib.parse import urlsplit

from underlay.core import UsageError

KEY_FILE = "underlay-admin.key"
"""Beside the configuration: the key of scope `admin` with which Prometheus asks."""

_SERVER = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}", re.ASCII)


def alertmanager(webhook: str, *, watchdog: str) -> dict[str, Any]:
    """The configuration of Alertmanager: alarms of one kind and job are told together.

    Args:
        webhook: Address that is told.
        watchdog: Address that is told every minute that alarms get through.

    Raises:
        UsageError: `webhook`.
    """
    for address in (webhook, watchdog):
        _check_address(address)
    return {
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "job"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "matchers": ['severity="watchdog"'],
                    "receiver": "watchdog",
                    "group_wait": "0s",
                    "group_interval": "1m",
                    "repeat_interval": "1m",
                },
                {"matchers": ['severity="page"'], "receiver": "people", "group_wait": "10s", "repeat_interval": "1h"},
            ],
        },
        # A server that is gone says nothing of its queue; its other alarms would only hide that one.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="UnderlayDown"'],
                "target_matchers": ['severity="ticket"'],
                "equal": ["job", "instance"],
            }
        ],
        "receivers": [
            {"name": "people", "webhook_configs": [{"url": webhook, "send_resolved": True}]},
            {"name": "watchdog", "webhook_configs": [{"url": watchdog, "send_resolved": False}]},
        ],
    }


def prometheus(server: str, *, job: str, rules: str) -> dict[str, Any]:
    """The configuration of Prometheus; paths are beside it.

    Args:
        server: `HOST:PORT` of the figures.
        job: What the servers are called.
        rules: Name of the rules file.

    Raises:
        UsageError: `server`.
    """
    if not _SERVER.fullmatch(server):
        raise UsageError(f"{server!r:.80} is no HOST:PORT", "write --server 127.0.0.1:8001", code="server")
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
        "scrape_configs": [
            {
                "job_name": job,
                "authorization": {"credentials_file": KEY_FILE},
                "static_configs": [{"targets": [server]}],
            },
            {"job_name": "prometheus", "static_configs": [{"targets": ["127.0.0.1:9090"]}]},
            {"job_name": "alertmanager", "static_configs": [{"targets": ["127.0.0.1:9093"]}]},
        ],
    }


def _check_address(text: str) -> None:
    try:
        found = urlsplit(text)
        valid = found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
    except ValueError:
        valid = False
    if not valid or any(letter <= " " for letter in text):
        raise UsageError(f"{text!r:.80} is no address of a webhook", "write https://HOST/PATH", code="webhook")
