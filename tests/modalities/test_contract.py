"""What every modality promises, held against every entry of the registry."""

import copy
import json
from functools import cache

import numpy as np
import pytest
from tests.modalities.examples import EXAMPLES, Example

from underlay.core import BundleRefused, Modality, RecipeError, RowError, RowProblem, UnderlayError
from underlay.modalities import MODALITIES


@cache
def example_of(key: str) -> tuple[Example, Modality]:
    found = EXAMPLES[key]()
    return found, found.fitted()


@pytest.fixture(params=EXAMPLES)
def pair(request):
    return example_of(request.param)


def test_every_registered_modality_has_an_example():
    assert {key.partition(" ")[0] for key in EXAMPLES} == set(MODALITIES)


def as_bytes(encoded):
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in encoded.items()}


def same(left, right) -> bool:
    if isinstance(left, RowProblem) or isinstance(right, RowProblem):
        return left == right
    return as_bytes(left) == as_bytes(right)


def content(value) -> object:
    """What a value is, for comparison."""
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_it_is_a_modality_of_its_registry_name(pair):
    example, modality = pair
    assert isinstance(modality, Modality)
    assert modality.name == example.name
    assert MODALITIES[modality.name] is type(modality)
    assert all(isinstance(word, str) and word for word in (modality.trunk, modality.features))
    assert isinstance(modality.files, bool)


def test_fitting_changes_nothing_but_what_it_gives_and_its_seed_decides(pair):
    example, modality = pair
    unfitted = example.unfitted()
    again = unfitted.fit(example.train, rng())
    assert again is not unfitted
    assert example.unfitted() == unfitted
    assert again.state() == modality.state()


def test_encoding_is_pure(pair):
    example, modality = pair
    for value in example.values:
        before = copy.deepcopy(value)
        first, second = modality.encode(value), modality.encode(value)
        assert as_bytes(first) == as_bytes(second)
        assert content(value) == content(before)
        assert all(array.ndim >= 1 and len(array) >= 1 for array in first.values())
        assert all(np.isfinite(array).all() for array in first.values())


def test_many_are_encoded_as_one_and_a_bad_one_is_a_problem_among_good_ones(pair):
    example, modality = pair
    mixed = [*example.values, *example.bad, *example.values]
    answers = modality.encode_many(mixed)
    assert len(answers) == len(mixed)
    for value, answer in zip(mixed, answers, strict=True):
        try:
            alone = modality.encode(value)
        except RowError as error:
            alone = RowProblem(error.code, str(error))
        assert same(answer, alone), value
    bad = answers[len(example.values) : -len(example.values)]
    for value, problem in zip(example.bad, bad, strict=True):
        assert isinstance(problem, RowProblem), value
        assert problem.code.isidentifier()
        assert problem.message
    assert modality.encode_many([]) == []


def test_a_row_does_not_depend_on_its_batch_mates_but_for_padding(pair):
    example, modality = pair
    rows = [modality.encode(value) for value in example.values]
    together = modality.collate(rows)
    assert all(len(array) == len(rows) for array in together.values())
    for place, row in enumerate(rows):
        alone = modality.collate([row])
        assert set(alone) == set(together)
        for name, array in alone.items():
            wide = together[name][place]
            assert wide.dtype == array.dtype
            inside = tuple(slice(0, size) for size in array.shape[1:])
            np.testing.assert_array_equal(wide[inside], array[0])
    again = modality.collate(rows[::-1])
    assert all(np.array_equal(again[name][::-1], together[name]) for name in together)


def test_every_row_takes_a_position_and_no_more_than_the_limit(pair):
    example, modality = pair
    limit = modality.describe().get("limit")
    for value in example.values:
        length = modality.length(modality.encode(value))
        assert isinstance(length, int)
        assert length >= 1
        assert limit is None or length <= limit


def test_parts_are_in_order_and_within_the_value(pair):
    example, modality = pair
    for value in example.values:
        parts = modality.parts(value)
        assert parts, value
        starts = [part.start for part in parts]
        assert starts == sorted(starts)
        for part in parts:
            assert 0 <= part.start < part.stop <= example.end(value)
            assert isinstance(part.text, str)


def test_taking_nothing_out_changes_nothing_and_taking_all_out_gives_the_neutral_input(pair):
    example, modality = pair
    neutral = []
    for value in example.values:
        assert same(modality.encode(modality.without(value, ())), modality.encode(value))
        parts = modality.parts(value)
        emptied = modality.without(value, parts)
        encoded = modality.encode(emptied)
        assert not same(encoded, modality.encode(value)), value
        assert same(modality.encode(modality.without(emptied, modality.parts(emptied))), encoded)
        neutral.append(as_bytes(encoded) if modality.length(encoded) == 1 else None)
        if len(parts) > 1:
            less = modality.without(value, parts[:1])
            modality.encode(less)
            assert content(less) != content(value)
    if all(neutral):  # a neutral input of one position is the same for all
        assert len({str(sorted(row.items())) for row in neutral}) == 1


def test_changed_values_can_be_read(pair):
    example, modality = pair
    for value in example.values:
        before = copy.deepcopy(value)
        for seed in range(5):
            modality.encode(modality.augment(value, rng(seed)))
        for other in modality.substitutes(value, modality.parts(value)[0]):
            assert content(other) != content(value)
            modality.encode(other)
        assert content(value) == content(before)


