"""The packaged MiniLM weights as the folder that `from_pretrained` reads."""

import json
import shutil
from pathlib import Path

from underlay.models import resolve

CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "type_vocab_size": 2,
    "vocab_size": 30522,
    "pad_token_id": 0,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
"""As published with the weights."""


def checkpoint_folder(work: Path) -> Path:
    """Make the folder once: `config.json`, `model.safetensors`, `tokenizer.json`."""
    folder = work / "minilm"
    if not (folder / "config.json").exists():
        backbone = resolve("minilm")
        if backbone.weights is None:
            raise FileNotFoundError("the packaged trunk has no weights file")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(backbone.weights, folder / "model.safetensors")
        (folder / "tokenizer.json").write_bytes(without_length(backbone.assets["tokenizer.json"]))
        (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


def without_length(tokenizer: bytes) -> bytes:
    """The tokenizer without the truncation and padding (128) stored in it: each arm sets its own."""
    data = json.loads(tokenizer)
    return json.dumps({**data, "truncation": None, "padding": None}, ensure_ascii=False).encode()
