"""Tags from a file to answers: fitted, sealed, asked again, resumed, and refused where the data is wrong."""

import csv
import json
import signal

import numpy as np
import pytest
import torch
from tests.strategies.conftest import flags, start, tiny

from underlay.bundle import open_bundle
from underlay.core import DataError, UsageError, listed
from underlay.data import encode_targets, infer_schema, open_table
from underlay.strategies import fine_tune
from underlay.strategies.evaluation import evaluate

SETTINGS = ("train.epochs=3", "train.batch_rows=16", "train.learning_rate=0.01", "train.repeat=1")


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """300 sentences as JSON lines."""
    table = open_table("sample:orders")
    path = tmp_path_factory.mktemp("orders") / "orders.jsonl"
    rows = zip(table.values("tokens", range(300)), table.values("tags", range(300)), strict=True)
    path.write_text("\n".join(json.dumps({"tokens": words, "tags": tags}) for words, tags in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tagged(orders, tmp_path_factory):
    events = []
    out = tmp_path_factory.mktemp("run") / "bundle"
    return fine_tune(str(orders), recipe=tiny(*SETTINGS), out=out, listener=events.append), events


def test_a_tagger_is_fitted_measured_and_reported(tagged):
    tuned, events = tagged
    target = tuned.bundle.schema.target
    assert (target.task, target.name, target.labels[-1]) == ("tagging", "tags", "O")
    assert any("tagging (--set data.task=multilabel" in event.text for event in events)
    (found,) = tuned.report.targets
    assert found.key == "f1"
    dictionary = found.opponents[1]
    assert dictionary.name == "Each word's most frequent tag"
    assert found.metrics["f1"].value > 0.6
    assert {one.label for one in found.figures} == {"date", "person", "place", "product"}
    assert tuned.report.data.label_counts["tags"].keys() == {"date", "person", "place", "product"}
    page = (tuned.bundle.path.with_name("bundle.run") / "report.html").read_text(encoding="utf-8")
    assert "of spans: both ends and the kind right" in page
    assert "Test spans" in page
    assert tuned.bundle.metrics["tags"]["f1"]["value"] == found.metrics["f1"].value


def test_a_bundle_opened_again_answers_every_word_as_training_saw_it(tagged, orders):
    tuned, _ = tagged
    again = open_bundle(tuned.bundle.path)  # golden rows are replayed
    table = open_table(orders)
    sentences = table.values("tokens", range(40))
    answers = again.answer({"tokens": sentences})
    assert [len(tags) for tags in answers.predictions["tags"]] == [len(words) for words in sentences]
    one_by_one = [again.predict([words])[0] for words in sentences[:5]]
    assert one_by_one == list(answers.predictions["tags"][:5])
    probabilities = again.predict_proba(sentences[:3])
    assert [row.shape for row in probabilities] == [(len(words), 9) for words in sentences[:3]]
    for row in probabilities:
        np.testing.assert_allclose(row.sum(-1), 1.0)
    assert answers.confidence["tags"].shape == (40,)
    written = evaluate(again, str(orders)).to_dict()
    assert written["metrics"]["f1"]["value"] > 0.6


def test_words_that_are_cut_are_answered_outside(tagged):
    words = ["Norwick"] * 600
    (tags,) = tagged[0].bundle.predict([words])
    assert len(tags) == 600
    assert set(tags[300:400]) == {"O"}  # of a long sentence head and tail are read


def test_a_run_killed_and_resumed_gives_the_same_weights(tagged, orders, tmp_path):
    process = start("fit", str(orders), "--out", "b", *flags(*SETTINGS, "train.checkpoint_every=3"), folder=tmp_path)
    for line in process.stdout:
        if "training on" in line:
            break
    for line in process.stdout:
        if "epoch 1" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = start("fit", str(orders), "--out", "b", "--resume", folder=tmp_path)
    said, _ = again.communicate()
    assert again.returncode == 0, said
    whole, resumed = tagged[0].bundle, open_bundle(tmp_path / "b")
    assert resumed.manifest.files["model.safetensors"] == whole.manifest.files["model.safetensors"]


def test_csv_json_and_conll_files_of_the_same_sentences_read_alike(tmp_path):
    rows = [(["New York", "is", "loud"], ["B-loc", "O", "O"]), (["Ada", "sleeps"], ["B-per", "O"])] * 3
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("tokens", "tags"), *(map(json.dumps, row) for row in rows)])
    lines = [json.dumps({"tokens": words, "tags": tags}) for words, tags in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    sentences = ["".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True)) for row in rows]
    (tmp_path / "a.conll").write_text("\n".join(sentences))
    read = []
    for name in ("a.csv", "a.jsonl", "a.conll"):
        table = open_table(tmp_path / name)
        schema = infer_schema(table).schema
        assert (schema.target.task, schema.columns[0].modality) == ("tagging", "words")
        cells = [listed(cell) for cell in table.values("tokens")]
        labels = [row.tolist() for row in encode_targets(table, schema.target).values]
        read.append((schema.target.labels, cells, labels))
    assert read[0] == read[1] == read[2]


def test_a_conll_file_without_tags_is_sentences_and_one_that_changes_its_mind_is_refused(tmp_path):
    plain = tmp_path / "a.conll"
    plain.write_text("New York\nis\n\nAda\nsleeps\n".replace(" ", "_"))
    table = open_table(plain)
    assert table.columns == ("tokens",)
    assert table.values("tokens") == [["New_York", "is"], ["Ada", "sleeps"]]
    assert "without tags" in table.notes[-1]
    for text, said in (("Ada\nsleeps O\n", "line 2: 2 columns"), ("Ada B\nsleeps\n", "line 2: 1 column in 'sleeps'")):
        plain.write_text(text)
        with pytest.raises(DataError, match=said):
            open_table(plain)


