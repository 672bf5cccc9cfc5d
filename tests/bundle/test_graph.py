"""A graph in a bundle: damaged or hostile, it is refused before its runtime sees it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from underlay.bundle import derive, open_bundle
from underlay.bundle.deriving import Derived
from underlay.bundle.graph import outside_weights
from underlay.bundle.layout import EXPORT, GRAPH, WEIGHTS
from underlay.bundle.machine import cores
from underlay.bundle.strict_json import dump, parse
from underlay.bundle.weights import write_weights
from underlay.core import BundleRefused, Inputs

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
RUNTIME = {"runtime": {"threads": 1, "arena": True}}


def model(tiny: ModuleType, *, inside: bool = False, domain: str = "", location: str = WEIGHTS, op: str = "MatMul"):
    """The tiny bundle's mean of embeddings under a linear head, with its embedding beside the graph."""
    weights = tiny.contents().weights
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["embedding", "text.ids"], ["words"]),
        helper.make_node("Cast", ["text.mask"], ["real"], to=kind.FLOAT),
        helper.make_node("Unsqueeze", ["real", "last"], ["reals"]),
        helper.make_node("Mul", ["words", "reals"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["reals", "middle"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["features"]),
        helper.make_node(op, ["features", "head"], ["label.logits"], domain=domain),
    ]
    numpy = onnx.numpy_helper.from_array
    tensors = [numpy(np.array([-1]), "last"), numpy(np.array([1]), "middle"), numpy(weights["head/label"], "head")]
    embedding = numpy(weights["embedding"], "embedding")
    if not inside:
        embedding.ClearField("raw_data")
        embedding.data_location = kind.EXTERNAL
        embedding.external_data.add(key="location", value=location)
    shape = ["rows", "positions"]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info(f"text.{name}", kind.INT64, shape) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("label.logits", kind.FLOAT, ["rows", 2])],
        [*tensors, embedding],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), {"embedding": weights["embedding"]}


@pytest.fixture
def derived(tiny: ModuleType, sealed: Path, tmp_path: Path) -> Path:
    """The tiny bundle answered by a graph."""
    graph, weights = model(tiny)
    derive(tmp_path / "derived", open_bundle(sealed), Derived("onnx.v1", graph.SerializeToString(), weights, RUNTIME))
    return tmp_path / "derived"


