"""What happens next: how rows are cut, what is learned, and what a bundle answers."""

import json

import numpy as np
import pyarrow as pa
import pytest

from underlay.bundle import open_bundle
from underlay.core import DataError, RecipeError, UsageError
from underlay.data import Table
from underlay.strategies import fine_tune, prepare
from underlay.strategies.evaluation import evaluate
from underlay.strategies.listening import Say
from underlay.strategies.next_item import COLD, UNASKED, ask_last, leave_last_out, reader_of
from underlay.strategies.recipe import Recipe

QUICK = (
    "model.trunk=sasrec",
    "model.options={width: 32, depth: 1, inner: 64}",
    "model.dropout=0",
    "train.learning_rate=0.01",
    "train.epochs=3",
    "train.repeat=30",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)


def table(rows, **columns):
    return Table(pa.table({"item": rows, **columns}), name="rows.csv")


def cut(rows, **options):
    return leave_last_out(table(rows), "item", "events", options={}, **options)


def cells(found, part):
    return found.table.values("item", getattr(found.splits, part))


def test_the_last_event_is_asked_in_the_test_and_the_one_before_in_validation():
    found = cut([list("abcde")])
    assert cells(found, "train") == [list("abc")]
    assert cells(found, "validation") == [list("abc")]
    assert cells(found, "test") == [list("abcd")]
    assert found.target.labels == ("a", "b", "c")  # d and e were never taught
    assert [row.tolist() for row in found.values] == [[1, 2, UNASKED], [UNASKED] * 3, [UNASKED] * 4]
    assert found.asked.tolist() == [UNASKED, COLD, COLD]
    assert found.cold == 1.0


def test_held_out_rows_ask_for_what_follows_their_last_event_alone():
    found = cut([list("abcab"), list("ab"), list("abcba")])
    rows = found.splits.test
    assert [found.values[row][-1] for row in rows] == [1, 0]
    assert all((found.values[row][:-1] == UNASKED).all() for row in rows)
    assert found.short == 1
    assert cells(found, "train")[1] == ["a", "b"]  # too short to be asked, it still teaches


def test_long_rows_teach_in_pieces_that_miss_no_step():
    names = [f"i{at:02d}" for at in range(25)]
    found = cut([names], piece=10)
    pieces = cells(found, "train")
    assert [len(piece) for piece in pieces] == [10, 10, 3]
    taught = set()
    for row, piece in zip(found.splits.train, pieces, strict=True):
        for name, label in zip(piece, found.values[row], strict=True):
            if label >= 0:
                taught.add((name, found.target.labels[label]))
    assert taught == {(names[at], names[at + 1]) for at in range(22)}
    assert found.sources.tolist() == [0] * 5


def test_without_test_rows_the_last_event_is_for_validation():
    found = cut([list("abcab")], test=False)
    assert not len(found.splits.test)
    assert cells(found, "validation") == [list("abca")]


def test_a_row_that_cannot_be_read_is_set_aside_and_rows_that_mostly_cannot_are_refused():
    found = cut(["a b a b", "b a b a", "a,b"])
    assert list(found.problems) == [2]
    with pytest.raises(DataError, match=r"rows.csv, row 1"):
        cut(["a,b", "c,d", "a b a b"])
    with pytest.raises(DataError, match="no row has 4 events"):
        cut([["a", "b"], ["b", "a", "b"]])


def test_other_columns_go_with_their_rows_and_what_is_known_of_an_event_too():
    rows = [[{"item": name, "time": float(at)} for at, name in enumerate("abcab")], ["a", "b", "a", "b"]]
    text = [json.dumps(row) for row in rows]
    found = leave_last_out(table(text, city=["north", "south"]), "item", "events", options={})
    assert found.table.values("city") == ["north"] * 3 + ["south"] * 3
    assert json.loads(found.table.values("item")[0])[2] == {"item": "c", "time": 2.0}


