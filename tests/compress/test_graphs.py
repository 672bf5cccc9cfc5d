"""Every trunk, stem, pooling, head and fusion as a graph: the same answers, on any rows, alone or in a batch."""

import numpy as np
import pytest
import torch
from tests.models import test_fused, test_spatial
from tests.models.test_contract import BAGS, FOREIGN, INPUTS, POOLINGS, ROWS, VARIANTS, make

from underlay.bundle import GRAPH_BACKENDS, Graph
from underlay.compress.external import split
from underlay.compress.padded import PADDED, padded
from underlay.compress.tracing import free_axes, names_of, to_onnx, trace
from underlay.core import UsageError
from underlay.models import FUSIONS, STEMS, TRUNKS, build, configure, resolve

SETTINGS = {"threads": 1, "arena": True}
CASES = [
    *(("text.v1", variant, "mean") for variant in [*VARIANTS, *BAGS]),
    *((stem, VARIANTS[0], "last") for stem in INPUTS if stem != "text.v1"),
]
EVERY = [
    *(("text.v1", VARIANTS[3], pooling) for pooling in POOLINGS if pooling != "mean.v1"),
    *((stem, variant, "first") for stem in INPUTS if stem != "text.v1" for variant in VARIANTS[1:]),
]


def arrays(inputs):
    return {column: {name: array.numpy() for name, array in one.items()} for column, one in inputs.items()}


def exported(model, examples):
    """The backend of a model as a graph; traced on the last of the examples."""
    examples = [arrays(example) for example in examples]
    names = names_of(examples[-1])
    program = trace(model, examples[-1], free_axes(examples))
    graph, weights = split(to_onnx(program, names, model.targets))
    config = {"heads": [{"target": target} for target in model.targets]}
    return GRAPH_BACKENDS["onnx.v1"](config, weights, Graph(graph, SETTINGS))


def answers(backend, inputs):
    return backend.run(arrays(inputs))["label"]


def expected(model, inputs):
    with torch.no_grad():
        return model(inputs).logits["label"].numpy()


def check(stem, variant, pooling):
    inputs = INPUTS[stem]
    model = make(stem, variant, pooling)
    backend = exported(model, [inputs([ROWS[2]]), inputs(ROWS)])
    together = expected(model, inputs(ROWS))
    assert together.std(0).min() > 1e-3  # it does look at its input
    np.testing.assert_allclose(answers(backend, inputs(ROWS)), together, rtol=0, atol=2e-5)
    np.testing.assert_allclose(answers(backend, inputs(ROWS, length=16)), together, rtol=0, atol=2e-5)
    alone = np.concatenate([answers(backend, inputs([row])) for row in ROWS])
    np.testing.assert_allclose(alone, together, rtol=0, atol=2e-5)
    np.testing.assert_allclose(answers(backend, inputs([*ROWS, *ROWS])), np.tile(together, (2, 1)), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("stem", "variant", "pooling"), CASES)
def test_a_graph_answers_as_its_model_alone_and_among_others_and_under_more_padding(stem, variant, pooling):
    check(stem, variant, pooling)


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "variant", "pooling"), EVERY)
def test_every_stem_on_every_trunk_answers_as_its_model(stem, variant, pooling):
    check(stem, variant, pooling)


@pytest.mark.parametrize("trunk", test_spatial.SPATIAL)
def test_a_picture_is_seen_by_a_graph_as_by_its_model(trunk):
    model = test_spatial.make(trunk)
    inputs = test_spatial.inputs(test_spatial.pictures())
    backend = exported(model, [inputs])
    np.testing.assert_allclose(answers(backend, inputs), expected(model, inputs), rtol=0, atol=2e-5)
    one = test_spatial.inputs(test_spatial.pictures(rows=1))
    np.testing.assert_allclose(answers(backend, one), expected(model, one), rtol=0, atol=2e-5)


