"""`underlay compress --target-…`: the first candidate that holds every target, and none that misses one."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies.conftest import tiny

from underlay.bundle import open_bundle, verify
from underlay.bundle.manifest import read_sealed
from underlay.cli.main import run
from underlay.core import GateNotMet, OutputExists, UsageError
from underlay.evaluate import Contender, Lost, Targets
from underlay.strategies import fine_tune
from underlay.strategies.bench import Bench
from underlay.strategies.chains import Chain, Offer, chains
from underlay.strategies.listening import Say
from underlay.strategies.search import first_that_holds, require_bounds, search
from underlay.strategies.search_state import Record, SearchState

TARGETS = Targets(points=1.0, ms=5.0, megabytes=10.0)
HOLDS = {"points": 0.5, "megabytes": 9.0, "ms": 4.0}
EVERYTHING = Offer(vocabulary=True, heads=True, layers=6, students=("layers:3", "bag"), bits=("", "dynamic", "static"))


def contender(name: str, *, points: float, megabytes: float, ms: float) -> Contender:
    lost = Lost("label", "accuracy", 0.9 - points / 100, 0.0, 1.0, points, points - 1, points + 1)
    return Contender(name, (lost,), int(megabytes * 1e6), ms, 2 * ms, 1000 / ms, 9.0)


class Scripted(Bench):
    """Measures nothing: every candidate has the figures it is given, the others hold no target."""

    def __init__(self, figures, kept=None):
        object.__setattr__(self, "figures", figures)
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "targets", TARGETS)
        object.__setattr__(self, "judge", SimpleNamespace(bundle=SimpleNamespace(path="original")))
        bodies = SimpleNamespace(keep_only=lambda later, tried: None, stands=lambda chain: False)
        object.__setattr__(self, "bodies", bodies)
        records = {one.contender.name: one for one in kept or ()}
        state = SimpleNamespace(records=records, keep=lambda one: records.update({one.contender.name: one}))
        object.__setattr__(self, "state", state)

    @property
    def original(self):
        return contender("as it is", points=0.0, megabytes=90.0, ms=9.0)

    def known(self, chain):
        return self.state.records.get(chain.name)

    def measure(self, chain):
        self.asked.append(chain.name)
        figures = self.figures.get(chain.name, {"points": 0.9, "megabytes": 11.0, "ms": 6.0})
        return Record(contender(chain.name, **figures))


@pytest.mark.parametrize(("what", "value"), [("points", 1.01), ("megabytes", 10.001), ("ms", 5.001)])
def test_a_candidate_that_misses_one_target_is_never_chosen(what, value):
    order = chains(EVERYTHING)
    near, good = order[0].name, order[8].name
    bench = Scripted({near: {**HOLDS, what: value}, good: HOLDS})
    chosen, tried = first_that_holds(order, bench, Say(None))
    assert chosen is not None
    assert chosen.name == good
    assert len(tried[0].contender.misses(TARGETS)) == 1


@pytest.mark.parametrize(("what", "value"), [("points", 1.0), ("megabytes", 10.0), ("ms", 5.0)])
def test_a_candidate_at_the_bound_holds_it(what, value):
    order = chains(EVERYTHING)
    chosen, tried = first_that_holds(order, Scripted({order[0].name: {**HOLDS, what: value}}), Say(None))
    assert (chosen, len(tried)) == (order[0], 1)


@pytest.mark.parametrize("what", ["points", "ms"])
def test_a_figure_that_is_no_number_holds_no_target(what):
    order = chains(EVERYTHING)
    assert first_that_holds(order, Scripted({order[0].name: {**HOLDS, what: float("nan")}}), Say(None))[0] is None


FIGURES = st.fixed_dictionaries(
    {
        "points": st.sampled_from([-1.0, 0.0, 1.0, 1.1, 30.0]),
        "megabytes": st.sampled_from([1.0, 10.0, 10.1, 80.0]),
        "ms": st.sampled_from([0.1, 5.0, 5.1, 9.0]),
    }
)


@given(st.dictionaries(st.sampled_from([chain.name for chain in chains(EVERYTHING)]), FIGURES))
def test_what_is_chosen_is_the_first_that_holds_all_of_what_was_measured(figures):
    order = chains(EVERYTHING)
    bench = Scripted(figures)
    chosen, tried = first_that_holds(order, bench, Say(None))
    holding = [one.contender.name for one in tried if not one.contender.misses(TARGETS)]
    assert holding == ([] if chosen is None else [chosen.name])
    assert len(tried) == (len(order) if chosen is None else order.index(chosen) + 1)
    for name in bench.asked:
        if name in figures and all(figures[name][key] <= HOLDS_MOST[key] for key in HOLDS_MOST):
            assert chosen is not None
            assert chosen.name == name


HOLDS_MOST = {"points": 1.0, "megabytes": 10.0, "ms": 5.0}


def test_what_was_measured_before_is_not_measured_again():
    order = chains(EVERYTHING)
    kept = [Record(contender(chain.name, points=0.0, megabytes=50.0, ms=8.0)) for chain in order[:4]]
    bench = Scripted({}, kept)
    first_that_holds(order, bench, Say(None))
    assert not {chain.name for chain in order[:4]} & set(bench.asked)
    assert bench.asked


def test_eight_bits_are_not_tried_where_the_model_itself_loses_too_much():
    order = chains(EVERYTHING)
    bench = Scripted({"vocabulary": {"points": 3.0, "megabytes": 50.0, "ms": 9.0}})
    _, tried = first_that_holds(order, bench, Say(None))
    why = {one.contender.name: one.contender.why for one in tried}
    assert why["vocabulary + int8"] == "vocabulary alone loses too much"
    assert "vocabulary + prune 0.25" in bench.asked  # training mends what the vocabulary lost


def test_fixed_ranges_are_tried_only_where_time_alone_is_missing():
    order = chains(EVERYTHING)
    slow = {**HOLDS, "ms": 7.0}
    bench = Scripted({"int8": slow})
    first_that_holds(order, bench, Say(None))
    assert "int8 static" in bench.asked
    assert "vocabulary + int8 static" not in bench.asked  # its eight bits are too large as well


def test_a_vocabulary_that_is_taken_whole_is_not_trimmed_again():
    order = chains(EVERYTHING)
    bench = Scripted({"vocabulary": {"points": 0.0, "megabytes": 91.0, "ms": 9.0}})
    first_that_holds(order, bench, Say(None))
    assert "student layers:3" in bench.asked
    assert "vocabulary + prune 0.25" in bench.asked
    assert not {"vocabulary + int8", "student layers:3 + vocabulary"} & set(bench.asked)


def test_candidates_come_by_what_they_cost_to_compute():
    order = chains(EVERYTHING)
    trains = [0 if not (chain.prune or chain.student) else 1 if chain.prune else 2 for chain in order]
    assert trains == sorted(trains)
    assert len(set(order)) == len(order)
    assert Chain() not in order
    for chain in order:
        assert all(body in order or body == Chain() for body in chain.needs)


def test_only_what_a_target_asks_for_is_tried():
    names = [chain.name for chain in chains(replace(EVERYTHING, vocabulary=False, bits=("", "dynamic")))]
    assert not [name for name in names if "vocabulary" in name or "static" in name]
    assert chains(Offer()) == ()


@pytest.mark.parametrize(
    "bound", [{"ms": 0.0}, {"ms": float("nan")}, {"megabytes": -1.0}, {"megabytes": float("inf")}, {}]
)
def test_a_target_that_cannot_be_held_is_refused(bound):
    with pytest.raises(UsageError, match="--target-m"):
        require_bounds(Targets(0.5, **bound))


def test_records_of_another_search_are_not_read(tmp_path):
    state = SearchState.at(tmp_path / "search", {"original": "a"})
    state.keep(Record(contender("int8", points=0.0, megabytes=5.0, ms=1.0), {"int8": {"operators": 3}}, "told"))
    again = SearchState.at(tmp_path / "search", {"original": "a"})
    assert again.records == state.records
    state.keep(Record(Contender("prune 0.5", why="too large for this target"), lasting=False))
    assert "prune 0.5" in state.records
    assert SearchState.at(tmp_path / "search", {"original": "a"}).records == again.records
    assert SearchState.at(tmp_path / "search", {"original": "b"}).records == {}
    state.keep(next(iter(state.records.values())))
    (tmp_path / "search" / "measured.json").write_text("{", encoding="utf-8")
    assert SearchState.at(tmp_path / "search", {"original": "a"}).records == {}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A transformer that one word of each text tells all, and its rows."""
    folder, rng = tmp_path_factory.mktemp("search"), np.random.default_rng(0)
    others = ["film", "story", "actor", "plot", "scene", "movie", "the", "a", "of", "and"]
    with (folder / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for row in range(240):
            words = [*rng.choice(others, 6), "fine" if row % 2 else "dull"]
            file.write(f"{' '.join(rng.permutation(words))},{'good' if row % 2 else 'bad'}\n")
    recipe = tiny("model.trunk=transformer", "model.options={width: 64, depth: 2, heads: 2, inner: 64}",
                  "train.learning_rate=0.005", "train.epochs=6", "data.suspects=false")  # fmt: skip
    tuned = fine_tune(str(folder / "rows.csv"), recipe=recipe, out=folder / "bundle")
    assert tuned.bundle.metrics["label"]["accuracy"]["value"] == 1.0
    return folder


def sought(made, out, targets, **more):
    return search(made / "bundle", out, targets=targets, source=str(made / "rows.csv"), seconds=0.02, **more)


def size(path) -> float:
    return sum(one["bytes"] for one in read_sealed(path)[0].files.values()) / 1e6


def test_a_search_ends_at_the_first_that_is_small_enough_and_says_so(made, tmp_path):
    pytest.importorskip("onnxruntime")
    lines = []
    found = sought(made, tmp_path / "out", Targets(0.0, megabytes=0.6 * size(made / "bundle")),
                   listener=lambda event: lines.append(event.text))  # fmt: skip
    assert found.search.chosen == "int8"
    assert any(line.startswith("1/") and line.endswith("holds all targets") for line in lines)
    assert size(tmp_path / "out") <= 0.6 * size(made / "bundle")
    assert found.lines[1].bytes == pytest.approx(1e6 * size(tmp_path / "out"))
    assert read_sealed(tmp_path / "out")[0].parent == read_sealed(made / "bundle")[0].seal
    assert verify(tmp_path / "out").golden.difference <= 1e-3
    report = json.loads((tmp_path / "out.run" / "report.json").read_text(encoding="utf-8"))
    assert report["search"]["chosen"] == "int8"
    assert "How it was chosen" in (tmp_path / "out.run" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out.run" / "search").exists()
    assert found.to_dict()["candidates"][0]["verdict"] == "holds all targets"
    with pytest.raises(OutputExists):
        sought(made, tmp_path / "out", TARGETS)


def test_a_search_that_was_stopped_goes_on_where_it_was(made, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    whole, asked = Bench.measure, []

    def stopped(bench, chain):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(chain.name)
        return whole(bench, chain)

    monkeypatch.setattr(Bench, "measure", stopped)
    targets = Targets(1.0, ms=1e-6, megabytes=0.9 * size(made / "bundle"))
    with pytest.raises(KeyboardInterrupt):
        sought(made, tmp_path / "out", targets)
    first = list(asked)
    assert first == ["int8", "int8 static"]
    asked.clear()
    asked.append("")  # one more this time
    lines = []
    with pytest.raises(KeyboardInterrupt):
        sought(made, tmp_path / "out", targets, listener=lambda event: lines.append(event.text))
    assert asked == ["", "vocabulary"]
    assert sum("(measured before)" in line for line in lines) == 2
    monkeypatch.setattr(Bench, "measure", lambda bench, chain: pytest.fail(f"{chain.name} is known"))
    asked.clear()
    # What is known holds the looser target, and its files are still there.
    found = sought(made, tmp_path / "out", replace(targets, ms=1e6))
    assert found.search.chosen == "int8"


def test_nothing_is_written_where_no_candidate_holds_and_the_closest_is_named(made, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(
        "underlay.strategies.search.chains", lambda offer: chains(Offer(vocabulary=True, bits=("", "dynamic")))
    )
    with pytest.raises(GateNotMet, match=r"came closest: accuracy .* too large\.") as missed:
        sought(made, tmp_path / "out", Targets(0.0, megabytes=0.001))
    assert missed.value.exit_code == 7
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "out.run" / "search").iterdir()] == ["measured.json"]


@pytest.mark.slow
def test_a_student_without_its_vocabulary_is_published_as_it_was_measured(made, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "underlay.strategies.search.chains", lambda offer: (Chain("layers:1"), Chain("layers:1", vocabulary=True))
    )
    whole = size(made / "bundle")
    found = sought(made, tmp_path / "out", Targets(50.0, megabytes=0.8 * whole))
    assert found.search.chosen.startswith("student layers:1")
    assert open_bundle(tmp_path / "out").config["trunk"]["depth"] == 1
    assert found.bundle.provenance["compressed"][0]["name"] == "distillation"
    assert size(tmp_path / "out") <= 0.8 * whole


def test_the_command_searches_or_takes_steps_never_both(made, underlay):
    for words in (["--int8", "--target-mb", "10"], ["--target-ms", "0"], ["--target-ms", "3", "--units", "heads"]):
        refused = underlay("compress", str(made / "bundle"), *words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith("underlay: usage: --")


def test_the_command_ends_with_7_where_nothing_holds(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("underlay.strategies.search.chains", lambda offer: chains(Offer(bits=("", "dynamic"))))
    words = ["--data", str(made / "rows.csv"), "--target-mb", "0.0001", "--max-drop", "0", "--out", str(tmp_path / "o")]
    assert run(["compress", str(made / "bundle"), *words]) == 7
    told = capsys.readouterr()
    assert told.out == ""
    assert "1/1 int8: " in told.err
    assert "underlay: targets: Nothing could be measured." in told.err
    assert not (tmp_path / "o").exists()


def test_the_command_shows_every_candidate_and_ends_with_the_path(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "underlay.strategies.search.chains", lambda offer: (Chain(bits="dynamic"), Chain(vocabulary=True))
    )
    words = [
        "--data",
        str(made / "rows.csv"),
        "--target-mb",
        f"{0.99 * size(made / 'bundle'):.4f}",
        "--max-drop",
        "100",
    ]
    assert run(["compress", str(made / "bundle"), *words, "--out", str(tmp_path / "o")]) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith(str(tmp_path / "o"))
    assert "chosen" in out
    assert "Take “int8”" in out