def test_rare_items_are_no_labels_and_are_asked_as_unseen():
    found = leave_last_out(
        table([list("abacab"), list("abab"), list("abba")]), "item", "events", options={"min_count": 2}
    )
    assert found.target.labels == ("a", "b")
    assert [UNASKED in row[:-1].tolist() for row in found.values[found.splits.train]] == [True, False, False]


def test_asking_for_the_last_event_of_other_rows():
    found = cut([list("abcab"), list("abcba")])
    modality = reader_of("events", {}).fit(cells(found, "train"), np.random.default_rng(0))
    asking, truth = ask_last(table([["a", "b"], ["c"], ["a", "z"], None]), "item", modality, found.target)
    assert truth.tolist() == [1, UNASKED, COLD, UNASKED]
    assert json.loads(asking.values("item")[0]) == ["a"]


def test_only_things_that_happen_can_be_followed():
    with pytest.raises(RecipeError, match="text is not read as things"):
        reader_of("text", {})


@pytest.fixture(scope="module")
def cycle(tmp_path_factory):
    """Forty customers who go round ten goods, each from a place of her own: what comes next is certain."""
    rng = np.random.default_rng(0)
    rows = [[f"g{(start + at) % 10}" for at in range(int(rng.integers(5, 9)))] for start in rng.integers(0, 10, 40)]
    folder = tmp_path_factory.mktemp("cycle")
    said = []
    recipe = Recipe.load(overrides=["data.columns={item: events}", *QUICK])
    tuned = fine_tune({"item": rows}, recipe=recipe, out=folder / "bundle", listener=said.append)
    return tuned, said


def test_what_follows_for_certain_is_learned_and_stands_first(cycle):
    tuned, _ = cycle
    figures = tuned.bundle.metrics["next item"]
    assert figures["hr@10"]["value"] == 1.0
    assert figures["mrr"]["value"] > 0.95
    best = [row[0] for row in tuned.bundle.predict([["g3", "g4"], ["g8", "g9"], "g1|g2|g3"])]
    assert best == ["g5", "g0", "g4"]


def test_the_run_says_what_it_learns_and_keeps_what_decided_it(cycle):
    tuned, said = cycle
    notes = [event.text for event in said if event.kind == "note"]
    assert any("no target was named: --target COLUMN" in note for note in notes)
    assert tuned.recipe.data.task == "next-item"
    assert tuned.recipe.data.split.by == "leave-last-out"
    assert (tuned.recipe.model.head, tuned.recipe.model.trunk) == ("tied", "sasrec")
    assert [one.name for one in tuned.report.targets[0].opponents] == ["Popularity", "Item-kNN (cosine)"]


def test_a_bundle_read_again_answers_the_same_and_never_what_happened(cycle):
    tuned, _ = cycle
    again = open_bundle(tuned.bundle.path)  # replays the golden rows
    history = [["g3", "g4", "g5"]]
    assert again.predict(history) == tuned.bundle.predict(history)
    answer = again.predict(history)[0]
    assert len(answer) == 7
    assert not set(answer) & set(history[0])
    probabilities = again.predict_proba(history)[0]
    assert probabilities.sum() == pytest.approx(1.0)
    assert [probabilities[again.labels.index(name)] for name in history[0]] == [0.0] * 3


def test_a_history_with_nothing_in_it_is_a_problem_and_the_others_are_answered(cycle):
    tuned, _ = cycle
    answers = tuned.bundle.answer({"item": [["g1"], [], "a,b"]})
    assert [answers.problems[row].code for row in (1, 2)] == ["no_history", "separator"]
    assert answers.predictions["next item"][0][0] == "g2"
    assert answers.predictions["next item"][1] is None