@pytest.fixture
def resealed(tiny: ModuleType, derived: Path, tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy with other files, sealed as a hostile supplier would."""
    numbers = iter(range(100))

    def change(**files: bytes | None) -> Path:
        folder = Path(shutil.copytree(derived, tmp_path / f"changed-{next(numbers)}"))
        for name, data in files.items():
            path = folder / {"graph": GRAPH, "record": EXPORT, "weights": WEIGHTS, "config": "config.json"}[name]
            path.unlink() if data is None else path.write_bytes(data)
        tiny.reseal(folder)
        return folder

    return change


def refused(folder: Path) -> BundleRefused:
    with pytest.raises(BundleRefused) as error:
        open_bundle(folder)
    return error.value


def test_a_graph_answers_the_golden_rows_of_its_parent(sealed: Path, derived: Path, tiny: ModuleType) -> None:
    was, now = (open_bundle(folder).answer({"text": tiny.TEXTS}) for folder in (sealed, derived))
    assert was.predictions == now.predictions
    np.testing.assert_allclose(now.logits["label"], was.logits["label"], rtol=0, atol=1e-5)
    assert (derived / "golden.jsonl").read_bytes() == (sealed / "golden.jsonl").read_bytes()


def test_a_graph_that_answers_otherwise_leaves_nothing(sealed: Path, tiny: ModuleType, tmp_path: Path) -> None:
    graph, weights = model(tiny)
    spoiled = {"embedding": weights["embedding"][::-1].copy()}
    with pytest.raises(BundleRefused, match="golden row"):
        derive(tmp_path / "out", open_bundle(sealed), Derived("onnx.v1", graph.SerializeToString(), spoiled, RUNTIME))
    assert list(tmp_path.iterdir()) == []


def test_one_changed_byte_of_a_graph_is_seen(derived: Path) -> None:
    data = bytearray((derived / GRAPH).read_bytes())
    data[len(data) // 2] ^= 1
    (derived / GRAPH).write_bytes(data)
    assert refused(derived).code == "digest_mismatch"


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.7, 0.99])
def test_a_graph_that_ends_early_is_refused(cut: float, derived: Path, resealed: Callable[..., Path]) -> None:
    data = (derived / GRAPH).read_bytes()
    assert refused(resealed(graph=data[: int(cut * len(data))])).code == "graph"


def test_noise_is_no_graph(derived: Path, resealed: Callable[..., Path]) -> None:
    rng, data = np.random.default_rng(0), (derived / GRAPH).read_bytes()
    for _ in range(20):
        spoiled = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            spoiled[place] = rng.integers(256)
        with pytest.raises(BundleRefused):
            outside_weights(bytes(rng.integers(0, 256, 200, dtype=np.uint8)), {})
        try:
            outside_weights(bytes(spoiled), {"embedding": np.zeros((1, 1), np.float32)})
        except BundleRefused as error:
            assert error.code == "graph"


def test_operations_of_a_foreign_domain_are_refused(tiny: ModuleType, resealed: Callable[..., Path]) -> None:
    hostile, _ = model(tiny, domain="evil.example", op="Run")
    error = refused(resealed(graph=hostile.SerializeToString()))
    assert error.code == "graph"
    assert "evil.example" in str(error)


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "labels.json", ""])
def test_weights_are_taken_from_the_bundle_alone(
    location: str, tiny: ModuleType, resealed: Callable[..., Path]
) -> None:
    hostile, _ = model(tiny, location=location)
    assert refused(resealed(graph=hostile.SerializeToString())).code == "graph"


def test_weights_of_another_shape_or_absent_are_refused(tiny: ModuleType, resealed: Callable[..., Path]) -> None:
    _, weights = model(tiny)
    for changed in (
        {"embedding": weights["embedding"][:-1]},
        {"embedding": weights["embedding"].astype(np.float16)},
        {},
    ):
        assert refused(resealed(weights=write_weights(changed))).code == "graph"


def test_a_graph_within_a_graph_is_looked_into(tiny: ModuleType, resealed: Callable[..., Path]) -> None:
    inner, _ = model(tiny, domain="evil.example", op="Run")
    outer, _ = model(tiny)
    condition = onnx.numpy_helper.from_array(np.array(True), "yes")
    outer.graph.initializer.append(condition)
    branches = {"then_branch": inner.graph, "else_branch": inner.graph}
    outer.graph.node.append(onnx.helper.make_node("If", ["yes"], ["unused"], **branches))
    assert refused(resealed(graph=outer.SerializeToString())).code == "graph"


def test_how_a_graph_is_run_is_checked(resealed: Callable[..., Path], derived: Path) -> None:
    bad = ({"threads": -1, "arena": True}, {"threads": True, "arena": True}, {"threads": 1, "arena": "yes"}, {}, 3)
    for settings in ({}, *({"runtime": one} for one in bad)):
        assert refused(resealed(record=dump(settings))).code == "graph"
    assert refused(resealed(record=None)).code == "graph"


def test_a_backend_and_its_files_belong_together(resealed: Callable[..., Path], derived: Path) -> None:
    config = parse((derived / "config.json").read_bytes(), "config.json")
    assert refused(resealed(config=dump({**config, "backend": "torch.v1"}))).code == "config_name"
    assert refused(resealed(graph=None)).code == "config_name"


def test_more_threads_than_cores_are_not_started(
    derived: Path, resealed: Callable[..., Path], tiny: ModuleType
) -> None:
    folder = resealed(record=dump({"runtime": {"threads": 4096, "arena": False}}))
    assert open_bundle(folder).predict(tiny.TEXTS[:2])


def test_batches_worked_on_side_by_side_give_the_same_answers_in_their_order(derived: Path, tiny: ModuleType) -> None:
    texts = [text * (1 + place % 9) for place, text in enumerate(tiny.TEXTS * 200)]
    bundle = open_bundle(derived)
    backend: Any = bundle.backend
    assert backend.at_once == cores()
    run, threads = backend.run, set()

    def noted(inputs: Inputs) -> Any:
        threads.add(threading.current_thread().name)
        return run(inputs)

    backend.run = noted
    found = {}
    for backend.at_once in (1, 3):
        threads.clear()
        found[backend.at_once] = bundle.predict_proba(texts)
        assert {name.startswith("answers") for name in threads} == {backend.at_once > 1}
    assert np.array_equal(found[1], found[3])


def test_a_batch_that_fails_beside_others_is_told(derived: Path, tiny: ModuleType) -> None:
    bundle = open_bundle(derived)
    backend: Any = bundle.backend
    backend.at_once, calls = 2, iter(range(1000))

    def broken(inputs: Inputs) -> Any:
        if next(calls) == 3:
            raise BundleRefused("the fourth batch", "none")
        return {"label": np.zeros((len(inputs["text"]["ids"]), 2), np.float32)}

    backend.run = broken
    with pytest.raises(BundleRefused, match="the fourth batch"):
        bundle.predict_proba(tiny.TEXTS * 2000)