def test_sentences_and_tags_with_spaces_between_are_tagging_where_one_says_so(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sentence,tags\n" + "in Cork,O B\n" * 30 + "Cork is,B O\n" * 30)
    tuned = fine_tune(
        str(path),
        recipe=tiny("data.task=tagging", "data.target=tags", "data.columns={sentence: text}", "train.epochs=1"),
        out=tmp_path / "b",
    )
    assert tuned.bundle.schema.columns[0].modality == "words"
    assert len(tuned.bundle.predict(["is in Cork"])[0]) == 3


def test_a_row_with_more_tags_than_words_is_set_aside_and_its_line_named(orders, tmp_path):
    lines = orders.read_text(encoding="utf-8").splitlines()[:80]
    row = json.loads(lines[16])
    lines[16] = json.dumps({**row, "tags": [*row["tags"], "O"]})
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    events = []
    fine_tune(str(path), recipe=tiny("train.epochs=1"), out=tmp_path / "b", listener=events.append)
    told = [event.text for event in events if event.kind == "warning"]
    size = len(row["tokens"])
    assert any("a.jsonl, line 17" in text and f"{size} units" in text and f"{size + 1} labels" in text for text in told)


def test_labels_that_are_none_are_refused_with_their_place(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"tokens": ["a", "b"], "tags": [["O"], ["O"]]}] * 9
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"line 1: column 'tags' holds the label"):
        fine_tune(str(path), recipe=tiny("data.task=tagging", "data.target=tags"), out=tmp_path / "b")


def test_a_label_that_the_bundle_does_not_know_is_refused_with_its_place(tagged, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"tokens": ["a", "b"], "tags": ["O", "B-plaze"]}))
    with pytest.raises(DataError, match=r"line 1.*'B-plaze' at unit 2.*did you mean 'B-place'"):
        evaluate(tagged[0].bundle, str(path))


def test_a_target_of_units_over_texts_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"text": "a quiet film", "price": at, "tags": ["O", "O", "B"]} for at in range(60)]
    path.write_text("\n".join(map(json.dumps, rows)))
    recipe = tiny("data.task=tagging", "data.target=tags", "data.columns={price: table}")
    with pytest.raises(UsageError, match=r"read it as one of .*words"):
        fine_tune(str(path), recipe=recipe, out=tmp_path / "b")
    two = tiny("data.task=tagging", "data.target=tags", "data.columns={text: words, price: table}")
    with pytest.raises(UsageError, match="one input column"):
        fine_tune(str(path), recipe=two, out=tmp_path / "c")


def test_probe_and_cache_read_positions(orders, tmp_path):
    """The way of a trained trunk: heads fitted first, frozen layers computed once."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    table = open_table(orders)
    known = sorted({word for words in table.values("tokens") for word in words})
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", *known])}
    own = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tmp_path / "trunk"
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 32}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=64, initializer_range=0.1, **sizes
    )
    transformers.BertModel(config).save_pretrained(folder)
    own.save(str(folder / "tokenizer.json"))
    recipe = tiny(
        f"model.trunk={folder}", "model.options={}", "train.freeze=2", "train.cache=true", "train.epochs=6",
        "train.learning_rate=0.02", "train.batch_rows=16",
    )  # fmt: skip
    events = []
    tuned = fine_tune(str(orders), recipe=recipe, out=tmp_path / "b", listener=events.append)
    said = [event.text for event in events if event.kind == "phase"]
    assert any("fitting the head" in text for text in said)
    assert any("frozen layers once" in text for text in said)
    assert tuned.bundle.metrics["tags"]["token_accuracy"]["value"] > 0.6


def test_the_intent_of_a_sentence_stands_beside_its_tags(orders, tmp_path):
    rows = [json.loads(line) for line in orders.read_text(encoding="utf-8").splitlines()[:150]]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({**row, "intent": "ask" if "?" in row["tokens"] else "tell"}) for row in rows))
    recipe = tiny("data.target=[tags, intent]", "train.epochs=2", "train.learning_rate=0.01")
    tuned = fine_tune(str(path), recipe=recipe, out=tmp_path / "b")
    assert [target.task for target in tuned.bundle.schema.targets] == ["tagging", "binary"]
    answers = open_bundle(tmp_path / "b").answer({"tokens": [["where", "is", "it", "?"]]})
    assert len(answers.predictions["tags"][0]) == 4
    assert answers.predictions["intent"][0] in ("ask", "tell")
    assert tuned.report.targets[1].metrics["accuracy"].value > 0.5


def test_the_command_answers_files_lines_and_one_sentence(tagged, tmp_path):
    bundle = str(tagged[0].bundle.path)
    (tmp_path / "in.jsonl").write_text('{"tokens": ["in", "Norwick", "!"]}\n{"tokens": []}\n{"tokens": ["hello"]}\n')
    done = start("predict", bundle, "in.jsonl", "--out", "out.csv", "--scores", "-q", folder=tmp_path)
    said, _ = done.communicate()
    assert done.returncode == 3, said  # one row could not be answered
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(json.loads(rows[0]["prediction"])) == len(json.loads(rows[0]["unit confidence"])) == 3
    assert all({"start", "stop", "kind"} == set(span) for span in json.loads(rows[0]["spans"]))
    assert "the list of words is empty" in rows[1]["error"]
    assert rows[2]["error"] == ""
    one = start("predict", bundle, "in Norwick !", folder=tmp_path)
    answer, _ = one.communicate()
    assert answer.split("\t")[0] == " ".join(json.loads(rows[0]["prediction"]))
