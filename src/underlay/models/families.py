"""The checkpoint architectures that can be read: those our transformer computes, and those of the extra `hf`."""

from collections.abc import Mapping

from torch import Tensor

from underlay.models.ast import AST
from underlay.models.family import SECOND, Family, Sources, moved, same, stack
from underlay.models.foreign_pictures import CONVNEXT, RESNET
from underlay.models.foreign_texts import ALBERT, DEBERTA, MODERNBERT
from underlay.models.vit import VIT
from underlay.models.wav2vec2 import WAV2VEC2
from underlay.models.whisper import WHISPER


def turned(tensor: Tensor) -> Tensor:
    """A GPT-2 weight, kept as `[in, out]`, the way a linear layer wants it."""
    return tensor.t().contiguous()


def _bert(depth: int, first: int) -> Sources:
    sources: Sources = {
        "words.weight": (["embeddings.word_embeddings.weight"], same),
        # every position of a plain text has token type 0: its vector joins the position's once and for all
        "places.weight": (
            ["embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"],
            lambda places, kinds: places[first:] + kinds[0],
        ),
        # and those of the second text of a pair have type 1, where the checkpoint knows one
        f"{SECOND}places.weight": (
            ["embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"],
            lambda places, kinds: places[first:] + kinds[min(1, len(kinds) - 1)],
        ),
    }
    for part in ("weight", "bias"):
        sources[f"norm.{part}"] = ([f"embeddings.LayerNorm.{part}"], same)
        for number in range(depth):
            theirs, ours = f"encoder.layer.{number}", f"layers.{number}"
            parts = [f"{theirs}.attention.self.{kind}.{part}" for kind in ("query", "key", "value")]
            sources[f"{ours}.attention.qkv.{part}"] = (parts, stack)
            sources[f"{ours}.attention.out.{part}"] = ([f"{theirs}.attention.output.dense.{part}"], same)
            sources[f"{ours}.attention_norm.{part}"] = ([f"{theirs}.attention.output.LayerNorm.{part}"], same)
            sources[f"{ours}.feed_forward.up.{part}"] = ([f"{theirs}.intermediate.dense.{part}"], same)
            sources[f"{ours}.feed_forward.down.{part}"] = ([f"{theirs}.output.dense.{part}"], same)
            sources[f"{ours}.feed_forward_norm.{part}"] = ([f"{theirs}.output.LayerNorm.{part}"], same)
    return sources


def _distilbert(depth: int, _first: int) -> Sources:
    sources: Sources = {
        "words.weight": (["embeddings.word_embeddings.weight"], same),
        "places.weight": (["embeddings.position_embeddings.weight"], same),
    }
    for part in ("weight", "bias"):
        sources[f"norm.{part}"] = ([f"embeddings.LayerNorm.{part}"], same)
        for number in range(depth):
            theirs, ours = f"transformer.layer.{number}", f"layers.{number}"
            parts = [f"{theirs}.attention.{kind}_lin.{part}" for kind in "qkv"]
            sources[f"{ours}.attention.qkv.{part}"] = (parts, stack)
            sources[f"{ours}.attention.out.{part}"] = ([f"{theirs}.attention.out_lin.{part}"], same)
            sources[f"{ours}.attention_norm.{part}"] = ([f"{theirs}.sa_layer_norm.{part}"], same)
            sources[f"{ours}.feed_forward.up.{part}"] = ([f"{theirs}.ffn.lin1.{part}"], same)
            sources[f"{ours}.feed_forward.down.{part}"] = ([f"{theirs}.ffn.lin2.{part}"], same)
            sources[f"{ours}.feed_forward_norm.{part}"] = ([f"{theirs}.output_layer_norm.{part}"], same)
    return sources


def _gpt2(depth: int, _first: int) -> Sources:
    sources: Sources = {"words.weight": (["wte.weight"], same), "places.weight": (["wpe.weight"], same)}
    for part, make in (("weight", turned), ("bias", same)):
        sources[f"final_norm.{part}"] = ([f"ln_f.{part}"], same)
        for number in range(depth):
            theirs, ours = f"h.{number}", f"layers.{number}"
            sources[f"{ours}.attention_norm.{part}"] = ([f"{theirs}.ln_1.{part}"], same)
            sources[f"{ours}.attention.qkv.{part}"] = ([f"{theirs}.attn.c_attn.{part}"], make)
            sources[f"{ours}.attention.out.{part}"] = ([f"{theirs}.attn.c_proj.{part}"], make)
            sources[f"{ours}.feed_forward_norm.{part}"] = ([f"{theirs}.ln_2.{part}"], same)
            sources[f"{ours}.feed_forward.up.{part}"] = ([f"{theirs}.mlp.c_fc.{part}"], make)
            sources[f"{ours}.feed_forward.down.{part}"] = ([f"{theirs}.mlp.c_proj.{part}"], make)
    return sources


