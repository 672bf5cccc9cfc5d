"""Every kind of checkpoint, tiny and random: probed, partly frozen, fitted, sealed, answered without it, resumed."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.strategies.conftest import tiny
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from underlay.bundle import open_bundle, verify
from underlay.data import open_table
from underlay.models import resolve
from underlay.strategies import fine_tune

pytest.importorskip("transformers", reason="it writes the checkpoints")
pytest.importorskip("soundfile", reason="the extra audio is not installed")
from tests.modalities.sounds import write_classes
from tests.parity import test_foreign, test_sounds

TEXTS = ("electra", "deberta-v3", "albert", "modernbert")
SOUNDS = ("ast", "wav2vec2", "wav2vec2-large", "whisper")
PICTURES = ("resnet-18", "resnet-50", "convnext")
FROZEN = ("train.freeze=2", "train.probe=true", "train.layer_decay=0.5")
TWO_STEPS = ("train.epochs=1", "train.repeat=1", "train.batch_rows=24", "train.batch_tokens=100000")
TWO_STEPS += ("train.checkpoint_every=1", "train.early_stopping=0", "model.options={}")
ROWS = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """Sixty texts, recordings and pictures."""
    place = tmp_path_factory.mktemp("data")
    table = open_table("sample:movie-snippets")
    rows = range(0, len(table), len(table) // ROWS)
    texts = [text.replace('"', "'") for text in table.values("text", list(rows))]
    lines = [f'"{text}",{label}' for text, label in zip(texts, table.values("label", list(rows)), strict=True)]
    (place / "texts.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    digits = open_table("sample:digits")
    for row, (picture, label) in enumerate(zip(digits.values("image"), digits.values("label"), strict=True)):
        if int(label) < 3 and row < 7 * ROWS // 2:
            (place / "digits" / label).mkdir(parents=True, exist_ok=True)
            (place / "digits" / label / f"{row:04}.png").write_bytes(picture)
    return {"text": place / "texts.csv", "image": place / "digits", "audio": write_classes(place / "sounds", 20)}


def modality_of(kind: str) -> str:
    return "text" if kind in TEXTS else "audio" if kind in SOUNDS else "image"


def checkpoint(kind: str, folder: Path, data: dict[str, Path]) -> Path:
    """A folder as `transformers` writes it, its tokenizer trained on the texts."""
    if kind in SOUNDS:
        test_sounds.reference(kind).save_pretrained(folder)
        test_sounds.extractor(kind).save_pretrained(folder)
        return folder
    made = test_foreign.THEIRS.get(kind) or test_foreign.NETS[kind]
    test_foreign.shaken(made).save_pretrained(folder)
    if kind in TEXTS:
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=120, special_tokens=["[PAD]", "[UNK]"])
        tokenizer.train_from_iterator(data["text"].read_text(encoding="utf-8").splitlines(), trainer)
        tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def recipe(folder: Path, kind: str, *more: str):
    read = "model.read={image: {size: 32}}" if kind in PICTURES else "model.long=head"
    return tiny(f"model.trunk={folder}", *TWO_STEPS, read, *more)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [*TEXTS, *SOUNDS, *PICTURES])
def test_a_checkpoint_is_fitted_sealed_answered_without_it_and_resumed(kind, data, tmp_path, monkeypatch):
    folder, source = checkpoint(kind, tmp_path / "checkpoint", data), str(data[modality_of(kind)])
    said = []
    fitted = fine_tune(source, recipe=recipe(folder, kind, *FROZEN), out=tmp_path / "b", listener=said.append)
    assert any("fitting the head on the frozen model" in event.text for event in said)
    kept = load_file(fitted.bundle.path / "model.safetensors")
    first = started(fitted, folder)
    stem = [name for name in first if name.startswith("stems.")]
    low = [name for name in first if name.startswith(("trunk.layers.0.", "trunk.encoder."))]
    high = [name for name in first if name.startswith("trunk.") and name not in low]
    assert low
    assert all(torch.equal(kept[name], first[name]) for name in [*stem, *low])
    assert bool(high) == (kind != "albert")  # its one layer rests
    assert all(
        not torch.equal(kept[name], first[name]) for name in high if name.endswith("weight") and "rel" not in name
    )

    def stop(event):
        if event.kind == "progress" and event.data.get("step") == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(source, recipe=recipe(folder, kind, *FROZEN), out=tmp_path / "again", listener=stop)
    fine_tune(source, recipe=recipe(folder, kind, *FROZEN), out=tmp_path / "again", resume=True)
    for name in ("model.safetensors", "golden.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (fitted.bundle.path / name).read_bytes()

    shutil.rmtree(folder)
    monkeypatch.setenv("UNDERLAY_OFFLINE", "1")
    bundle = open_bundle(fitted.bundle.path)
    assert verify(bundle.path).golden.difference < 1e-5
    column = bundle.schema.columns[0].name
    values = open_table(source).with_files([column] if kind not in TEXTS else []).values(column)[:5]
    together = bundle.answer({column: values}).logits["label"]
    alone = np.concatenate([bundle.answer({column: [value]}).logits["label"] for value in values])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 0


def started(fitted, folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the checkpoint in the bundle's model, by its names."""
    from underlay.models import build

    config = json.loads((fitted.bundle.path / "config.json").read_text(encoding="utf-8"))
    model = build(config.get("model", config), seed=0)
    resolve(str(folder)).load(model)
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("heads.")}


@pytest.mark.parametrize("frozen", [1, 3, 99])
def test_any_number_of_layers_may_rest_and_all_but_the_head_too(frozen, data, tmp_path):
    folder = checkpoint("deberta-v3", tmp_path / "checkpoint", data)
    fitted = fine_tune(
        str(data["text"]), recipe=recipe(folder, "deberta-v3", f"train.freeze={frozen}"), out=tmp_path / "b"
    )
    kept, first = load_file(fitted.bundle.path / "model.safetensors"), started(fitted, folder)
    same = {name for name in first if torch.equal(kept[name], first[name])}
    rest = [name for name in first if name.startswith("trunk.layers.")]
    assert {int(name.split(".")[2]) for name in rest if name not in same} == set(range(max(0, frozen - 1), 4))
    assert verify(fitted.bundle.path).golden.difference < 1e-5


def test_a_bundle_of_layers_of_transformers_names_the_extra_where_it_is_absent(data, tmp_path, monkeypatch):
    from underlay.core import MissingExtra

    folder = checkpoint("albert", tmp_path / "checkpoint", data)
    fitted = fine_tune(str(data["text"]), recipe=recipe(folder, "albert"), out=tmp_path / "b")
    assert find_spec("transformers") is not None
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"underlay\[hf\]"):
        open_bundle(fitted.bundle.path).answer({"text": ["a film"]})