@pytest.mark.parametrize("described", [test_spatial.PATCHES, test_spatial.WITH_TOKEN])
def test_patches_on_a_transformer_are_seen_as_by_its_model(described):
    model = test_spatial.make("transformer.v1", described)
    inputs = test_spatial.inputs(test_spatial.pictures())
    np.testing.assert_allclose(answers(exported(model, [inputs]), inputs), expected(model, inputs), rtol=0, atol=2e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_branches_are_fused_as_by_their_model(fusion):
    model = test_fused.make(fusion)
    backend = exported(model, [test_fused.inputs([1]), test_fused.inputs()])
    for inputs in (test_fused.inputs(), test_fused.inputs(longer=3), test_fused.inputs([0])):
        np.testing.assert_allclose(answers(backend, inputs), expected(model, inputs), rtol=0, atol=2e-5)


def test_two_columns_of_one_trunk_read_each_other_as_in_the_model():
    text, columns = INPUTS["text.v1"], {"title": None, "body": None}
    described = {"name": "text.v1", "vocabulary": 40, "padding": 0, "limit": 16}
    config = configure(
        resolve("convolution", options={"width": 12, "depth": 1, "kernels": [3, 5]}),
        columns=dict.fromkeys(columns, described),
        outputs={"label": 2},
    )
    model = build(config, seed=0).eval()
    batches = [
        {"title": text([[[5, 6]], [[7]]])["text"], "body": text([[[8, 9, 10]], [[11], [12, 13]]])["text"]},
        {"title": text([[[5]], [[7, 8, 9]]])["text"], "body": text([[[8]], [[11, 12]]])["text"]},
    ]
    backend = exported(model, batches)
    for inputs in batches:
        np.testing.assert_allclose(answers(backend, inputs), expected(model, inputs), rtol=0, atol=2e-5)


def test_the_names_of_free_axes_say_what_they_are():
    import onnx

    inputs = INPUTS["text.v1"]
    examples = [arrays(inputs([ROWS[2]])), arrays(inputs(ROWS))]
    model = make()
    made = to_onnx(trace(model, examples[-1], free_axes(examples)), names_of(examples[-1]), model.targets)
    onnx.checker.check_model(made)
    shapes = {each.name: [side.dim_param for side in each.type.tensor_type.shape.dim] for each in made.graph.input}
    assert shapes == {key: ["rows", "text positions"] for key in ["text.ids", "text.mask"]}
    assert [each.name for each in made.graph.output] == ["label.logits"]


def test_a_trunk_that_asks_its_data_for_lengths_is_refused_by_name():
    """A trunk that somebody adds without its padded twin does not become a graph that is wrong."""
    model, inputs = make(), INPUTS["text.v1"]
    twin = PADDED.pop(type(model.trunk))
    try:
        with pytest.raises(UsageError, match="cannot be exported") as refused:
            exported(model, [inputs([ROWS[2]]), inputs(ROWS)])
    finally:
        PADDED[TRUNKS["transformer.v1"]] = twin
    assert refused.value.code == "not_exportable"


@pytest.mark.slow
@pytest.mark.parametrize("variant", FOREIGN)
def test_layers_of_another_library_answer_as_their_model(variant):
    check("text.v1", variant, "mean")


def test_the_original_attends_as_before_it_was_traced():
    """What a trace needs is set on a copy: the layers' configuration is not shared with the model that goes on."""
    pytest.importorskip("transformers")
    model = make(variant=("albert.v1", {}))
    was = [module.config._attn_implementation for module in model.modules() if hasattr(module, "config")]
    assert {"sdpa"} == set(was)
    changed = [module.config._attn_implementation for module in padded(model).modules() if hasattr(module, "config")]
    assert set(changed) == {"underlay_padded"}
    assert was == [module.config._attn_implementation for module in model.modules() if hasattr(module, "config")]


def test_twins_are_of_what_the_registries_hold():
    known = {registry[name] for registry in (STEMS, TRUNKS) for name in registry}
    named = {kind for kind in PADDED if kind.__module__.startswith("underlay.models") and kind in known}
    assert {"TextStem", "TransformerTrunk", "RecurrentTrunk", "EventsStem"} <= {kind.__name__ for kind in named}
    assert all(issubclass(twin, kind) for kind, twin in PADDED.items())
