"""Events from the command line: a log in, what comes next out; and events as the input of an ordinary target."""

import json
import subprocess
import sys

import numpy as np
import pytest

SMALL = [
    *("--set", "model.options={width: 16, depth: 1, heads: 2, inner: 32}", "--set", "train.threads=1"),
    *("--set", "train.precision=fp32", "--set", "train.epochs=2", "--set", "track.tensorboard=false"),
]


def underlay(*words, check=True):
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "underlay", *words], capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def log(path, users=30):
    """Everybody goes round six goods; those who begin with an even one come back."""
    rng = np.random.default_rng(0)
    lines = ["user,good,at,back"]
    for user in range(users):
        start = int(rng.integers(6))
        lines += [f"u{user},g{(start + at) % 6},{100 * user + at},{'yes' if start % 2 else 'no'}" for at in range(6)]
    path.write_text("\n".join([lines[0], *rng.permutation(lines[1:])]), encoding="utf-8")
    return str(path)


def test_from_a_log_to_the_next_item(tmp_path):
    data, out = log(tmp_path / "log.csv"), str(tmp_path / "b")
    words = ["fit", data, "--events", "good", "--group", "user", "--time", "at", "--out", out, "--json", *SMALL]
    summary = json.loads(underlay(*words, "--set", "train.repeat=20", "--set", "train.learning_rate=0.02").stdout)
    assert summary["targets"]["next good"]["task"] == "next-item"
    assert set(summary["metrics"]) == {"ndcg@10", "hr@10", "mrr"}
    assert summary["metrics"]["mrr"]["value"] > 0.9
    assert set(summary["baselines"]) == {"Popularity", "Item-kNN (cosine)"}
    said = underlay("predict", out, "g1 g2").stdout
    assert said.split("|")[0] == "g3"
    answers = tmp_path / "answers.jsonl"
    underlay("predict", out, data, "--out", str(answers), "--scores")
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 30
    assert len(rows[0]["prediction"]) == len(rows[0]["item scores"])
    assert "intact" in underlay("verify", out).stdout
    assert underlay("fit", data, "--events", "good", "--out", out, "--resume", "--json").returncode == 0


def test_events_are_an_input_like_any_other(tmp_path):
    data, out = log(tmp_path / "log.csv", users=60), str(tmp_path / "b")
    words = ["fit", data, "--events", "good", "--group", "user", "--time", "at", "--target", "back", "--out", out]
    summary = json.loads(underlay(*words, "--json", *SMALL, "--set", "train.repeat=20").stdout)
    assert summary["targets"]["back"]["task"] == "binary"
    assert "bag of items + logistic regression" in summary["baselines"]
    assert underlay("predict", out, "g1|g2|g3").stdout.split()[0] in ("yes", "no")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--events", "goods"], "good"),
        (["--events", "good", "--text", "good"], "both name"),
        (["--set", "data.events={id: user}"], "data.events"),
        (["--events", "good", "--group", "user", "--time", "at", "--set", "model.trunk=transformer"], "future"),
    ],
)
def test_what_cannot_be_is_one_line_that_says_what_to_do(tmp_path, words, said):
    done = underlay("fit", log(tmp_path / "log.csv"), *words, "--out", str(tmp_path / "b"), check=False)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
