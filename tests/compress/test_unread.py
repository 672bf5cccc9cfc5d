"""Vectors that no text asks for are left out of a bundle's graph, and nothing a text gives changes."""

import json

import numpy as np
import pytest
import torch
from tests.compress import bundles

from underlay.compress.tracing import to_onnx
from underlay.compress.unread import Renumbered, without_unread
from underlay.core import Target
from underlay.modalities.registry import MODALITIES
from underlay.models import build, configure

MARKS = "[]{}()<>.,!?-'\"/\\#@$%&*+=~^_|`"


def word_pieces(unused: int = 60) -> bytes:
    """BERT's kind of tokenizer: most of its entries are names in brackets."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    entries = ["[PAD]", *(f"[unused{number}]" for number in range(unused)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries += [*letters, *(f"##{one}" for one in letters), *MARKS, "film", "##s", "good", "a.b", "##-", "quiet"]
    vocabulary = {entry: number for number, entry in enumerate(dict.fromkeys(entries))}
    special = [
        {"id": vocabulary[name], "content": name, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    ]  # fmt: skip
    frame = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    ids = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "decoder": None,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": frame, "pair": frame, "special_tokens": ids},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }).encode()  # fmt: skip


def fitted(**options):
    text = MODALITIES["text.v1"].create(
        assets={"tokenizer.json": word_pieces()}, limit=64, options={"max_length": 12, "long": "windows", **options}
    )
    return text.fit(["a quiet film", "good films", "it was not good at all, I think"], np.random.default_rng(0))


def model_of(text, *, positions: int = 64):
    described = {**text.describe(), "limit": positions}
    config = configure(bundles.backbone("transformer.v1"), columns={"text": described}, outputs={"label": 3})
    return bundles.perturbed(config), config


def hard_texts() -> list[str]:
    """What could reach an entry with a mark in it: the entry itself, glued, in brackets, and noise of marks."""
    rng = np.random.default_rng(0)
    alphabet = np.array([*"abfilmsgod1 ", *MARKS])
    noise = ["".join(rng.choice(alphabet, 30)) for _ in range(200)]
    return ["[unused3]", "x[unused3]y", "[ unused3 ]", "a.b", "aa.b", "a##-", "[MASK]", "[PAD] film", *noise]


def test_no_text_gives_an_id_that_was_called_unreadable():
    text = fitted()
    known = set(text.readable().tolist())
    assert text.subwords.size - len(known) >= 60
    for value in hard_texts():
        assert set(text.encode(value)["ids"].tolist()) <= known, value


def test_of_a_tokenizer_that_is_cut_otherwise_every_entry_is_readable():
    text = bundles.fitted("text.v1")
    assert text.readable().tolist() == list(range(text.subwords.size))


def test_a_model_without_what_is_unread_answers_as_before():
    text = fitted()
    model, config = model_of(text)
    small = without_unread(model, config, {"text": text})
    assert isinstance(small.stems["text"].words, Renumbered)
    assert len(small.stems["text"].words.weight) == len(text.readable()) + 1  # one stands too late to pay
    assert small.stems["text"].places.num_embeddings == 12 < model.stems["text"].places.num_embeddings
    assert model.stems["text"].words.num_embeddings == text.subwords.size  # the original is as it was
    rows = text.collate([text.encode(value) for value in [*hard_texts(), "film good " * 20]])
    arrays = {"text": {name: torch.from_numpy(array) for name, array in rows.items()}}
    with torch.no_grad():
        was, now = (one(arrays).logits["label"] for one in (model, small.eval()))
    torch.testing.assert_close(now, was, rtol=0, atol=0)


def test_places_of_two_texts_in_a_row_stay():
    """The places of the second go on where those of the first end, so that more are read than one text has."""
    first = fitted()
    columns = {"text": {**first.describe(), "limit": 64}, "other": {**first.describe(), "limit": 64, "second": True}}
    config = configure(bundles.backbone("transformer.v1"), columns=columns, outputs={"label": 3})
    small = without_unread(build(config, seed=0), config, {"text": first, "other": first})
    assert small.stems["text"].places.num_embeddings == 64


def test_the_graph_keeps_nothing_of_its_trace(monkeypatch):
    from underlay.compress.tracing import free_axes, names_of, trace

    text = fitted()
    model, config = model_of(text)
    values = [["film"], ["a quiet film, good", "no"]]
    examples = [{"text": text.collate([text.encode(value) for value in row])} for row in values]
    program = trace(without_unread(model, config, {"text": text}), examples[1], free_axes(examples))
    made = to_onnx(program, names_of(examples[1]), ["label"])
    assert not any(node.metadata_props for node in made.graph.node)
    assert b".py" not in made.SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
def test_a_bundle_of_word_pieces_is_smaller_by_what_is_unread_and_passes_the_gate(int8, tmp_path):
    from underlay.bundle import open_bundle
    from underlay.compress import export

    label = Target("label", "multiclass", ("red", "green", "blue"))
    folder = bundles.sealed(tmp_path / "bundle", {"text": fitted()}, targets=(label,), width=64, heads=4, inner=96)
    found = export(folder, tmp_path / "out", int8=int8, seconds=0.02)
    alone = export(folder, tmp_path / "alone.onnx", int8=int8)
    assert found.parity.passed
    assert alone.parity.passed  # a graph for other tools may be asked for anything, and holds all
    texts = {"text": hard_texts()}
    was, now = (open_bundle(path).answer(texts).probabilities["label"] for path in (folder, tmp_path / "out"))
    np.testing.assert_allclose(now, was, rtol=0, atol=0.3 if int8 else 1e-5)
