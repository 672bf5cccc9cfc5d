"""A real server, Prometheus, Alertmanager and receiver: an alarm arrives, its end is told, and the watchdog comes."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.serve.conftest import free_port, serving

from underlay.serve.alarms import read_watched, rules_of, write

PROGRAMS = ("prometheus", "prometheus-alertmanager")
pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS), reason=f"needs Debian's {' and '.join(PROGRAMS)}"
)


class Receiver:
    """A webhook that remembers what it was told."""

    def __init__(self) -> None:
        told: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.told = told
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def states(self, alarm: str) -> list[str]:
        """What was said of one alarm, in order."""
        return [
            one["status"] for message in self.told for one in message["alerts"] if one["labels"]["alertname"] == alarm
        ]


def hasten(folder: Path, manager: int, prometheus: int) -> None:
    """The files as they were written, but for ports and for how long everything is waited for."""
    rules = yaml.safe_load((folder / "underlay-rules.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "2s"
    (folder / "underlay-rules.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    config = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{manager}"]
    config["scrape_configs"][1]["static_configs"][0]["targets"] = [f"127.0.0.1:{prometheus}"]
    config["scrape_configs"][2]["static_configs"][0]["targets"] = [f"127.0.0.1:{manager}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    alerts = yaml.safe_load((folder / "alertmanager.yml").read_text(encoding="utf-8"))
    for route in (alerts["route"], *alerts["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(alerts), encoding="utf-8")


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.2)


@pytest.mark.slow
def test_an_alarm_reaches_its_receiver_and_so_does_its_end(text_bundle, tmp_path):
    receiver, folder, manager, prometheus = Receiver(), tmp_path / "alarms", free_port(), free_port()
    with serving(text_bundle, tmp_path) as server:
        rules = rules_of([read_watched("reviews", text_bundle)])
        where = server.admin_url.removeprefix("http://")
        write(rules, folder, webhook=receiver.url, server=where, seals={}, force=False)
        (folder / "underlay-admin.key").write_text(server.admin_key, encoding="utf-8")
        hasten(folder, manager, prometheus)
        commands = [
            ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={tmp_path}/am",
             f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="],
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
             f"--web.listen-address=127.0.0.1:{prometheus}"],
        ]  # fmt: skip
        logs = [(tmp_path / f"{command[0]}.log").open("w", encoding="utf-8") for command in commands]
        running = [
            subprocess.Popen(command, stderr=log, stdout=log) for command, log in zip(commands, logs, strict=True)
        ]
        try:
            said = "".join((tmp_path / f"{command[0]}.log").read_text(encoding="utf-8") for command in commands)
            wait_for(lambda: "firing" in receiver.states("UnderlayWatchdog"), f"no watchdog: {said}")
            assert receiver.states("UnderlayDown") == []
            server.process.send_signal(signal.SIGSTOP)  # it hangs, as a machine does that swaps
            wait_for(lambda: "firing" in receiver.states("UnderlayDown"), "the alarm did not come")
            (alarm,) = [
                one
                for message in receiver.told
                for one in message["alerts"]
                if (one["labels"]["alertname"], one["status"]) == ("UnderlayDown", "firing")
            ][:1]
            assert alarm["labels"]["instance"] == where
            assert alarm["labels"]["severity"] == "page"
            assert where in alarm["annotations"]["summary"]
            assert alarm["annotations"]["action"]
            server.process.send_signal(signal.SIGCONT)
            wait_for(lambda: "resolved" in receiver.states("UnderlayDown"), "its end was not told")
            assert receiver.states("UnderlayDown")[-1] == "resolved"
            assert server.key not in json.dumps(receiver.told)
            assert server.admin_key not in json.dumps(receiver.told)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(30)
            for log in logs:
                log.close()
            receiver.server.shutdown()
            receiver.server.server_close()
