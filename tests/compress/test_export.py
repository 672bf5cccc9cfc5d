"""`underlay export`: the bundle that comes out answers as the one that went in, without PyTorch, or there is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.architecture.test_torch_absent import BLOCK
from tests.compress import bundles
from tests.modalities.examples import EXAMPLES

from underlay.bundle import open_bundle, verify
from underlay.bundle.layout import EXPORT, GRAPH, WEIGHTS
from underlay.bundle.manifest import read_sealed
from underlay.compress import compare, export, padded_stems, padded_trunks
from underlay.compress.examples import encoded, probes
from underlay.compress.layout import Layout
from underlay.core import BundleRefused, GateNotMet, OutputExists, Target, UsageError

QUICK = {"seconds": 0.02}
MOODS = Target("moods", "multilabel", ("calm", "loud"))
PRICE = Target("price", "regression")


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    """A text bundle with three targets whose longer texts are read in windows."""
    text = bundles.fitted("text.v1", long="windows", max_length=16)
    targets = (bundles.LABEL, MOODS, PRICE)
    return bundles.sealed(tmp_path_factory.mktemp("export") / "original", {"text": text}, targets=targets)


@pytest.fixture(scope="session")
def exported(original, tmp_path_factory) -> Path:
    """The same as a graph."""
    return export(original, tmp_path_factory.mktemp("export") / "exported", **QUICK).path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def columns_of(key: str) -> dict[str, list[object]]:
    return {"value": bundles.values(key)}


def assert_same_answers(one, other, columns, tolerance=1e-5):
    first, second = one.answer(columns), other.answer(columns)
    assert first.problems == second.problems
    for name, scores in first.probabilities.items():
        np.testing.assert_allclose(second.probabilities[name], scores, rtol=tolerance, atol=tolerance)
        if np.isfinite(first.confidence[name]).any():  # a number has no confidence, and is compared above
            assert first.predictions[name] == second.predictions[name]


QUICKLY = ("text.v1", "series.v1", "series.v1 kernels", "image.v1", "steps.v1")
"""Faces that the fast tests export; the others are marked slow."""


@pytest.mark.parametrize(
    "key", [key if key in QUICKLY else pytest.param(key, marks=pytest.mark.slow) for key in EXAMPLES]
)
def test_every_modality_is_exported_and_answers_as_before(key, tmp_path):
    modality = bundles.fitted(key)
    trunk = "identity.v1" if "count" in modality.describe() else "transformer.v1"
    folder = bundles.sealed(tmp_path / "bundle", {"value": modality}, trunk=trunk)
    found = export(folder, tmp_path / "out", **QUICK)
    assert found.parity.passed
    assert found.parity.rows >= 48
    assert_same_answers(open_bundle(folder), open_bundle(tmp_path / "out"), columns_of(key))


def test_several_signals_under_one_fusion_are_exported(tmp_path):
    columns = {"review": bundles.fitted("text.v1"), "price": bundles.fitted("table.v1 numbers")}
    folder = bundles.sealed(tmp_path / "bundle", columns, fusion="gated")
    export(folder, tmp_path / "out", **QUICK)
    rows = {"review": bundles.values("text.v1"), "price": [1.5, "0.75", None, 3]}
    assert_same_answers(open_bundle(folder), open_bundle(tmp_path / "out"), rows)


def test_a_label_a_word_is_exported(tmp_path):
    tags = Target("tags", "tagging", ("O", "noun", "verb"))
    folder = bundles.sealed(tmp_path / "bundle", {"value": bundles.fitted("words.v1")}, targets=(tags,))
    assert export(folder, tmp_path / "out", **QUICK).parity.padding > 0.2
    was, now = (open_bundle(path).answer(columns_of("words.v1")) for path in (folder, tmp_path / "out"))
    assert was.predictions == now.predictions


def test_rows_compared_are_padded_and_of_unequal_length(original, exported):
    record = json.loads((exported / EXPORT).read_text())
    assert record["parity"]["padding"] > 0.2
    assert record["parity"]["passed"]
    assert record["parity"]["difference"] <= record["parity"]["bounds"]["score"] == 1e-5
    assert {"threads", "arena"} == set(record["runtime"])
    assert len({speed["name"] for speed in record["measured"]}) >= 3


def test_texts_in_windows_are_answered_as_before(original, exported):
    texts = {"text": ["film " * 80, "a quiet film", "the film was very good and loud " * 6, "", "x"]}
    assert_same_answers(open_bundle(original), open_bundle(exported), texts)


def test_a_row_is_answered_the_same_alone_and_in_a_batch(exported):
    bundle = open_bundle(exported)
    texts = ["film " * 60, "a quiet film", "story", "the film was very good and loud"]
    together = bundle.answer({"text": texts})
    for place, text in enumerate(texts):
        alone = bundle.answer({"text": [text]})
        for name, scores in together.probabilities.items():
            np.testing.assert_allclose(alone.probabilities[name][0], scores[place], rtol=0, atol=2e-6)


def test_the_exported_bundle_is_intact_and_names_its_parent(original, exported):
    assert verify(exported).golden.difference <= 1e-5
    parent, files = read_sealed(original)
    manifest, derived = read_sealed(exported)
    assert manifest.parent == parent.seal
    changed = {path for path in derived if derived[path] != files.get(path)}
    assert changed == {"config.json", WEIGHTS, GRAPH, EXPORT, "card.md"}
    assert json.loads((original / "manifest.json").read_text())["revision"] == 0
    assert json.loads((exported / "manifest.json").read_text())["revision"] == 1


def test_any_onnx_tool_opens_the_graph_where_it_stands(exported):
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(exported / GRAPH))
    session = onnxruntime.InferenceSession(str(exported / GRAPH), providers=["CPUExecutionProvider"])
    ids = np.array([[2, 3, 4], [5, 6, 0]])
    found = session.run(["label.logits"], {"text.ids": ids, "text.mask": (ids > 0).astype(np.int64)})[0]
    assert found.shape == (2, 3)


def test_it_answers_where_torch_cannot_be_imported(original, exported):
    code = """
