"""What goes wrong around a server: rows that break the model, peers that leave, too much work, and its own end."""

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.serve.conftest import Server, serving, wait_for

from underlay.bundle import open_bundle

SLEEP, POISON, NOTHING = ("sleep " * 4, "poison " * 4, "nothing " * 4)


def ask(server: Server, *texts: str, seconds: float = 60, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/predict", json={"rows": [{"text": text} for text in texts]}, headers=server.headers(**headers),
        timeout=seconds,
    )  # fmt: skip


def label(answer: httpx.Response) -> str:
    return str(answer.json()["predictions"][0]["label"]["prediction"])


@pytest.mark.row("F15")
def test_answers_to_many_at_once_are_never_mixed_up(server, text_bundle):
    rng = random.Random(1)
    words = ["quiet", "loud", "film", "story", "good", "bad", "long", "the", "a", "end"]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 20))) + f" {number}" for number in range(300)]
    expected = open_bundle(text_bundle).answer({"text": texts})
    scores = {text: row.tolist() for text, row in zip(texts, expected.probabilities["label"], strict=True)}
    mixed: list[str] = []

    def work(seed: int) -> int:
        mine, refused = random.Random(seed), 0
        with httpx.Client(base_url=server.url, headers=server.headers(), timeout=60) as client:
            for number in range(40):
                chosen = mine.sample(texts, mine.randint(1, 6))
                body = {"rows": [{"text": text} for text in chosen], "scores": True, "id": f"{seed}-{number}"}
                found = client.post("/predict", json=body, headers={"x-request-id": f"r{seed}-{number}"})
                if found.status_code == 503:
                    refused += 1
                    time.sleep(0.05)
                    continue
                assert found.status_code == 200, found.text
                told = found.json()
                if told["id"] != body["id"] or found.headers["x-request-id"] != f"r{seed}-{number}":
                    mixed.append(told["id"])
                for text, said in zip(chosen, told["predictions"], strict=True):
                    if list(said["label"]["scores"].values()) != pytest.approx(scores[text], abs=1e-5):
                        mixed.append(text)
        return refused

    with ThreadPoolExecutor(8) as pool:
        refused = sum(pool.map(work, range(8)))
    assert mixed == []
    assert refused < 8 * 40 / 2
    assert server.figures()["underlay_batch_rows_sum"] > 0


@pytest.mark.row("F14")
def test_a_row_that_breaks_the_model_fails_alone(serve_odd):
    with serve_odd("--limit", "batch_wait_seconds=1", "--limit", "queue_seconds=30") as server:
        texts = [f"{('quiet', 'loud')[number % 2]} {number}" for number in range(30)] + [POISON, NOTHING]
        with httpx.Client(headers=server.headers(), timeout=60) as client, ThreadPoolExecutor(len(texts)) as pool:
            asked = [pool.submit(client.post, f"{server.url}/predict", json={"row": {"text": text}}) for text in texts]
            found = [one.result() for one in asked]
        assert server.figures()["underlay_batch_rows_count"] < 16, "the rows were not batched together"
        assert [one.status_code for one in found[:30]] == [200] * 30
        assert [label(one) for one in found[:30]] == [text.split()[0] for text in texts[:30]]
        assert (found[30].status_code, found[30].json()["error"]["code"]) == (500, "row_failed")
        assert (found[31].status_code, found[31].json()["error"]["code"]) == (422, "row_not_finite")
        assert ask(server, "loud 1").status_code == 200
        told = [line for line in server.logged() if line["event"] == "row_failed"]
        assert [line["error"] for line in told] == ["ValueError"]
        assert "this row breaks" not in server.log.read_text(encoding="utf-8")


@pytest.mark.row("T16")
def test_a_peer_that_leaves_while_it_waits_is_dropped_from_the_queue(serve_odd):
    with serve_odd("--limit", "queue_seconds=30", ODD_SECONDS="1.5") as server:
        with ThreadPoolExecutor(1) as pool:
            busy = pool.submit(ask, server, SLEEP)
            time.sleep(0.5)
            body = json.dumps({"row": {"text": "quiet 1"}}).encode()
            head = f"POST /predict HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            with socket.create_connection(server.address) as peer:
                peer.sendall(head.encode() + body)
                wait_for(lambda: server.figures()["underlay_queue_rows"] == 1)
            wait_for(lambda: server.figures()["underlay_client_gone_total"] == 1)
            assert busy.result().status_code == 200
        figures = server.figures()
        assert figures["underlay_batch_rows_sum"] == 1, "the model answered a peer that had left"
        assert not [name for name in figures if name.startswith("underlay_errors_total") and figures[name]]
        assert ask(server, "loud 2").status_code == 200


def test_a_client_that_is_killed_in_the_middle_harms_nobody(serve_odd):
    code = "import httpx, sys; url, text, key = sys.argv[1:]\n"
    code += "httpx.post(url, json={'row': {'text': text}}, headers={'authorization': key})"
    with serve_odd("--limit", "queue_seconds=30", ODD_SECONDS="1") as server:
        command = ["-c", code, f"{server.url}/predict", SLEEP, f"Bearer {server.key}"]
        victim = subprocess.Popen([sys.executable, *command])
        wait_for(lambda: server.figures()["underlay_offered_total"] >= 1)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert label(ask(server, "loud 1")) == "loud"
        wait_for(lambda: server.figures()["underlay_client_gone_total"] == 1)


