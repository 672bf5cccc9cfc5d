"""A bundle of the default text trunk, written out as other tools read it: a transformers folder and a plain ONNX file.

The weights are the same; what stands in the way of comparing like with like is only that our head reads the mean of all
positions, where the `BertForSequenceClassification` of transformers has a pooler of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput

from underlay.bundle import Bundle

HEAD = "head.npz"
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


class MeanPooledBert(BertPreTrainedModel):
    """BERT, the mean of its positions, one linear layer: what our text model with a linear head computes."""

    config_class = BertConfig

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Logits `[B, K]`."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # [B, L, D]
        weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        return SequenceClassifierOutput(logits=self.classifier(mean))


class Logits(nn.Module):
    """The same with one tensor as its answer, for a graph."""

    def __init__(self, model: MeanPooledBert) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids, attention_mask).logits


def write_checkpoint(bundle: Bundle, folder: Path) -> None:
    """`config.json`, `model.safetensors` of a `BertModel`, the tokenizer's files and the head beside them.

    Raises:
        ValueError: The bundle is no text model of the default trunk under a linear head.
    """
    (column,), (target,) = bundle.schema.columns, bundle.schema.targets
    model: Any = bundle.config
    trunk, (stem,) = model["trunk"], model["stems"]
    head = [one["name"] for one in model["heads"]]
    if (trunk["name"], model["pooling"]["name"], head) != ("transformer.v1", "mean.v1", ["linear.v1"]):
        raise ValueError(f"a {trunk['name']} under {model['pooling']['name']} and {head} is not what BERT computes")
    if bundle.path is None:
        raise ValueError("the bundle stands on no disk")
    config = BertConfig(
        vocab_size=stem["vocabulary"],
        hidden_size=trunk["width"],
        num_hidden_layers=trunk["depth"],
        num_attention_heads=trunk["heads"],
        intermediate_size=trunk["inner"],
        max_position_embeddings=stem["positions"],
        layer_norm_eps=trunk["norm_eps"],
        type_vocab_size=1,
        position_embedding_type="absolute",  # CTranslate2 asks for it, transformers 5 has no other
        id2label=dict(enumerate(target.labels)),
        label2id={label: number for number, label in enumerate(target.labels)},
    )
    weights = load_file(bundle.path / "model.safetensors")
    bert = BertModel(config, add_pooling_layer=False)
    state = {name: torch.from_numpy(array.copy()) for name, array in bert_weights(weights, column.name, trunk["depth"])}
    state["embeddings.token_type_embeddings.weight"] = torch.zeros(1, trunk["width"])
    missing = set(bert.load_state_dict(state, strict=False).missing_keys) - {"embeddings.position_ids"}
    if missing:
        raise ValueError(f"no weight for {sorted(missing)[:3]}")
    bert.save_pretrained(folder)
    named = {name.rpartition(".")[2]: weights[name] for name in weights if name.startswith("heads.")}
    np.savez(folder / HEAD, weight=named["weight"], bias=named["bias"])
    modality: Any = bundle.modalities[column.name]
    (folder / "plain.json").write_bytes(modality.subwords.file)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "plain.json"), model_max_length=modality.max_length, **SPECIAL
    )
    tokenizer.save_pretrained(folder)
    (folder / "plain.json").unlink()


def bert_weights(weights: dict[str, np.ndarray], column: str, depth: int) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of a `BertModel`, by its names."""
    stem = f"stems.{column}"
    yield "embeddings.word_embeddings.weight", weights[f"{stem}.words.weight"]
    yield "embeddings.position_embeddings.weight", weights[f"{stem}.places.weight"]
    for part in ("weight", "bias"):
        yield f"embeddings.LayerNorm.{part}", weights[f"{stem}.norm.{part}"]
        for layer in range(depth):
            ours, theirs = f"trunk.layers.{layer}", f"encoder.layer.{layer}"
            for name, array in zip(
                ("query", "key", "value"), np.split(weights[f"{ours}.attention.qkv.{part}"], 3), strict=True
            ):
                yield f"{theirs}.attention.self.{name}.{part}", array
            yield f"{theirs}.attention.output.dense.{part}", weights[f"{ours}.attention.out.{part}"]
            yield f"{theirs}.attention.output.LayerNorm.{part}", weights[f"{ours}.attention_norm.{part}"]
            yield f"{theirs}.intermediate.dense.{part}", weights[f"{ours}.feed_forward.up.{part}"]
            yield f"{theirs}.output.dense.{part}", weights[f"{ours}.feed_forward.down.{part}"]
            yield f"{theirs}.output.LayerNorm.{part}", weights[f"{ours}.feed_forward_norm.{part}"]


def read_checkpoint(folder: Path) -> MeanPooledBert:
    """The folder and its head as one model, in evaluation mode."""
    model = MeanPooledBert(BertConfig.from_pretrained(folder))
    model.bert = BertModel.from_pretrained(folder, add_pooling_layer=False)
    head = np.load(folder / HEAD)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(head["weight"]))
        model.classifier.bias.copy_(torch.from_numpy(head["bias"]))
    return model.eval()


def write_plain_onnx(folder: Path, out: Path) -> None:
    """The folder as an ONNX file with `input_ids` and `attention_mask`, traced on a padded batch."""
    model = Logits(read_checkpoint(folder)).eval()
    ids = torch.tensor([[101, 2023, 2003, 102, 0, 0], [101, 2023, 2003, 2023, 2003, 102], [101, 102, 0, 0, 0, 0]])
    ids = ids % model.model.config.vocab_size
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1] * 6, [1, 1, 0, 0, 0, 0]])
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        model,
        (ids, mask),
        out,
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(axes, axes),
    )


def labels_of(folder: Path) -> list[str]:
    """In the order of the logits."""
    named = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    return [named[str(number)] for number in range(len(named))]