_BERT_KEYS = {
    "vocab_size": "vocabulary",
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "intermediate_size": "inner",
    "hidden_act": "activation",
    "max_position_embeddings": "positions",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "type_vocab_size": "kinds",
}
_BERT_DEFAULTS = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
}
_BERT_FIXED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}

BERT = Family(
    prefix="bert.",
    read=_BERT_KEYS,
    default=_BERT_DEFAULTS,
    fixed=_BERT_FIXED,
    trunk={"norm": "post"},
    normed_stem=True,
    skipped=("pooler.", "cls.", "classifier.", "qa_outputs.", "embeddings.position_ids", "embeddings.token_type_ids"),
    sources=_bert,
)
ELECTRA = Family(
    prefix="electra.",
    read={**_BERT_KEYS, "embedding_size": "narrow"},
    default=_BERT_DEFAULTS,
    fixed=_BERT_FIXED,
    trunk={"norm": "post"},
    normed_stem=True,
    skipped=("classifier.", "qa_outputs.", "discriminator_predictions.", "generator_", "embeddings.position_ids"),
    sources=_bert,
    located=lambda _trunk, names: moved(names, {"embeddings_project.": "project."}),
    harmless=frozenset({"summary_last_dropout"}),
)
ROBERTA = Family(
    prefix="roberta.",
    read=_BERT_KEYS,
    default=_BERT_DEFAULTS,
    fixed=_BERT_FIXED,
    trunk={"norm": "post"},
    normed_stem=True,
    skipped=(
        "pooler.",
        "lm_head.",
        "classifier.",
        "qa_outputs.",
        "embeddings.position_ids",
        "embeddings.token_type_ids",
    ),
    sources=_bert,
    first_place=lambda padding: padding + 1,  # rows up to the padding id are never used
)
DISTILBERT = Family(
    prefix="distilbert.",
    read={
        "vocab_size": "vocabulary",
        "dim": "width",
        "n_layers": "depth",
        "n_heads": "heads",
        "hidden_dim": "inner",
        "activation": "activation",
        "max_position_embeddings": "positions",
        "layer_norm_eps": "norm_eps",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
    },
    default={"activation": "gelu", "layer_norm_eps": 1e-12, "dropout": 0.1, "attention_dropout": 0.1},
    fixed={"is_decoder": False, "add_cross_attention": False},
    trunk={"norm": "post"},
    normed_stem=True,
    skipped=("pre_classifier.", "classifier.", "vocab_", "qa_outputs.", "embeddings.position_ids"),
    sources=_distilbert,
)
GPT2 = Family(
    prefix="transformer.",
    read={
        "vocab_size": "vocabulary",
        "n_embd": "width",
        "n_layer": "depth",
        "n_head": "heads",
        "n_inner": "inner",
        "activation_function": "activation",
        "n_positions": "positions",
        "layer_norm_epsilon": "norm_eps",
        "resid_pdrop": "dropout",
        "attn_pdrop": "attention_dropout",
    },
    default={
        "n_inner": None,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "resid_pdrop": 0.1,
        "attn_pdrop": 0.1,
    },
    fixed={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    trunk={"norm": "pre", "causal": True, "final_norm": True},
    normed_stem=False,
    skipped=("lm_head.", "score."),
    sources=_gpt2,
)

FAMILIES: Mapping[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "distilbert": DISTILBERT,
    "gpt2": GPT2,
    "electra": ELECTRA,
    "vit": VIT,
    "audio-spectrogram-transformer": AST,
    "wav2vec2": WAV2VEC2,
    "whisper": WHISPER,
    "deberta-v2": DEBERTA,
    "albert": ALBERT,
    "modernbert": MODERNBERT,
    "resnet": RESNET,
    "convnext": CONVNEXT,
}
"""By `model_type` in config.json."""
