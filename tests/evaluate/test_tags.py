"""Figures over spans against seqeval, and what they are in the corners."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import DataError, Target, find_spans, ragged
from underlay.evaluate import examine, measure, tag_baselines
from underlay.evaluate.tags import counted_kinds, span_figures, tag_statistics

seqeval = pytest.importorskip("seqeval.metrics")

KINDS = ("loc", "per")
BIO = ("B-loc", "B-per", "I-loc", "I-per", "O")
BIOES = (*tuple(f"{letter}-{kind}" for letter in "BEIS" for kind in KINDS), "O")
TARGET = Target("tags", "tagging", BIO)


def rows(labels):
    """Pairs of tag lists of equal length, truth and answer."""
    sentence = st.integers(1, 9).flatmap(
        lambda size: st.tuples(*[st.lists(st.sampled_from(labels), min_size=size, max_size=size)] * 2)
    )
    return st.lists(sentence, min_size=1, max_size=6)


def coded(target, sentences):
    return ragged(np.array([target.labels.index(tag) for tag in tags]) for tags in sentences)


def sure(target, codes, confidence=0.9):
    """Scores whose likeliest labels are these."""
    others = (1 - confidence) / (len(target.labels) - 1)
    return ragged(np.where(np.eye(len(target.labels))[row] > 0, confidence, others) for row in codes)


@settings(deadline=None, max_examples=120)
@given(st.sampled_from([BIO, BIOES]).flatmap(lambda labels: st.tuples(st.just(labels), rows(labels))))
def test_spans_are_counted_as_seqeval_counts_them(drawn):
    labels, pairs = drawn
    target = Target("tags", "tagging", labels)
    truth, said = [list(one) for one, _ in pairs], [list(other) for _, other in pairs]
    figures = measure(target, sure(target, coded(target, said)), coded(target, truth), resamples=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing to divide by
        for name in ("precision", "recall", "f1"):
            assert figures[name].value == pytest.approx(getattr(seqeval, f"{name}_score")(truth, said)), name
        assert figures["token_accuracy"].value == pytest.approx(seqeval.accuracy_score(truth, said))
        kinds = {kind for row in (*truth, *said) for _, _, kind in find_spans(row)}
        expected = seqeval.f1_score(truth, said, average="macro") if kinds else 0.0
    assert figures["macro_f1"].value == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*BIO, *BIOES]), max_size=12))
def test_spans_are_in_order_and_do_not_overlap(tags):
    found = find_spans(tags)
    assert all(0 <= span.start < span.stop <= len(tags) for span in found)
    assert all(before.stop <= after.start for before, after in itertools.pairwise(found))
    inside = {at for span in found for at in range(span.start, span.stop)}
    assert inside == {at for at, tag in enumerate(tags) if tag != "O"}


def test_iob1_and_iob2_of_the_same_spans_read_alike():
    assert find_spans(["I-loc", "I-loc", "O", "I-loc", "B-loc"]) == find_spans(
        ["B-loc", "I-loc", "O", "B-loc", "B-loc"]
    )


def test_units_without_a_label_are_in_no_figure():
    truth = ragged([np.array([0, 2, -100, 4]), np.array([-100, -100])])
    scores = sure(TARGET, [np.array([0, 2, 1, 4]), np.array([0, 0])])
    figures = measure(TARGET, scores, truth, resamples=20)
    assert figures["f1"].value == figures["token_accuracy"].value == figures["exact_match"].value == 1.0


def test_units_that_were_cut_count_as_outside():
    scores = sure(TARGET, [np.array([0, 2, 1])])
    scores[0][2] = np.nan
    figures = measure(TARGET, scores, ragged([np.array([0, 2, 1])]), resamples=20)
    assert figures["precision"].value == 1.0
    assert figures["recall"].value == 0.5
    found = examine(TARGET, scores, ragged([np.array([0, 2, 1])]), values={"words": [["a", "b", "c"]]}, resamples=20)
    assert any("beyond model.max_length" in note for note in found.notes)


def test_rows_of_other_lengths_are_refused():
    with pytest.raises(DataError, match="give one line of scores a unit"):
        measure(TARGET, sure(TARGET, [np.array([0, 2])]), ragged([np.array([0, 2, 1])]))


def test_tags_that_mark_no_spans_are_judged_by_their_accuracy():
    target = Target("pos", "tagging", ("NOUN", "VERB"))
    scores = sure(target, [np.array([0, 1, 1])])
    found = examine(target, scores, ragged([np.array([0, 1, 0])]), values={"words": [["a", "b", "c"]]}, resamples=20)
    assert found.key == "token_accuracy"
    assert found.metrics["token_accuracy"].value == pytest.approx(2 / 3)
    assert "f1" not in found.metrics
    assert [one.label for one in found.figures] == ["NOUN", "VERB"]
    assert (found.mistakes[0].truth, found.mistakes[0].prediction) == ("NOUN VERB NOUN", "NOUN VERB VERB")


def test_intervals_are_drawn_over_rows():
    rng = np.random.default_rng(0)
    truth = [rng.integers(0, 5, 8) for _ in range(60)]
    said = [np.where(rng.random(8) < 0.8, row, rng.integers(0, 5, 8)) for row in truth]
    figures = measure(TARGET, sure(TARGET, said), ragged(truth))
    for interval in figures.values():
        assert interval.low <= interval.value <= interval.high
    assert 0 < figures["f1"].high - figures["f1"].low < 0.4
    whole = tag_statistics(TARGET, sure(TARGET, said), ragged(truth))
    assert all(one.columns.shape[0] == 60 for one in whole.values())


def test_a_dictionary_beats_the_most_frequent_tag_and_knows_no_new_word():
    train = [["in", "Cork"], ["in", "Bath"], ["the", "bath"]]
    truth = ragged([np.array([4, 0]), np.array([4, 0]), np.array([4, 4])])
    asked = [["in", "Cork"], ["in", "Graz"]]
    plain, dictionary = tag_baselines(TARGET, train, truth, asked, ragged([np.array([4, 0]), np.array([4, 0])]))
    assert plain.metrics["f1"].value == 0.0
    assert dictionary.metrics["recall"].value == 0.5
    np.testing.assert_allclose(dictionary.scores[1].sum(-1), 1.0)


def test_an_examination_names_spans_by_their_words_and_compares_with_baselines():
    words = [["Ada", "lives", "in", "New", "Cork"]] * 3
    truth = ragged([np.array([1, 4, 4, 0, 2])] * 3)
    said = [np.array([1, 4, 4, 4, 0]), np.array([1, 4, 4, 0, 2]), np.array([4, 4, 4, 0, 2])]
    scores = sure(TARGET, said)
    found = examine(
        TARGET,
        scores,
        truth,
        values={"words": words},
        logits=ragged(np.log(row) for row in scores),
        opponents=tag_baselines(TARGET, words, truth, words, truth, resamples=20),
        columns={"part": ["a", "a", "b"]},
        resamples=20,
    )
    assert found.mistakes[0].truth == "per: Ada; loc: New Cork"
    assert {one.prediction for one in found.mistakes} == {"per: Ada; loc: Cork", "loc: New Cork"}
    assert found.mistakes[0].value == "Ada lives in New Cork"
    assert found.coverage is None
    assert found.counted == "unit"
    assert sum(map(sum, found.confusion.counts)) == 15
    assert sum(found.calibration.before.count) == 15
    assert {part.name for part in found.slices} == {"a", "b"}
    assert [(one.label, one.count, one.predicted) for one in found.figures] == [("loc", 3, 3), ("per", 3, 2)]
    assert counted_kinds(TARGET, truth) == {"loc": 3, "per": 3}
    assert span_figures(TARGET, scores, truth) == found.figures