from underlay.bundle import open_bundle, verify
verify(sys.argv[1])
answers = open_bundle(sys.argv[1]).answer({"text": ["a quiet film", "film " * 50, "loud"]})
assert not any(name.partition(".")[0] == "torch" for name in sys.modules)
import json
print(json.dumps({name: scores.tolist() for name, scores in answers.probabilities.items()}))
"""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + code, str(exported)], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stderr
    here = open_bundle(original).answer({"text": ["a quiet film", "film " * 50, "loud"]}).probabilities
    for name, scores in json.loads(done.stdout).items():
        np.testing.assert_allclose(scores, here[name], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_answers_in_an_environment_that_never_had_torch(original, exported, checkout, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "-q", "-c", checkout / "constraints.txt", checkout, "onnxruntime"]
    subprocess.run(install, check=True, capture_output=True)
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0
    command = [tmp_path / "venv" / "bin" / "underlay", "predict", exported, "a quiet film", "--scores"]
    asked = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert asked.returncode == 0, asked.stderr
    assert open_bundle(original).answer({"text": ["a quiet film"]}).predictions["label"][0] in asked.stdout


def drop_mask(monkeypatch):
    """As tracing with an all-ones mask does."""
    monkeypatch.setattr(padded_stems.PaddedText, "mask", lambda self, arrays: arrays["mask"] * 0 + 1)


def look_at_padding(monkeypatch):
    of = Layout.of

    def all_filled(mask, shape=None):
        layout = of(mask, shape)
        object.__setattr__(layout, "filled", layout.filled | True)
        return layout

    monkeypatch.setattr(padded_trunks, "Layout", type("Blind", (), {"of": staticmethod(all_filled)}))


def forget_segments(monkeypatch):
    monkeypatch.setattr(padded_stems.PaddedText, "mask", lambda self, arrays: (arrays["mask"] > 0).long())


def count_places_through(monkeypatch):
    monkeypatch.setattr(padded_stems, "segment_ranks", lambda mask: (mask > 0).long().cumsum(1).clamp(max=15))


@pytest.mark.parametrize(
    "fault",
    [
        drop_mask,
        pytest.param(look_at_padding, marks=pytest.mark.slow),
        forget_segments,
        pytest.param(count_places_through, marks=pytest.mark.slow),
    ],
)
def test_a_graph_that_lost_its_mask_or_its_places_is_not_written(fault, original, tmp_path, monkeypatch):
    fault(monkeypatch)
    with pytest.raises(GateNotMet, match="answers otherwise") as refused:
        export(original, tmp_path / "out", **QUICK)
    assert refused.value.exit_code == 7
    assert left_in(tmp_path) == []


class Spoiled:
    """A backend with one thing wrong."""

    def __init__(self, backend, spoil):
        self.backend, self.spoil = backend, spoil

    def run(self, inputs):
        return {name: self.spoil(logits) for name, logits in self.backend.run(inputs).items()}


SPOILED = {
    "nothing": (lambda logits: logits, True),
    "a scale": (lambda logits: logits * 1.001, False),
    "the order of labels": (lambda logits: logits[:, ::-1], False),
    "the order of rows": (lambda logits: logits[::-1], False),
    "a score that is none": (lambda logits: logits * np.float32("nan"), False),
    "a label": (lambda logits: logits[:, :-1] if logits.shape[1] > 1 else logits, False),
}


@pytest.mark.parametrize("what", SPOILED)
def test_the_gate_sees_what_is_wrong(what, original):
    spoil, fine = SPOILED[what]
    bundle = open_bundle(original)
    parity = compare(bundle, Spoiled(bundle.backend, spoil), encoded(bundle, probes(bundle, count=24)))
    assert parity.passed is fine


def test_a_bundle_that_stands_there_is_kept_unless_forced(original, exported, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExists):
        export(original, tmp_path / "out", **QUICK)
    export(original, tmp_path / "out", force=True, **QUICK)
    assert (tmp_path / "out" / GRAPH).exists()


def test_what_cannot_be_asked_is_said(original, exported, tmp_path):
    for out, to in (("x.pt2", "onnx"), ("x", "torch"), ("x.onnx", "torch")):
        with pytest.raises(UsageError, match="cannot be written"):
            export(original, tmp_path / out, to=to)
    with pytest.raises(UsageError, match="holds a graph already"):
        export(exported, tmp_path / "again")
    with pytest.raises(BundleRefused):
        export(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(UsageError, match="none of 2 rows"):
        export(original, tmp_path / "out", columns={"text": ["", None]})


def test_given_rows_are_compared_too(original, tmp_path):
    texts = {"text": ["a quiet film", "", "loud " * 30]}
    found = export(original, tmp_path / "out.onnx", columns=texts, **QUICK)
    assert (found.parity.rows, found.on_data.rows) == (48, 2)
    assert found.on_data.passed


def test_the_graph_alone_holds_its_weights_and_what_it_was_made_from(original, tmp_path):
    import onnx

    path = export(original, tmp_path / "model.onnx", **QUICK).path
    facts = {each.key: json.loads(each.value) if each.value[:1] in "[{" else each.value
             for each in onnx.load(path).metadata_props}  # fmt: skip
    assert facts["underlay.bundle"].strip('"') == read_sealed(original)[0].seal
    assert facts["underlay.targets"][0]["labels"] == list(bundles.LABEL.labels)
    assert facts["underlay.parity"]["parity"]["passed"]
    assert left_in(tmp_path) == ["model.onnx"]


def test_a_file_of_torch_export_answers_as_before(original, tmp_path):
    found = export(original, tmp_path / "model.pt2", to="torch", **QUICK)
    assert found.parity.passed
    assert found.bytes_after > 1000


def test_a_recurrent_trunk_is_exported_to_onnx_only(tmp_path):
    folder = bundles.sealed(tmp_path / "bundle", {"text": bundles.fitted("text.v1")}, trunk="recurrent.v1")
    assert export(folder, tmp_path / "out", **QUICK).parity.passed
    with pytest.raises(UsageError, match="recurrent trunk"):
        export(folder, tmp_path / "out.pt2", to="torch", **QUICK)


def test_the_command_says_what_it_found(original, underlay, tmp_path):
    done = underlay("export", str(original), "--out", "made", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "made"
    assert "scores differ by up to" in done.stdout
    assert "rows/s" in done.stdout
    assert underlay("verify", "made").returncode == 0
    assert "price" in underlay("predict", "made", "a quiet film").stdout
    again = underlay("export", str(original), "--out", "made")
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert underlay("export", "nothing").returncode == 4
    assert underlay("export", str(original), "--to", "flax").returncode == 2


def test_a_missing_extra_is_named(original, tmp_path):
    code = BLOCK.replace('("torch", "accelerate", "transformers")', '("onnxruntime", "onnxscript")') + """
