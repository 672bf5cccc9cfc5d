"""Eight bits: levels that fit what passes, operators that hurt left in fp32, and a gate that sees one broken number."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.compress import bundles

from underlay.bundle import open_bundle
from underlay.bundle.layout import EXPORT, WEIGHTS
from underlay.bundle.manifest import read_sealed
from underlay.compress import Labelled, eight_bits, export
from underlay.compress import int8 as writing
from underlay.compress.levels import _best
from underlay.compress.rounding import scaled
from underlay.core import GateNotMet, UsageError

QUICK = {"seconds": 0.02}
WORDS = ["film", "story", "actors", "quiet", "loud", "good", "bad", "very", "the", "a", "of", "and", "with", "music"]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A text bundle with products large enough for eight bits."""
    text = bundles.fitted("text.v1", vocabulary=400)
    folder = tmp_path_factory.mktemp("eight") / "original"
    return bundles.sealed(folder, {"text": text}, width=96, inner=96, heads=4, depth=1)


@pytest.fixture(scope="module", autouse=True)
def traced_once(original) -> Iterator[None]:
    """All tests here ask about one model, whose tracing takes most of the time."""
    module = importlib.import_module("underlay.compress.export")
    kept: dict[str, object] = {}
    real = module.to_onnx
    with pytest.MonkeyPatch.context() as patch:
        trace = module.trace
        patch.setattr(module, "trace", lambda *given: kept.setdefault("program", trace(*given) if not kept else None))
        patch.setattr(
            module, "to_onnx", lambda *given: _copy(kept.setdefault("model", None) or _keep(kept, real(*given)))
        )
        yield


def _keep(kept, model):
    kept["model"] = model
    return model


def _copy(model):
    return type(model).FromString(model.SerializeToString())


def texts(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 25))) for _ in range(count)]


@pytest.fixture(scope="module")
def seen() -> dict[str, list[str]]:
    return {"text": texts(60, seed=1)}


@pytest.fixture(scope="module")
def labelled(original) -> Labelled:
    """Rows whose answer is what the original says, so that any other answer is a loss."""
    rows = {"text": texts(120, seed=2)}
    said = open_bundle(original).answer(rows).predictions["label"]
    return Labelled(rows, {"label": np.array([bundles.LABEL.labels.index(one) for one in said])})


def test_a_number_in_eight_bits_is_within_half_a_level():
    matrix = np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32)
    small, scale = scaled(matrix, 0)
    assert small.dtype == np.int8
    assert np.abs(small).max() == 127
    assert (np.abs(small * scale - matrix) <= scale / 2 + 1e-7).all()


def test_a_channel_that_dwarfs_the_others_is_divided():
    rng = np.random.default_rng(0)
    values, weight = rng.standard_normal((500, 64)).astype(np.float32), rng.standard_normal((64, 32)).astype(np.float32)
    assert _best(values, weight).divisor is None
    values[:, 5] *= 100
    levels = _best(values, weight)
    assert levels.divisor is not None
    assert levels.divisor.argmax() == 5
    assert levels.error < 1e-3


def test_a_rare_value_is_cut_off_rather_than_widen_all_levels():
    rng = np.random.default_rng(0)
    values, weight = rng.standard_normal((2000, 64)), rng.standard_normal((64, 32))
    values[0, 0] = 12.0
    levels = _best(values.astype(np.float32), weight.astype(np.float32))
    assert levels.step < 0.8 * (12.0 - values.min()) / 255


@pytest.mark.parametrize("static", [False, True])
def test_both_kinds_answer_alike_alone_and_in_a_batch(static, original, seen, tmp_path):
    found = export(original, tmp_path / "out", int8=True, static=static, columns=seen, **QUICK)
    assert found.bytes_after < 0.75 * found.bytes_before
    assert found.eight_bits.scheme == ("static" if static else "dynamic")
    assert found.eight_bits.operators >= 5
    assert json.loads((tmp_path / "out" / EXPORT).read_text())["eight_bits"]["left_in_fp32"] == []
    assert read_sealed(tmp_path / "out")[1][WEIGHTS].count(b'"I8"') >= 5
    bundle, rows = open_bundle(tmp_path / "out"), texts(20, seed=3)
    together = bundle.answer({"text": rows}).probabilities["label"]
    np.testing.assert_allclose(together, open_bundle(original).answer({"text": rows}).probabilities["label"], atol=0.1)
    alone = [bundle.answer({"text": [row]}).probabilities["label"][0] for row in rows]
    np.testing.assert_allclose(alone, together, rtol=0, atol=0.01)


def test_its_speed_is_measured_against_the_better_of_both_in_fp32(original, seen, tmp_path):
    found = export(original, tmp_path / "out", int8=True, columns=seen, **QUICK)
    rates = {speed.name: speed.rows_per_second for speed in found.speeds}
    rivals = [rate for name, rate in rates.items() if name == "PyTorch" or name.startswith("fp32 in ")]
    assert len(rivals) >= 2
    assert found.gain == rates[found.chosen] / max(rivals)


