"""The checkpoint architectures that can be read: those our transformer computes, and those of the extra `hf`."""

from collections.abc import Mapping

from torch import Tensor

from underlay.models.ast import AST
from underlay.models.family import SECOND, TEXT_KEYS, Family, Sources, encoder_defaults, layer_sources, moved, same
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
    return sources | layer_sources(
        depth,
        "encoder.layer",
        {
            "attention.qkv": [f"attention.self.{kind}" for kind in ("query", "key", "value")],
            "attention.out": ["attention.output.dense"],
            "attention_norm": ["attention.output.LayerNorm"],
            "feed_forward.up": ["intermediate.dense"],
            "feed_forward.down": ["output.dense"],
            "feed_forward_norm": ["output.LayerNorm"],
        },
    )


def _distilbert(depth: int, _first: int) -> Sources:
    sources: Sources = {
        "words.weight": (["embeddings.word_embeddings.weight"], same),
        "places.weight": (["embeddings.position_embeddings.weight"], same),
    }
    for part in ("weight", "bias"):
        sources[f"norm.{part}"] = ([f"embeddings.LayerNorm.{part}"], same)
    return sources | layer_sources(
        depth,
        "transformer.layer",
        {
            "attention.qkv": [f"attention.{kind}_lin" for kind in "qkv"],
            "attention.out": ["attention.out_lin"],
            "attention_norm": ["sa_layer_norm"],
            "feed_forward.up": ["ffn.lin1"],
            "feed_forward.down": ["ffn.lin2"],
            "feed_forward_norm": ["output_layer_norm"],
        },
    )


def _gpt2(depth: int, _first: int) -> Sources:
    sources: Sources = {"words.weight": (["wte.weight"], same), "places.weight": (["wpe.weight"], same)}
    for part in ("weight", "bias"):
        sources[f"final_norm.{part}"] = ([f"ln_f.{part}"], same)
    sources |= layer_sources(depth, "h", {"attention_norm": ["ln_1"], "feed_forward_norm": ["ln_2"]})
    linear = {
        "attention.qkv": ["attn.c_attn"],
        "attention.out": ["attn.c_proj"],
        "feed_forward.up": ["mlp.c_fc"],
        "feed_forward.down": ["mlp.c_proj"],
    }
    return sources | layer_sources(depth, "h", linear, weight=turned)


_BERT_KEYS = {**TEXT_KEYS, "type_vocab_size": "kinds"}
_BERT_DEFAULTS = {**encoder_defaults(dropout=0.1), "type_vocab_size": 2}
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