from underlay.cli.main import run
sys.exit(run(sys.argv[1:]))
"""  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, "export", str(original), "--out", str(tmp_path / "out")],
        capture_output=True, encoding="utf-8", timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install 'underlay[onnx]'" in done.stderr
    assert left_in(tmp_path) == []


def test_eight_bits_are_smaller_answer_alike_and_row_by_row(tmp_path):
    text = bundles.fitted("text.v1", vocabulary=400)
    folder = bundles.sealed(tmp_path / "bundle", {"text": text}, width=96, inner=96, heads=4, depth=1)
    found = export(folder, tmp_path / "out", int8=True, **QUICK)
    assert found.bytes_after < 0.75 * found.bytes_before
    assert json.loads((tmp_path / "out" / EXPORT).read_text())["precision"] == "int8"
    bundle = open_bundle(tmp_path / "out")
    weights = read_sealed(tmp_path / "out")[1][WEIGHTS]
    assert weights.count(b'"I8"') >= 4
    texts = ["film " * 28, "a quiet film", "story", "the film was very good and loud"]
    together = bundle.answer({"text": texts}).probabilities["label"]
    alone = [bundle.answer({"text": [text]}).probabilities["label"][0] for text in texts]
    np.testing.assert_allclose(alone, together, rtol=0, atol=0.01)


def test_eight_bits_that_change_what_is_decided_are_not_written(original, tmp_path, monkeypatch):
    from underlay.compress import int8, products

    scaled = int8.scaled
    monkeypatch.setattr(products, "LEAST", 64)
    monkeypatch.setattr(int8, "scaled", lambda matrix, axis: (scaled(matrix, axis)[0], 2 * scaled(matrix, axis)[1]))
    with pytest.raises(GateNotMet):
        export(original, tmp_path / "out", int8=True, **QUICK)
    assert left_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"rotary": True}, {"causal": True, "norm": "pre", "gated": True}])
def test_attention_in_three_products_answers_as_in_one(options, tmp_path):
    folder = bundles.sealed(tmp_path / "bundle", {"text": bundles.fitted("text.v1")}, **options)
    assert export(folder, tmp_path / "model.onnx").parity.passed
