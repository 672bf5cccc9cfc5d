"""Bundles of our own models under PyTorch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from underlay.bundle import Contents, open_bundle, seal, verify
from underlay.bundle.layout import MANIFEST
from underlay.bundle.weights import read_weights, write_weights
from underlay.core import BundleRefused, Column, Schema, Target
from underlay.modalities import Text
from underlay.models import build, configure, resolve

SMALL = {"width": 32, "depth": 2, "heads": 2, "inner": 64}


@pytest.fixture(scope="module")
def made(tiny: ModuleType) -> Contents:
    backbone = resolve("transformer", options=SMALL)
    text = Text.create(assets={}, limit=64, options={"vocabulary": 400}).fit(tiny.TEXTS, np.random.default_rng(0))
    schema = Schema((Column("text", "text"),), (Target("label", "multiclass", ("a", "b", "c")),))
    model = configure(backbone, columns={"text": text.describe()}, outputs={"label": 3})
    built = build(model, seed=0)
    with torch.no_grad():  # an untrained head hardly tells texts apart
        for name, parameter in built.named_parameters():
            if name.startswith("heads"):
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    return Contents(schema, {"text": text}, model, built.state_dict())


@pytest.fixture(scope="module")
def folder(made: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("torch") / "bundle"
    seal(place, made)
    return place


@pytest.fixture
def broken(folder: Path, tiny: ModuleType, tmp_path: Path) -> Callable[[str, Callable[[bytes], bytes]], BundleRefused]:
    """Change one file, seal anew, and give the refusal."""

    def apply(name: str, change: Callable[[bytes], bytes]) -> BundleRefused:
        copied = shutil.copytree(folder, tmp_path / f"copy-{len(list(tmp_path.iterdir()))}")
        (copied / name).write_bytes(change((copied / name).read_bytes()))
        tiny.reseal(copied)
        with pytest.raises(BundleRefused) as caught:
            open_bundle(copied)
        return caught.value

    return apply


def model_config(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        config = json.loads(data)
        change(config["model"])
        return json.dumps(config).encode()

    return apply


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        arrays = dict(read_weights(data))
        change(arrays)
        return write_weights(arrays)

    return apply


def test_a_sealed_model_answers_as_the_model_in_memory_did(made: Contents, folder: Path, tiny: ModuleType) -> None:
    model = build(made.model, seed=1)
    model.load_state_dict(dict(made.weights))
    model.eval()
    text = made.modalities["text"]
    inputs = text.collate([text.encode(value) for value in tiny.TEXTS])
    with torch.inference_mode():
        batch = {"text": {name: torch.from_numpy(array) for name, array in inputs.items()}}
        expected = model(batch).logits["label"].softmax(-1)
    assert np.abs(open_bundle(folder).predict_proba(tiny.TEXTS) - expected.numpy()).max() < 1e-5


def test_golden_rows_of_a_torch_bundle_replay_exactly(folder: Path) -> None:
    assert verify(folder).golden.difference <= 1e-6


@pytest.mark.row("B07")
def test_a_changed_dtype_or_shape_of_the_same_byte_count_is_a_schema_mismatch(
    broken: Callable[..., BundleRefused],
) -> None:
    def change(rewrite: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], None]:
        def apply(arrays: dict[str, np.ndarray]) -> None:
            name = next(name for name, array in sorted(arrays.items()) if array.ndim == 2)
            arrays[name] = rewrite(arrays[name])

        return apply

    for rewrite in (
        lambda array: array.view(np.int32),
        lambda array: array.reshape(array.shape[1], array.shape[0]),
        lambda array: array.reshape(-1),
        lambda array: array[:-1],
    ):
        error = broken("model.safetensors", tensors(change(rewrite)))
        assert error.code == "schema_mismatch"
        assert "the model has" in str(error)


@pytest.mark.row("B07")
def test_a_renamed_missing_or_added_tensor_is_a_schema_mismatch(broken: Callable[..., BundleRefused]) -> None:
    extra = {"../../etc/passwd": np.zeros(1, dtype=np.float32)}
    assert broken("model.safetensors", tensors(lambda arrays: arrays.update(extra))).code == "schema_mismatch"
    assert broken("model.safetensors", tensors(lambda arrays: arrays.popitem())).code == "schema_mismatch"


@pytest.mark.row("B08")
def test_a_weight_that_is_not_finite_is_refused(broken: Callable[..., BundleRefused]) -> None:
    def poison(arrays: dict[str, np.ndarray]) -> None:
        name = max(arrays)
        arrays[name] = arrays[name].copy()
        arrays[name].flat[-1] = np.nan

    error = broken("model.safetensors", tensors(poison))
    assert error.code == "not_finite"


@pytest.mark.row("B09")
def test_more_outputs_than_labels_are_refused(broken: Callable[..., BundleRefused]) -> None:
    error = broken("config.json", model_config(lambda model: model["heads"][0].update(outputs=4)))
    assert error.code == "labels"


@pytest.mark.row("B10")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda model: model.update(auto_map="evil.Model"), "config_key"),
        (lambda model: model["trunk"].update(hub="hf:owner/name"), "config_key"),
        (lambda model: model["trunk"].update(name="os.system"), "config_name"),
        (lambda model: model["trunk"].update(name="transformer.v999"), "config_name"),
        (lambda model: model["stems"][0].update(url="https://example.org"), "config_key"),
        (lambda model: model["heads"][0].update(script="x.py"), "config_key"),
        (lambda model: model.pop("trunk"), "config_key"),
        (lambda model: model["trunk"].update(width="32"), "config_value"),
    ],
)
def test_a_model_config_that_asks_for_more_than_our_registry_is_refused(
    broken: Callable[..., BundleRefused], change: Callable[[dict[str, Any]], object], code: str
) -> None:
    assert broken("config.json", model_config(change)).code == code


@pytest.mark.row("B18")
def test_a_config_that_asks_for_far_more_memory_than_its_weights_is_refused_before_allocation(
    broken: Callable[..., BundleRefused],
) -> None:
    for change in (
        lambda model: model["trunk"].update(width=1 << 20),
        lambda model: model["trunk"].update(depth=1_000_000),
        lambda model: model["stems"][0].update(vocabulary=10_000_000_000),
    ):
        assert broken("config.json", model_config(change)).code == "config_value"


@pytest.mark.row("B13")
def test_a_swapped_head_is_caught_by_the_golden_rows(broken: Callable[..., BundleRefused]) -> None:
    def swap(arrays: dict[str, np.ndarray]) -> None:
        for name in [name for name in arrays if name.startswith("heads")]:
            arrays[name] = np.ascontiguousarray(arrays[name][::-1])

    assert broken("model.safetensors", tensors(swap)).code == "golden"


def test_a_vocabulary_larger_than_the_stem_is_refused(broken: Callable[..., BundleRefused]) -> None:
    def enlarge(data: bytes) -> bytes:
        tokenizer = json.loads(data)
        vocabulary = tokenizer["model"]["vocab"]
        shifted = {name: number + (1_000 if number > 4 else 0) for name, number in vocabulary.items()}
        return json.dumps(tokenizer | {"model": tokenizer["model"] | {"vocab": shifted}}).encode()

    assert broken("modality/00/tokenizer.json", enlarge).code in ("golden", "tokenizer", "modality", "schema_mismatch")


@pytest.mark.row("B19")
def test_the_model_holds_its_own_copy_of_the_weights(made: Contents, tmp_path: Path, tiny: ModuleType) -> None:
    bundle = seal(tmp_path / "bundle", made)
    before = bundle.predict_proba(tiny.TEXTS)
    (tmp_path / "bundle" / "model.safetensors").write_bytes(b"")
    (tmp_path / "bundle" / MANIFEST).unlink()
    assert np.array_equal(bundle.predict_proba(tiny.TEXTS), before)