def damage(monkeypatch, of):
    """Weights of the products and tables whose number is in `of` lose their signs."""
    known: dict[bytes, int] = {}

    def without_signs(real):
        def wrong(matrix, *axis):
            small, scale = real(matrix, *axis)
            number = known.setdefault(matrix.tobytes(), len(known))
            return (np.abs(small), scale) if number in of else (small, scale)

        return wrong

    for name in ("scaled", "in_halves"):
        monkeypatch.setattr(writing, name, without_signs(getattr(writing, name)))


def test_an_operator_that_hurts_stays_in_fp32(original, labelled, tmp_path, monkeypatch):
    damage(monkeypatch, {2})
    found = export(original, tmp_path / "out", int8=True, max_drop=0.9, labelled=labelled, **QUICK)
    assert len(found.eight_bits.kept) == 1
    assert found.eight_bits.losses[0].points <= 0.9
    assert found.eight_bits.losses[0].was == 1.0
    card = (tmp_path / "out" / "card.md").read_text()
    assert "points of accuracy" in card


def test_what_loses_too_much_whatever_stays_is_not_written(original, labelled, tmp_path, monkeypatch):
    damage(monkeypatch, set(range(100)))
    with pytest.raises(GateNotMet, match="whatever stays in fp32") as refused:
        export(original, tmp_path / "out", int8=True, max_drop=0.0, labelled=labelled, **QUICK)
    assert (refused.value.code, refused.value.exit_code) == ("max_drop", 7)
    assert list(tmp_path.iterdir()) == []


def double_one_scale(model):
    """One output of one product is twice what it should be."""
    tensor = next(one for one in model.graph.initializer if one.name.endswith("/scale") and len(one.dims) == 1)
    change(tensor, lambda scale: np.where(np.arange(scale.size) == 3, 2 * scale, scale))


def look_at_padding(model):
    """What may not be looked at is."""
    found = [one for one in constants(model) if one.data_type == 1 and array(one).size == 1 and array(one) < -1e8]
    assert found
    for tensor in found:
        change(tensor, np.zeros_like)


def turn_a_matrix(model):
    """A square matrix lies along its other axis."""
    square = (one for one in model.graph.initializer if one.name.endswith("/int8") and len(set(one.dims)) == 1)
    change(next(square), np.transpose)


def share_attention_among_queries(model):
    """The softmax sums over the other axis."""
    node = next(one for one in model.graph.node if one.op_type == "Softmax")
    next(one for one in node.attribute if one.name == "axis").i = 2


def swap_labels(model):
    """The answers stand in another order."""
    import onnx

    out = model.graph.output[0].name
    last = next(node for node in model.graph.node if out in node.output)
    last.output[list(last.output).index(out)] = "in order"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 0, 2]), "another order"))
    model.graph.node.append(onnx.helper.make_node("Gather", ["in order", "another order"], [out], axis=1))


def array(tensor):
    import onnx

    return onnx.numpy_helper.to_array(tensor)


def change(tensor, by):
    import onnx

    name, now = tensor.name, by(array(tensor)).astype(array(tensor).dtype)
    tensor.CopyFrom(onnx.numpy_helper.from_array(now, name))


def constants(model):
    """Tensors of the graph, whether they stand beside it or in a node."""
    inner = [one.t for node in model.graph.node if node.op_type == "Constant" for one in node.attribute]
    return [*model.graph.initializer, *inner]


FAULTS = (double_one_scale, look_at_padding, turn_a_matrix, share_attention_among_queries, swap_labels)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_thing_broken_in_a_graph_of_eight_bits_is_seen(fault, static, original, seen, tmp_path, monkeypatch):
    real = eight_bits.quantised

    def broken(model, **options):
        made = real(model, **options)
        fault(made)
        return made

    monkeypatch.setattr(eight_bits, "quantised", broken)
    with pytest.raises(GateNotMet, match=r"wrong|answers otherwise"):
        export(original, tmp_path / "out.onnx", int8=True, static=static, columns=seen)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_asked_is_said(original, tmp_path, underlay):
    with pytest.raises(UsageError, match="fix the ranges of activations on data"):
        export(original, tmp_path / "out", int8=True, static=True, **QUICK)
    unread = Labelled({"text": ["", "a"]}, {"label": np.array([0, -100])})
    with pytest.raises(UsageError, match="none of 2 rows"):
        export(original, tmp_path / "out", int8=True, labelled=unread, **QUICK)
    for words in (["--static"], ["--int8", "--static"], ["--int8", "--max-drop", "1"], ["--max-drop", "1"]):
        assert underlay("export", str(original), *words).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_eight_bits_cost(original, seen, tmp_path, underlay):
    said = open_bundle(original).answer(seen).predictions["label"]
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(seen["text"], said, strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    words = ["export", str(original), "--int8", "--static", "--data", "rows.jsonl", "--max-drop", "20", "--out", "made"]
    done = underlay(*words, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert "points lost (95 %" in done.stdout
    assert "operators of eight bits (static)" in done.stdout
    assert "x the rows/s of the fastest in fp32" in done.stdout
    assert underlay("predict", "made", "a quiet film").returncode == 0