def test_every_damage_can_be_read_and_is_drawn_from_the_generator(pair):
    example, modality = pair
    for kind in example.kinds:
        for severity in (1, 3, 5):
            for value in example.values:
                damaged = [modality.corrupt(value, kind, severity, rng(7)) for _ in range(2)]
                one, other = modality.encode_many(damaged)
                assert same(one, other)
        damaged = [
            (content(modality.corrupt(value, kind, 5, rng(seed))), content(value))
            for value in example.values
            for seed in range(8)
        ]
        assert any(after != before for after, before in damaged), kind


@pytest.mark.parametrize(("kind", "severity"), [("no such damage", 1), (None, 0), (None, 6)])
def test_a_damage_that_is_none_is_refused(pair, kind, severity):
    example, modality = pair
    with pytest.raises(UnderlayError) as refused:
        modality.corrupt(example.values[0], kind or example.kinds[0], severity, rng())
    assert refused.value.exit_code == 2


def test_pictures_of_weights_are_html_that_a_value_cannot_break(pair):
    example, modality = pair
    for value in example.values:
        weights = np.linspace(-1, 1, len(modality.parts(value))).tolist()
        shown = modality.render(value, weights)
        assert isinstance(shown, str)
        assert shown
        assert "<script" not in shown


def test_probes_are_json_and_can_be_read_and_the_seed_decides(pair):
    _, modality = pair
    probes = [modality.probe(rng(seed)) for seed in range(30)]
    for seed, probe in enumerate(probes):
        again = json.loads(json.dumps(probe, allow_nan=False))
        assert same(modality.encode(again), modality.encode(modality.probe(rng(seed))))
    assert len({str(as_bytes(modality.encode(probe))) for probe in probes}) > 3


def test_state_comes_back_whole(pair):
    example, modality = pair
    files = modality.state()
    assert all(isinstance(name, str) and isinstance(content, bytes) for name, content in files.items())
    again = type(modality).from_state(files)
    assert again.state() == files
    assert again.describe() == modality.describe()
    assert again.facts() == modality.facts()
    for value in [*example.values, *(modality.probe(rng(seed)) for seed in range(5))]:
        assert same(again.encode(value), modality.encode(value))
        assert np.array_equal(again.fingerprint(value), modality.fingerprint(value))


def test_state_that_is_foreign_is_refused(pair):
    _, modality = pair
    files = dict(modality.state())
    for name in files:
        missing = {other: content for other, content in files.items() if other != name}
        broken = [missing, {**files, name: b""}, {**files, name: b"no"}, {**files, name: b"{}"}, {**files, name: b"[]"}]
        for foreign in [*broken, {**files, "stranger.json": b"{}"}]:
            with pytest.raises(BundleRefused):
                type(modality).from_state(foreign)
    with pytest.raises(BundleRefused):
        type(modality).from_state({})


def test_what_describes_it_and_what_it_found_is_plain_data(pair):
    _, modality = pair
    described = modality.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert isinstance(described["name"], str)
    facts = modality.facts()
    json.dumps(facts, allow_nan=False)
    assert all(isinstance(warning, str) for warning in facts.get("warnings", ()))


def test_a_sketch_is_plain_data_without_any_value(pair):
    example, modality = pair
    sketch = modality.sketch(iter([*example.train, *example.bad]))
    written = json.dumps(sketch, allow_nan=False)
    assert sketch["rows"] >= 1
    assert not example.secret or example.secret not in written
    json.dumps(modality.sketch([]), allow_nan=False)


def test_fingerprints_are_sorted_and_distinct_and_equal_for_equal_values(pair):
    example, modality = pair
    for value in [*example.values, *example.bad, None]:
        found = modality.fingerprint(value)
        assert found.dtype == np.uint64
        assert (found[1:] > found[:-1]).all()
        assert np.array_equal(found, modality.fingerprint(copy.deepcopy(value)))
    for left, right in example.same:
        assert np.array_equal(modality.fingerprint(left), modality.fingerprint(right)), (left, right)
    prints = {modality.fingerprint(value).tobytes() for value in example.values}
    assert len(prints) > 1


def test_the_classical_features_are_finite_numbers_and_survive_what_cannot_be_used(pair):
    example, modality = pair
    transformer = modality.classical()
    train = [value for value in example.train if not isinstance(modality.encode_many([value])[0], RowProblem)]
    seen = transformer.fit_transform(train)
    asked = transformer.transform([*example.values, *example.bad, None])
    assert asked.shape == (len(example.values) + len(example.bad) + 1, seen.shape[1])
    dense = asked.toarray() if hasattr(asked, "toarray") else np.asarray(asked)
    assert np.isfinite(dense.astype(float)).all()
    assert len({row.tobytes() for row in dense[: len(example.values)]}) > 1


def test_an_option_it_does_not_have_is_refused(pair):
    example, _ = pair
    with pytest.raises(RecipeError, match="nonsense"):
        MODALITIES[example.name].create(assets={}, limit=None, options={"nonsense": 1})