def test_more_work_than_can_be_done_in_time_is_refused_quickly(serve_odd):
    with serve_odd("--limit", "queue_rows=4", "--limit", "request_seconds=20", ODD_SECONDS="4") as server:
        with ThreadPoolExecutor(12) as pool:
            first = pool.submit(ask, server, SLEEP)
            time.sleep(0.5)
            rest = [pool.submit(timed, server, f"loud {number}") for number in range(11)]
            found = [one.result() for one in rest]
        assert first.result().status_code == 200
        refused = [(answer, seconds) for answer, seconds in found if answer.status_code == 503]
        assert len(refused) == 7
        for answer, seconds in refused:
            assert answer.json()["error"]["code"] == "overloaded"
            assert int(answer.headers["retry-after"]) >= 1
            assert seconds < 3  # while the model sleeps
        assert [label(answer) for answer, _ in found if answer.status_code == 200] == ["loud"] * 4
        assert server.figures()['underlay_errors_total{reason="overloaded"}'] == 7


def timed(server: Server, text: str) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    return ask(server, text), time.monotonic() - started


@pytest.mark.row("F16")
def test_a_deadline_is_kept_whatever_the_model_does(serve_odd):
    with serve_odd("--limit", "queue_seconds=30", ODD_SECONDS="3") as server:
        started = time.monotonic()
        found = ask(server, SLEEP, **{"x-deadline-ms": "300"})
        assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert time.monotonic() - started < 1.5
        queued = ask(server, "loud 1", **{"x-deadline-ms": "300"})
        assert queued.status_code == 504
        assert label(ask(server, "loud 2")) == "loud"
        assert [line for line in server.logged() if line["level"] == "error"] == []


@pytest.mark.row("F20")
def test_sigterm_finishes_what_was_accepted_and_then_ends(serve_odd):
    with serve_odd("--limit", "queue_seconds=30", "--limit", "leave_seconds=3", ODD_SECONDS="3") as server:
        with ThreadPoolExecutor(4) as pool:
            begun = pool.submit(ask, server, SLEEP)
            time.sleep(0.5)
            queued = pool.submit(ask, server, "loud 1")
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 503)
            assert httpx.get(f"{server.url}/v2/health/live").status_code == 200
            late = ask(server, "quiet 1")  # whoever has not looked yet is still answered
            assert late.headers["connection"] == "close"
            assert [label(one) for one in (queued.result(), late)] == ["loud", "quiet"]
            assert begun.result().status_code == 200
        assert server.process.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/v2/health/live")
        assert [line["event"] for line in server.logged()] == ["started", "draining", "stopped"]


@pytest.mark.row("F20")
def test_under_load_no_request_that_a_balancer_sent_in_time_is_lost(text_bundle, tmp_path):
    with serving(text_bundle, tmp_path, "--limit", "leave_seconds=1", "--limit", "queue_seconds=5") as server:
        ready, counted, lost = threading.Event(), [0] * 4, []
        ready.set()

        def work(number: int) -> None:
            with httpx.Client(base_url=server.url, headers=server.headers(), timeout=30) as client:
                while ready.is_set():
                    try:
                        found = client.post("/predict", json={"row": {"text": f"a film {number}"}})
                    except httpx.HTTPError as error:
                        lost.append(repr(error))
                        return
                    counted[number] += 1
                    if found.status_code != 200:
                        lost.append(found.text)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 503)
        ready.clear()
        for thread in threads:
            thread.join()
        assert server.process.wait(30) == 0
        assert lost == []
        assert min(counted) > 0


def test_what_is_not_done_when_the_drain_ends_is_refused(serve_odd):
    options = ["queue_seconds=30", "leave_seconds=0.1", "drain_seconds=1", "request_seconds=20"]
    with serve_odd(*(word for option in options for word in ("--limit", option)), ODD_SECONDS="4") as server:
        with ThreadPoolExecutor(2) as pool:
            pool.submit(ask, server, SLEEP)
            time.sleep(0.5)
            queued = pool.submit(ask, server, "loud 1")
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            found = queued.result()
            assert (found.status_code, found.json()["error"]["code"]) == (503, "draining")
        assert server.process.wait(30) == 0


@pytest.mark.row("F19")
def test_a_port_that_is_taken_is_named(text_bundle, tmp_path, underlay):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = underlay("serve", str(text_bundle), "--open", "--port", str(port), "--admin-port", "0")
    assert done.returncode == 5
    assert done.stderr.startswith("underlay: port_in_use: ")
    assert str(port) in done.stderr


def test_one_port_for_both_listeners_is_refused(text_bundle, underlay):
    done = underlay("serve", str(text_bundle), "--open", "--port", "8123", "--admin-port", "8123")
    assert (done.returncode, done.stdout) == (2, "")
    assert "both listeners would take port 8123" in done.stderr


@pytest.mark.row("B17")
def test_a_bundle_that_answers_otherwise_than_it_did_is_never_served(text_bundle, tmp_path, underlay):
    import shutil

    from tests.bundle.tiny import reseal

    folder = shutil.copytree(text_bundle, tmp_path / "changed")
    golden = folder / "golden.jsonl"
    lines = [json.loads(line) for line in golden.read_text(encoding="utf-8").splitlines()]
    lines[1]["scores"]["label"] = [score + 0.1 for score in lines[1]["scores"]["label"]]
    golden.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    reseal(folder)
    done = underlay("serve", str(folder), "--open", "--port", "0", "--admin-port", "0")
    assert done.returncode == 4
    assert done.stderr.startswith("underlay: golden: ")


@pytest.mark.row("D15")
@pytest.mark.parametrize(
    "options",
    [["--limit", "items=0"], ["--limit", "items=-1"], ["--limit", "request_seconds=inf"], ["--limit", "nothing=1"],
     ["--limit", "items=many"], ["--name", "A/b"], ["--host", "999.1.1.1"]],
)  # fmt: skip
def test_settings_that_make_no_sense_end_the_command(text_bundle, underlay, options):
    done = underlay("serve", str(text_bundle), "--open", "--port", "0", "--admin-port", "0", *options)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