def test_other_rows_are_measured_by_their_last_event(cycle):
    tuned, _ = cycle
    found = evaluate(tuned.bundle, {"item": [["g1", "g2", "g3"], ["g4", "g5"], ["g7"]]}).to_dict()
    assert found["n"] == 2
    assert found["unlabelled"] == 1
    assert found["metrics"]["hr@10"]["value"] == 1.0


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (["model.trunk=transformer"], UsageError, "reads the future.*answer"),
        (["model.trunk=bert4rec", "model.read={events: {cloze: false}}"], UsageError, "reads the future"),
        (["model.trunk=bert4rec", "model.read={events: {cloze: 1}}"], RecipeError, "events.cloze is 1"),
        (["data.target=label"], RecipeError, "drop the target 'label'"),
        (["data.columns={item: events, other: events}"], RecipeError, "one column of events"),
        (["data.columns={item: text}"], RecipeError, "one column of events"),
        (["data.split.validation=0"], RecipeError, "validation"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learned(tmp_path, overrides, error, said):
    recipe = Recipe.load(overrides=["data.columns={item: events}", "data.task=next-item", *overrides])
    rows = {"item": [list("abcab")] * 8, "other": [list("ab")] * 8, "label": ["x", "y"] * 4}
    with pytest.raises(error, match=said):
        fine_tune(rows, recipe=recipe, out=tmp_path / "bundle")


def test_a_tied_head_needs_something_to_be_tied_to(tmp_path):
    recipe = Recipe.load(overrides=["data.columns={item: events}", "data.target=label", "model.head=tied"])
    rows = {"item": [["a", "b"], ["c"]] * 12, "label": ["x", "y"] * 12}
    with pytest.raises(RecipeError, match="no next item"):
        fine_tune(rows, recipe=recipe, out=tmp_path / "bundle")


BOTH_WAYS = (*QUICK[1:], "model.trunk=bert4rec", "train.repeat=60", "data.columns={item: events}")


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """The cycle again, read both ways, stopped after some steps and resumed beside an uninterrupted run."""
    rng = np.random.default_rng(0)
    rows = [[f"g{(start + at) % 10}" for at in range(int(rng.integers(5, 9)))] for start in rng.integers(0, 10, 40)]
    folder, recipe = tmp_path_factory.mktemp("ring"), Recipe.load(overrides=BOTH_WAYS)

    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 20:
            raise KeyboardInterrupt

    whole = fine_tune({"item": rows}, recipe=recipe, out=folder / "whole")
    with pytest.raises(KeyboardInterrupt):
        fine_tune({"item": rows}, recipe=recipe, out=folder / "cut", listener=stop)
    return whole, fine_tune({"item": rows}, recipe=recipe, out=folder / "cut", resume=True)


def test_a_trunk_that_reads_both_ways_learns_from_hidden_events(ring):
    whole, _ = ring
    assert whole.bundle.metrics["next item"]["mrr"]["value"] > 0.8
    best = [row[0] for row in open_bundle(whole.bundle.path).predict([["g3", "g4"], "g8", ["g1", "g2", "g3"]])]
    assert best == ["g5", "g9", "g4"]


def test_and_its_resumed_run_hides_the_same(ring):
    whole, cut = (one.bundle.path / "model.safetensors" for one in ring)
    assert whole.read_bytes() == cut.read_bytes()


def test_where_the_items_are_many_some_of_the_rows_choose_the_epoch_and_the_run_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "VALIDATED_SCORES", 60)
    monkeypatch.setattr(prepare, "FEWEST_VALIDATED", 5)
    said = []

    rows = [[f"i{(start + step) % 6}" for step in range(6)] for start in range(40)]
    table = pa.table({"items": rows})
    recipe = Recipe().change({"data": {"columns": {"items": "events"}, "task": "next-item"}})
    data = prepare.read(table, recipe, cache=tmp_path, say=Say(said.append))
    assert len(data.splits.validation) == 10  # sixty scores, six items
    assert len(data.splits.test) == 40
    assert len(data.truth("validation", "next items")) == 10
    again = prepare.read(table, recipe, cache=tmp_path, say=Say(None))
    assert again.splits.validation.tolist() == data.splits.validation.tolist()
    assert any("10 of the rows asked in validation" in str(words) for words in said)
