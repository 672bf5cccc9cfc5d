"""Convolutions of eight bits: near what they stand for, the same alone and in a batch, and a broken number is seen."""

import collections
import functools
import json

import numpy as np
import pytest
import torch
from tests.compress import bundles
from tests.compress.test_graphs import arrays
from tests.models import test_spatial
from tests.models.test_contract import INPUTS, ROWS, VARIANTS, make

from underlay.compress import eight_bits, export
from underlay.compress.convolutions import Convolution, convolutions
from underlay.compress.int8 import quantised
from underlay.compress.levels import calibrate
from underlay.compress.operators import Operator, compare_operators, require_operators
from underlay.compress.planes import Grid, _best, fit_grids, values_of
from underlay.compress.products import products
from underlay.compress.tracing import free_axes, names_of, to_onnx, trace
from underlay.core import GateNotMet, UsageError

QUICKLY = ("efficientnet.v1", "inception.v1")
CHANNELS = [name for name, options in VARIANTS if name in ("convolution.v1", "inception.v1", "residual1d.v1")]
CASES = [
    name if name in QUICKLY else pytest.param(name, marks=pytest.mark.slow)
    for name in [*test_spatial.SPATIAL, *CHANNELS]
]


@functools.cache
def traced(trunk: str):
    """The graph of a model with this trunk in fp32, batches it was calibrated on, and its levels."""
    if trunk in test_spatial.SPATIAL:
        model, batches = test_spatial.make(trunk), [test_spatial.inputs(test_spatial.pictures(6))]
        examples = batches
    else:
        model, inputs = make("series.v1", (trunk, {}), "mean"), INPUTS["series.v1"]
        examples, batches = [inputs([ROWS[2]]), inputs(ROWS)], [inputs([row]) for row in ROWS]
    batches = [arrays(batch) for batch in batches]
    given = [arrays(example) for example in examples]
    graph = to_onnx(trace(model, given[-1], free_axes(given)), names_of(given[-1]), model.targets)
    levels = calibrate(graph, products(graph), batches) if products(graph) else {}
    grids = fit_grids(graph, values_of(convolutions(graph).values()), batches)
    return graph, batches, given[-1], levels, grids


def run(graph, inputs, *, optimised=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {f"{column}.{name}": array for column, one in inputs.items() for name, array in one.items()}
    return session.run(None, {one.name: given[one.name] for one in session.get_inputs()})[0]


@pytest.mark.parametrize("trunk", CASES)
def test_every_convolution_is_of_eight_bits_and_the_answer_is_near(trunk, tmp_path):
    import onnx

    graph, batches, together, levels, grids = traced(trunk)
    made = quantised(graph, levels=levels, grids=grids)
    onnx.checker.check_model(made)
    found = compare_operators(graph, made, batches)
    assert {one.name for one in found} >= set(convolutions(graph))
    require_operators(found)
    assert max(one.noise for one in found) < 0.03
    was, now = run(graph, together), run(made, together, optimised=tmp_path / "optimised.onnx")
    np.testing.assert_allclose(now, was, rtol=0, atol=0.1 * np.abs(was).max())
    kinds = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert kinds["QLinearConv"] == len(convolutions(graph))  # whole numbers from end to end, no way back in between


@pytest.mark.parametrize("trunk", CASES)
def test_a_row_of_eight_bits_gives_alone_what_it_gives_in_a_batch(trunk):
    graph, _, together, levels, grids = traced(trunk)
    made = quantised(graph, levels=levels, grids=grids)
    rows = len(next(iter(next(iter(together.values())).values())))
    alone = [
        run(
            made,
            {column: {key: array[row : row + 1] for key, array in one.items()} for column, one in together.items()},
        )
        for row in range(rows)
    ]
    np.testing.assert_allclose(np.concatenate(alone), run(made, together), rtol=0, atol=2e-5)


def double_a_scale(model):
    tensor = next(one for one in model.graph.initializer if one.name.endswith("/scale"))
    change(tensor, lambda scale: np.where(np.arange(scale.size) == 1, 2 * scale, scale))


def count_a_bias_in_another_unit(model):
    change(next(one for one in model.graph.initializer if one.name.endswith("/bias")), lambda bias: 16 * bias)


def turn_the_filters(model):
    tensor = next(one for one in model.graph.initializer if one.name.endswith("/int8") and one.dims[-1] > 1)
    change(tensor, lambda filters: filters[..., ::-1])


def move_a_zero(model):
    """What was put on levels around one zero is read around another."""
    import onnx

    model.graph.initializer.append(onnx.numpy_helper.from_array(np.uint8(60), "another zero"))
    next(node for node in model.graph.node if node.input[0].endswith("/small")).input[2] = "another zero"


def change(tensor, by):
    import onnx

    name, was = tensor.name, onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(by(was)).astype(was.dtype), name))


