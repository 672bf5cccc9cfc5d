"""Tiny random checkpoints that `transformers` itself writes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models

pytest.importorskip("transformers")

FAMILIES = ("bert", "minilm", "distilbert", "roberta", "gpt2")


def reference(family: str):
    """A random model of the family, eager attention, in evaluation mode."""
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        DistilBertConfig,
        DistilBertForSequenceClassification,
        GPT2Config,
        GPT2ForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    bert = {"vocab_size": 120, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
    bert |= {"intermediate_size": 40, "initializer_range": 0.4}
    torch.manual_seed(5)
    if family == "bert":
        model = BertForSequenceClassification(BertConfig(**bert, max_position_embeddings=32, hidden_act="gelu_new"))
    elif family == "minilm":  # BERT's architecture with many narrow heads
        sizes = {**bert, "num_attention_heads": 12, "num_hidden_layers": 6}
        model = BertForSequenceClassification(BertConfig(**sizes, max_position_embeddings=32))
    elif family == "roberta":
        model = RobertaForSequenceClassification(
            RobertaConfig(**bert, max_position_embeddings=34, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
        )
    elif family == "distilbert":
        model = DistilBertForSequenceClassification(
            DistilBertConfig(
                vocab_size=120,
                dim=24,
                n_layers=3,
                n_heads=4,
                hidden_dim=40,
                max_position_embeddings=32,
                initializer_range=0.4,
            )
        )
    else:
        model = GPT2ForSequenceClassification(
            GPT2Config(
                vocab_size=120,
                n_embd=24,
                n_layer=3,
                n_head=4,
                n_positions=32,
                initializer_range=0.4,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
            )
        )
    with torch.no_grad():  # biases and norms off their trivial first values, so that a swapped pair is seen
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    model.set_attn_implementation("eager")
    return model.eval()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Callable[..., Path]:
    """Write the family's checkpoint and a tokenizer into a new folder; gives the folder."""

    def write(family: str) -> Path:
        folder = tmp_path_factory.mktemp(family)
        reference(family).save_pretrained(folder)
        Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
        return folder

    return write


@pytest.fixture(scope="session")
def hub_model() -> Callable[[str], torch.nn.Module]:
    """The model whose weights `checkpoint` writes."""
    return reference
