"""P14 and P15: what a server answers in a second, what batching brings, what HTTP costs; LitServe in the same run.

P14: the highest rate at which 99 of 100 answers come within 50 ms, open loop in a process of its own (`serving_client`
says how), over HTTP, with a key, with every answer kept durably before it is given (`--state`), eight bits. The rate is
searched by halving between none and what closed-loop clients got, then held for at least 10,000 answers; if it does not
hold, five in a hundred less is tried. What the generator itself was late is in the record, and counts against the
server. The peer serves the same graph with the same weights and tokenizer, a key, and a line of log that it does not
sync, under the best of a few settings that it was tried with first; both in turn, pair by pair.

P15: answers a second of 16 closed-loop clients, batching on over batching off (`--limit batch_rows=1`), in turn; and
how much longer one client waits for an answer over HTTP than a bare session takes for the same text, both at their
median: the session alone, without reading the text, which is the stricter comparison, and the whole of
`Bundle.answer` beside it.

Client and server share the machine's cores; how much of one the client took stands in every record. Texts are real
ones, cut to exactly 32 or 128 tokens.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.command import fit, recipe_digest, recipe_file
from benchmarks.datasets import WORK, movie_snippets
from benchmarks.record import ROOT, Results
from underlay.bundle import Bundle, open_bundle
from underlay.bundle.graph import outside_weights
from underlay.bundle.layout import EXPORT, GRAPH, WEIGHTS
from underlay.bundle.weights import read_weights
from underlay.compress import export
from underlay.serve.keys import create
from underlay.strategies.known_rows import known_rows

RESULTS = Results("serving")
BENCHMARKS = ("P14-32", "P14-128", "P15-batching", "P15-overhead")
RECIPE = "speed_short"
OVERRIDES = ("model.max_length=128",)
TOKENS = (32, 128)
SLO_MS = 50.0
TEXTS = 400
HALVINGS = 6
ANSWERS = 10_000
"""Of which the 99th percentile is known to about 20 ranks."""

CLIENTS = 16
PEER = ROOT / "build" / "peers" / "litserve" / "bin" / "python"


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        url: Of it.
        path: That is asked.
        headers: With its key.
        wrap: Text to body.
    """

    url: str
    path: str
    headers: Mapping[str, str]
    wrap: Any

    def load(self, texts: Sequence[str], **how: Any) -> dict[str, Any]:
        """What the generator saw: `rate` and `seed`, or `clients`; `seconds`.

        Args:
            texts: In turn.
            how: Of the job.
        """
        job = {"url": self.url, "path": self.path, "headers": dict(self.headers), **how}
        job |= {"bodies": [self.wrap(text) for text in texts]}
        command = [sys.executable, "-m", "benchmarks.serving_client"]
        done = subprocess.run(command, cwd=ROOT, input=json.dumps(job), check=True, stdout=subprocess.PIPE, text=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def underlay(bundle: Path, folder: Path, *limits: str) -> Iterator[Running]:
    """Our server, with a key and a state."""
    scratch = Path(tempfile.mkdtemp(dir=folder))
    key, _ = create(scratch / "keys.json", name="load")
    words = [sys.executable, "-m", "underlay", "serve", f"load={bundle}", "--port", "0", "--admin-port", "0", "--json"]
    words += ["--keys", str(scratch / "keys.json"), "--state", str(scratch / "state")]
    for limit in ("key_rate=1e6", "key_daily=1000000000", "leave_seconds=0.1", *limits):
        words += ["--limit", limit]
    with (scratch / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while not said.rstrip().endswith("\n}"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"underlay serve ended: {(scratch / 'log').read_text(encoding='utf-8')[-2000:]}")
            said += line
        url = json.loads(said)["url"]
        yield Running(url, "/predict", {"Authorization": f"Bearer {key}"}, lambda text: {"row": {"text": text}})
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass(frozen=True)
class Setting:
    """How the peer batches: rows and seconds; and how it computes: processes and threads of each."""

    rows: int
    wait: float
    workers: int
    threads: int


def settings() -> list[Setting]:
    """What the peer is tried with; with one row it batches nothing, as its clients come one by one."""
    cores = len(os.sched_getaffinity(0))
    found = [Setting(1, 0.0, cores, 1), Setting(16, 0.002, cores, 1), Setting(16, 0.002, 1, cores)]
    return [*found, Setting(32, 0.01, 1, cores)]


@contextlib.contextmanager
def litserve(python: Path, model: Mapping[str, Any], folder: Path, setting: Setting) -> Iterator[Running]:
    """The peer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key, url = secrets.token_urlsafe(32), f"http://127.0.0.1:{port}"
    words = [str(python), str(Path(__file__).with_name("peer_litserve.py"))]
    words += [json.dumps({**model, "threads": setting.threads, "log": str(folder / "peer.answers")})]
    words += ["--port", str(port), "--rows", str(setting.rows), "--wait", str(setting.wait)]
    words += ["--workers", str(setting.workers)]
    with (folder / "peer.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env={**os.environ, "LIT_SERVER_API_KEY": key}, start_new_session=True
        )
    running = Running(url, "/predict", {"X-API-Key": key}, lambda text: {"text": text})
    try:
        until = time.monotonic() + 120
        while not _answers(running):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the peer does not answer: {(folder / 'peer.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(server: Running) -> bool:
    try:
        body = server.wrap("a quiet film")
        found = httpx.post(server.url + server.path, json=body, headers=dict(server.headers), timeout=10)
    except httpx.HTTPError:
        return False
    return found.status_code == 200


def highest_rate(server: Running, texts: Sequence[str], *, seconds: float, answers: int) -> dict[str, Any]:
    """The highest rate that holds, with what was seen at it; `rate` 0 if none does.

    Args:
        server: That is asked.
        texts: In turn.
        seconds: Of each trial.
        answers: Of the last one, at least.
    """
    most = server.load(texts, clients=CLIENTS, seconds=seconds, warm_seconds=min(2.0, seconds))["per_second"]
    low, high = 0.0, most
    for seed in range(HALVINGS if most else 0):
        middle = (low + high) / 2
        if holds(server.load(texts, rate=middle, seconds=seconds, seed=seed)):
            low = middle
        else:
            high = middle
    rate = low
    while rate > most / 50 > 0:
        found = server.load(texts, rate=rate, seconds=max(seconds, answers / rate), seed=100)
        if holds(found):
            return {"rate": rate, "closed_loop": most, **found}
        rate *= 0.95
    return {"rate": 0.0, "closed_loop": most}


def holds(seen: Mapping[str, Any]) -> bool:
    """Whether every request was answered, 99 of 100 in time; what the generator was late counts against the server."""
    answered = seen["answers"] > 0 and not seen["refused"] and not seen["failed"]
    return bool(answered and seen["ms_p99"] < SLO_MS)


def texts_of(bundle: Bundle, tokens: int, count: int = TEXTS) -> list[str]:
    """Real texts of exactly so many tokens: sentences in a row, cut word by word."""
    modality = bundle.modalities["text"]
    words = " ".join(movie_snippets().test.text).split()
    found: list[str] = []
    place = 0
    while len(found) < count:
        if place + tokens > len(words):
            raise RuntimeError(f"only {len(found)} texts of {tokens} tokens could be cut")
        taken = words[place : place + tokens]
        while taken and modality.length(modality.encode(" ".join(taken))) > tokens:
            taken.pop()
        if taken and modality.length(modality.encode(" ".join(taken))) == tokens:
            found.append(" ".join(taken))
        place += max(1, len(taken))
    return found


def bare(bundle: Bundle, texts: Sequence[str], seconds: float) -> dict[str, float]:
    """Median milliseconds of one text: the session alone, and `Bundle.answer`."""
    ready = [
        {name: modality.collate([modality.encode(text)]) for name, modality in bundle.modalities.items()}
        for text in texts
    ]
    return {
        "session_ms": _median_ms([lambda one=one: bundle.backend.run(one) for one in ready], seconds),
        "answer_ms": _median_ms([lambda text=text: bundle.answer({"text": [text]}) for text in texts], seconds),
    }


def _median_ms(works: Sequence[Any], seconds: float) -> float:
    found, until, number = [], time.perf_counter() + seconds, 0
    while time.perf_counter() < until or number < 20:
        began = time.perf_counter()
        works[number % len(works)]()
        found.append(time.perf_counter() - began)
        number += 1
    return 1e3 * float(np.median(found[10:]))


@dataclass
class Bench:
    """What all measurements share.

    Args:
        path: Of the exported bundle.
        folder: For files that do not stay.
        seconds: Of each trial.
        answers: Of a rate that is claimed.
        peer: Interpreter with LitServe; None: it is left out.
        tokens: Of the texts.
    """

    path: Path
    folder: Path
    seconds: float
    answers: int
    peer: Path | None
    tokens: Sequence[int] = TOKENS
    best: dict[int, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bundle = open_bundle(self.path)
        self.texts = {tokens: texts_of(self.bundle, tokens) for tokens in {32, *self.tokens}}

    def rates(self, tokens: int) -> dict[str, Any]:
        """P14 of one length: ours, the peer's, ours over the peer's."""
        with underlay(self.path, self.folder) as server:
            found = {"underlay": highest_rate(server, self.texts[tokens], seconds=self.seconds, answers=self.answers)}
        if self.peer is not None:
            setting = self._best(self.peer, tokens)
            with litserve(self.peer, self._model(), self.folder, setting) as server:
                rate = highest_rate(server, self.texts[tokens], seconds=self.seconds, answers=self.answers)
            found["litserve"] = rate | {"setting": vars(setting)}
        return _values(found)

    def batching(self) -> dict[str, Any]:
        """P15: 16 clients, with batches and without."""
        found = {}
        for name, limits in (("on", ()), ("off", ("batch_rows=1",))):
            with underlay(self.path, self.folder, "queue_seconds=10", *limits) as server:
                found[name] = server.load(
                    self.texts[32], clients=CLIENTS, seconds=self.seconds, warm_seconds=min(2.0, self.seconds)
                )
        return {"gain": found["on"]["per_second"] / found["off"]["per_second"], **found}

    def overhead(self) -> dict[str, Any]:
        """P15: one client."""
        with underlay(self.path, self.folder) as server:
            warm = min(2.0, self.seconds)
            http = server.load(self.texts[32], clients=1, seconds=self.seconds, warm_seconds=warm)
        alone = bare(self.bundle, self.texts[32], self.seconds)
        over = {
            "milliseconds": http["ms_p50"] - alone["session_ms"],
            "over_answer": http["ms_p50"] - alone["answer_ms"],
        }
        return {**over, **alone, "http": http}

    def _best(self, python: Path, tokens: int) -> Setting:
        """The setting under which the peer answers most."""
        if tokens not in self.best:
            rates = {}
            for setting in settings():
                with litserve(python, self._model(), self.folder, setting) as server:
                    warm = min(2.0, self.seconds)
                    seen = server.load(self.texts[tokens], clients=CLIENTS, seconds=self.seconds, warm_seconds=warm)
                rates[setting] = seen["per_second"]
            self.best[tokens] = max(rates, key=lambda setting: rates[setting])
        return self.best[tokens]

    def _model(self) -> dict[str, Any]:
        """What the peer needs of the bundle, in files that it can read."""
        graph, weights = self.folder / "peer.onnx", self.folder / "peer.npz"
        (tokenizer,) = self.path.glob("modality/**/tokenizer.json")
        if not graph.exists():
            data, kept = (self.path / GRAPH).read_bytes(), read_weights((self.path / WEIGHTS).read_bytes())
            names = outside_weights(data, kept)
            np.savez(weights, **{name: np.ascontiguousarray(kept[name]) for name in names})
            graph.write_bytes(data)
        (target,) = self.bundle.schema.targets
        labels, length = list(target.labels), self.bundle.modalities["text"].describe()["limit"]
        files = {"graph": str(graph), "weights": str(weights), "tokenizer": str(tokenizer)}
        return {**files, "labels": labels, "length": length}


def _values(found: Mapping[str, Any]) -> dict[str, Any]:
    ours = found["underlay"]["rate"]
    values = {"rate": ours, **found}
    if "litserve" in found:
        theirs = found["litserve"]["rate"]
        values |= {"peer_rate": theirs, "over_peer": ours / theirs if theirs else None}
    return values


def int8_bundle(folder: Path) -> Path:
    """The default text trunk after one epoch, in eight bits."""
    train, test = movie_snippets().write(folder)
    made = folder / "bundle-int8"
    if not (made / EXPORT).exists():
        bundle = fit(train, test, recipe=recipe_file(RECIPE), out=folder / "bundle", seed=0, overrides=OVERRIDES).bundle
        rows = known_rows(open_bundle(bundle), str(train))
        export(bundle, made, int8=True, static=True, columns=rows.seen, force=True, seconds=2.0)
    return made


def main(words: list[str] | None = None) -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, help="an exported bundle of one text column instead (development)")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each trial")
    parser.add_argument("--answers", type=int, default=ANSWERS, help="at the rate that is claimed")
    parser.add_argument("--tokens", type=int, nargs="+", choices=TOKENS, default=list(TOKENS))
    parser.add_argument("--peer", type=Path, default=PEER, help="interpreter with LitServe; see peer_litserve.py")
    parser.add_argument("--development", action="store_true", help="keep apart, not for the page")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers end with their measurement
    changed = options.bundle or options.answers != ANSWERS or options.development
    mark = {"development": True} if changed else {}
    folder = WORK / "serving"
    folder.mkdir(parents=True, exist_ok=True)
    peer = options.peer if options.peer.exists() else None
    if peer is None:
        print(f"no peer: there is no {options.peer}; peer_litserve.py says how to make it", flush=True)
    path = (options.bundle or int8_bundle(folder)).absolute()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        bench = Bench(path, Path(scratch), options.seconds, options.answers, peer, options.tokens)
        parts = {f"P14-{tokens}": lambda tokens=tokens: bench.rates(tokens) for tokens in options.tokens}
        parts |= {"P15-batching": bench.batching, "P15-overhead": bench.overhead}
        for pair in range(options.pairs):
            for benchmark, measure in parts.items():
                cell = {"pair": pair, "recipe": recipe_digest(recipe_file(RECIPE), OVERRIDES), **mark}
                entry = RESULTS.find(benchmark, cell) or RESULTS.append(benchmark, cell, measure())
                told = {name: value for name, value in entry["values"].items() if isinstance(value, float)}
                print(benchmark, pair, told, flush=True)


if __name__ == "__main__":
    main()