@pytest.mark.parametrize("fault", [double_a_scale, count_a_bias_in_another_unit, turn_the_filters, move_a_zero])
def test_one_thing_broken_in_a_convolution_is_seen(fault):
    graph, batches, _, levels, grids = traced("efficientnet.v1")
    made = quantised(graph, levels=levels, grids=grids)
    fault(made)
    with pytest.raises(GateNotMet, match="wrong"):
        require_operators(compare_operators(graph, made, batches))


def test_a_convolution_that_is_kept_stays_in_fp32():
    graph, batches, _, levels, grids = traced("efficientnet.v1")
    first, *others = convolutions(graph)
    made = quantised(graph, levels=levels, grids=grids, kept={first})
    assert first in convolutions(made)
    assert {one.name for one in compare_operators(graph, made, batches)} >= set(others)


@pytest.mark.parametrize(
    ("shape", "weight", "groups", "sides"),
    [
        ((2, 6, 9), (4, 6, 3), 1, {"strides": [2], "pads": [1, 2], "dilations": [2]}),
        ((2, 6, 9, 8), (6, 1, 5, 3), 6, {"strides": [1, 2], "pads": [0, 1, 3, 2], "dilations": [1, 1]}),
    ],
)
def test_what_a_convolution_means_is_what_onnx_computes(shape, weight, groups, sides):
    import onnx

    rng = np.random.default_rng(0)
    values, filters, shift = (rng.standard_normal(one).astype(np.float32) for one in (shape, weight, weight[:1]))
    make = onnx.helper
    value = [make.make_tensor_value_info(name, 1, None) for name in ("x.x", "y")]
    attributes = {**sides, "group": groups}
    nodes = [make.make_node("Conv", ["x.x", "w", "b"], ["c"], **attributes), make.make_node("Relu", ["c"], ["y"])]
    tensors = [onnx.numpy_helper.from_array(array, name) for array, name in ((filters, "w"), (shift, "b"))]
    graph = make.make_graph(nodes, "g", value[:1], value[1:], tensors)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 20)], ir_version=10)
    one = Convolution("c", "x.x", "y", "w", filters, "b", shift, 0.0, np.inf, sides, groups)
    np.testing.assert_allclose(one.meant(values), run(model, {"x": {"x": values}}), rtol=1e-4, atol=1e-5)


def test_a_rare_value_is_cut_off_and_zero_is_a_level():
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.uniform(0, 1, 200_000), [1.2]])
    assert _best(seen).zero == 0
    assert _best(seen).step < 0.95 * 1.2 / 255
    assert _best(np.array([-1.0, 3.0])).zero == 64
    assert isinstance(_best(np.zeros(4)), Grid)


def pictures(folder, **options):
    return bundles.sealed(folder, {"value": bundles.fitted("image.v1")}, trunk="residual.v1", **options)


@pytest.mark.slow
def test_a_bundle_of_convolutions_is_exported_in_eight_bits(tmp_path):
    folder = pictures(tmp_path / "bundle", stages=[[1, 32], [1, 64]], width=64)
    said = []
    rows = {"value": bundles.values("image.v1")}
    found = export(folder, tmp_path / "out", int8=True, static=True, columns=rows, seconds=0.02, listener=said.append)
    assert found.eight_bits.operators >= 5
    assert found.bytes_after < 0.5 * found.bytes_before
    assert json.loads((tmp_path / "out" / "export.json").read_text())["eight_bits"]["stays"] == []


def test_a_few_poor_convolutions_stay_and_many_are_a_fault():
    names = [f"conv{number}" for number in range(8)]
    found = [Operator(name, name, 0.01, 0.5 if number < 2 else 0.0) for number, name in enumerate(names)]
    assert eight_bits.poor_convolutions(found, names) == ("conv0", "conv1")
    assert eight_bits.poor_convolutions([Operator(name, name, 0.5, 0.0) for name in names], names) == ()
    assert eight_bits.poor_convolutions([Operator("the levels of x", "x", 0.5, 0.5)], names) == ()


def test_convolutions_and_recurrent_layers_that_stay_are_named():
    graph, *_ = traced("efficientnet.v1")
    assert eight_bits._staying(graph, static=True) == ()
    (said,) = eight_bits._staying(graph, static=False)
    assert "10 convolutions stay in fp32" in said
    with pytest.raises(UsageError, match=r"large enough for eight bits; 10 convolutions .*--static"):
        eight_bits.in_eight_bits(graph, eight_bits.Shown(None, ()), eight_bits.Asked(), ready=lambda model: None)


@pytest.mark.slow
def test_recurrent_layers_stay_and_what_is_around_them_does_not(tmp_path):
    text = bundles.fitted("text.v1", vocabulary=400)
    folder = bundles.sealed(tmp_path / "bundle", {"text": text}, trunk="recurrent.v1", width=64)
    said = []
    found = export(folder, tmp_path / "out", int8=True, seconds=0.02, listener=said.append)
    assert found.eight_bits.operators >= 1
    assert found.eight_bits.stays == ("1 recurrent layers stay in fp32: ONNX has no recurrent operation of eight bits",)
    assert any("recurrent layers stay" in event.text for event in said)


def test_torch_reads_what_onnx_pads():
    """Padding before an axis and behind it are told in another order by the two."""
    one = Convolution("c", "x", "c", "w", np.ones((1, 1, 1, 1), np.float32), None, np.zeros(1, np.float32),
                      -np.inf, np.inf, {"strides": [1, 1], "pads": [1, 0, 0, 2], "dilations": [1, 1]}, 1)  # fmt: skip
    found = one.meant(torch.ones(1, 1, 1, 1).numpy())
    assert found[0, 0].tolist() == [[0, 0, 0], [1, 0, 0]]


@pytest.mark.slow
def test_the_packaged_network_for_pictures_sees_the_same_in_eight_bits():
    """EfficientNet-Lite0 with its trained weights, on digits that are drawn as 96 x 96 pictures."""
    from sklearn.datasets import load_digits
    from tests.parity.test_efficientnet import made

    digits = (load_digits().images[:64] * 15).astype(np.uint8).repeat(12, 1).repeat(12, 2)  # [64, 96, 96]
    pixels = np.repeat(digits[..., None], 3, axis=3)
    batches = [{"image": {"pixels": pixels[start : start + 8]}} for start in range(0, 64, 8)]
    model = made(96)
    graph = to_onnx(trace(model, batches[0], free_axes(batches)), names_of(batches[0]), model.targets)
    windows = convolutions(graph)
    assert len(windows) == 49
    grids = fit_grids(graph, values_of(windows.values()), batches[:4])
    small = quantised(graph, levels={}, grids=grids)
    found = compare_operators(graph, small, batches[4:6])
    poor = eight_bits.poor_convolutions(found, windows)
    assert len(poor) <= 3
    small = quantised(graph, levels={}, grids=grids, kept=poor)
    require_operators(compare_operators(graph, small, batches[4:6]))
    held = {"image": {"pixels": pixels[32:]}}
    was, now = run(graph, held), run(small, held)
    assert np.corrcoef(was.ravel(), now.ravel())[0, 1] > 0.95
    assert len(small.SerializeToString()) < 0.3 * len(graph.SerializeToString())
