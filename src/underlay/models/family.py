"""What we must know of a checkpoint architecture: settings read, settings refused, and where each tensor goes.

Settings are read by allow-listed keys; a key that could change the computation and is not known here is refused,
and no setting ever names code.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from underlay.core import CheckpointRefused

SECOND = "second."
"""Before the name of a tensor that takes another's place in the stem of the second text of a pair."""

Names = Sequence[str]
Sources = dict[str, tuple[Names, Callable[..., Tensor]]]
"""Our name -> (their names, how to make ours of them)."""

# fmt: off
HARMLESS = frozenset(
    {
        "_name_or_path", "architectures", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout",
        "cls_token_id", "dtype", "embd_pdrop", "encoder_stride", "eos_token_id", "finetuning_task",
        "gradient_checkpointing", "id2label", "initializer_range", "keys_to_ignore_at_inference", "label2id",
        "language", "mask_token_id", "model_type", "n_ctx", "num_labels", "output_attentions", "output_hidden_states",
        "output_past", "pad_token_id", "pooler_act", "pooler_output_size", "problem_type", "qa_dropout",
        "reorder_and_upcast_attn", "return_dict", "sep_token_id", "seq_classif_dropout", "sinusoidal_pos_embds",
        "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
        "task_specific_params", "tie_word_embeddings", "tokenizer_class", "torch_dtype", "torchscript",
        "transformers_version", "unk_token_id", "use_cache",
    }
)
# fmt: on
"""Keys that do not change what the encoder computes on its weights."""

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
}

_COUNTS = (".attn.bias", ".attn.masked_bias", ".num_batches_tracked")
"""Ends of names of buffers that hold nothing learned."""

_NUMBERS = frozenset(
    {"vocabulary", "width", "depth", "heads", "inner", "positions", "norm_eps", "side", "patch", "narrow", "mels"}
    | {"frames", "mel_stride", "time_stride", "reach", "groups"}
)


def same(tensor: Tensor) -> Tensor:
    """The tensor as it is."""
    return tensor


def moved(names: Iterable[str], beginnings: Mapping[str, str]) -> Sources:
    """Tensors that keep the end of their name.

    Args:
        names: In the file.
        beginnings: Theirs -> ours.

    >>> list(moved(["encoder.a.weight", "pooler.b"], {"encoder.": ""}))
    ['a.weight']
    """
    return {
        ours + name[len(theirs) :]: ([name], same)
        for name in names
        for theirs, ours in beginnings.items()
        if name.startswith(theirs)
    }


def stack(*parts: Tensor) -> Tensor:
    """Query, key and value one under the other."""
    return torch.cat(parts)


def layer_sources(
    depth: int, theirs: str, parts: Mapping[str, Names], *, weight: Callable[..., Tensor] = same
) -> Sources:
    """Where weight and bias of each part of each layer come from.

    Args:
        depth: Layers.
        theirs: What they call the layers: `encoder.layer`.
        parts: Ours -> theirs inside a layer; several stand one under the other.
        weight: How a weight that comes from a single one is made.

    >>> layer_sources(1, "h", {"attention.out": ["proj"]})["layers.0.attention.out.bias"][0]
    ['h.0.proj.bias']
    """
    makes = {"weight": weight, "bias": same}
    return {
        f"layers.{number}.{ours}.{kind}": (
            [f"{theirs}.{number}.{name}.{kind}" for name in names],
            make if len(names) == 1 else stack,
        )
        for number in range(depth)
        for ours, names in parts.items()
        for kind, make in makes.items()
    }


def no_sources(_depth: int, _first: int) -> Sources:
    """Nothing but what `located` finds."""
    return {}


ENCODER_KEYS = {
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "intermediate_size": "inner",
    "hidden_act": "activation",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
"""What BERT and those after it call the settings of their layers."""

TEXT_KEYS = {**ENCODER_KEYS, "vocab_size": "vocabulary", "max_position_embeddings": "positions"}


def encoder_defaults(*, activation: str = "gelu", norm_eps: float = 1e-12, dropout: float = 0.0) -> dict[str, Any]:
    """What old files leave out of `ENCODER_KEYS`."""
    return {
        "hidden_act": activation,
        "layer_norm_eps": norm_eps,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


@dataclass(frozen=True)
class Family:
    """One architecture of checkpoints.

    Args:
        prefix: Before every name where the checkpoint has a task head (`bert.`).
        read: Their key -> our word for it; all needed but those in `default`.
        default: Values of keys an old file may leave out.
        fixed: Their key -> the only value whose computation is ours.
        trunk: What every trunk of the family has.
        normed_stem: Whether word vectors are normalised.
        skipped: Beginnings of tensor names that belong to other heads, and buffers.
        sources: From the number of layers: where each of our tensors comes from.
        first_place: Position rows before the first real one, from the padding id.
        stem: From our words for the settings, and the settings: the stem's arguments and its positions; None: of texts.
        assets: Files the modality needs.
        refined: Files that need not be there, each with what gives further arguments of the stem out of it.
        suggests: Options of modalities that suit the stem; see `Backbone`.
        pooling: Where neither the mean nor, of a causal trunk, the last position suits it.
        outer: Before `prefix`, where the checkpoint holds more than the encoder.
        harmless: Further keys that do not change what the encoder computes.
        shape: From our words for the settings, and the settings: the trunk's arguments; None: of our transformer.
        located: From the trunk's arguments and the names in the file: where further tensors come from.
        reads: From the stem and what `preprocessor_config.json` says, empty where there is none: how values are read,
            in place of `suggests`.
    """

    prefix: str
    read: Mapping[str, str]
    default: Mapping[str, Any]
    fixed: Mapping[str, Any]
    trunk: Mapping[str, Any]
    normed_stem: bool
    skipped: tuple[str, ...]
    sources: Callable[[int, int], Sources] = no_sources
    first_place: Callable[[int], int] = field(default=lambda padding: 0)
    stem: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[dict[str, Any] | None, int | None]] | None = None
    assets: tuple[str, ...] = ("tokenizer.json",)
    refined: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    suggests: Callable[[Mapping[str, Any]], Mapping[str, Mapping[str, Any]]] = field(default=lambda stem: {})
    pooling: str | None = None
    outer: str = ""
    harmless: frozenset[str] = frozenset()
    shape: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None
    located: Callable[[Mapping[str, Any], Iterable[str]], Sources] | None = None
    reads: Callable[[Mapping[str, Any] | None, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]] | None = None

    def describe(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any], int | None]:
        """Arguments of the stem (None: it has none to learn) and of the trunk, and the longest segment.

        Raises:
            CheckpointRefused: A setting is missing, unknown, or asks for another computation.
        """
        self._refuse(settings)
        given = {ours: settings.get(theirs, self.default.get(theirs)) for theirs, ours in self.read.items()}
        stem, limit = (self.stem or self._text_stem)(given, settings)
        if self.shape is not None:
            return stem, self.shape(given, settings), limit
        trunk = {
            "name": "transformer.v1",
            **{key: given[key] for key in ("width", "depth", "heads", "norm_eps")},
            "inner": given["inner"] or 4 * given["width"],
            "activation": ACTIVATIONS[given["activation"]],
            **self.trunk,
        }
        return stem, trunk, limit

    def _text_stem(self, given: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        padding = settings.get("pad_token_id")
        padding = padding if padding is not None else settings.get("eos_token_id") or 0
        limit = given["positions"] - self.first_place(padding)
        return {
            "name": "text.v1",
            "vocabulary": given["vocabulary"],
            "padding": padding,
            "width": given["width"],
            **({"narrow": narrow} if (narrow := given.get("narrow", given["width"])) != given["width"] else {}),
            "positions": limit,
            "norm_eps": given["norm_eps"] if self.normed_stem else None,
        }, limit

    def _refuse(self, settings: Mapping[str, Any]) -> None:
        problems = [
            f"{key} = {settings[key]!r} (only {value!r} is known)"
            for key, value in self.fixed.items()
            if key in settings and settings[key] != value
        ]
        problems += [f"{key} is missing" for key in self.read if key not in settings and key not in self.default]
        known = {*self.read, *self.fixed, *self.harmless, *HARMLESS}
        problems += [
            f"{key} = {settings[key]!r} is not a number above 0"
            for key, ours in self.read.items()
            if key in settings and ours in _NUMBERS and not _is_number(settings[key], ours)
        ]
        problems += [f"{key} = {settings[key]!r} is not known" for key in sorted(set(settings) - known)]
        activation = next(theirs for theirs, ours in self.read.items() if ours == "activation")
        if str(settings.get(activation, self.default.get(activation))) not in ACTIVATIONS:
            problems.append(f"{activation} = {settings.get(activation)!r} (known: {sorted(ACTIVATIONS)})")
        if problems:
            raise CheckpointRefused(
                f"config.json asks for what this trunk does not compute: {'; '.join(problems)}",
                "choose a checkpoint of the plain architecture",
                code="config_key",
            )

    def rename(
        self, tensors: Mapping[str, Tensor], *, trunk: Mapping[str, Any], stem: Mapping[str, Any] | None
    ) -> dict[str, Tensor]:
        """Our tensors by our names (`words.weight`, `layers.0.attention.qkv.weight`).

        Raises:
            CheckpointRefused: A tensor is missing, or one is left that nothing here reads.
        """
        plain = {
            _modern(name.removeprefix(self.outer).removeprefix(self.prefix)): tensor for name, tensor in tensors.items()
        }
        padding = 0 if stem is None else stem.get("padding", 0)
        sources = self.sources(trunk.get("depth", 0), self.first_place(padding))
        if self.located is not None:
            sources |= self.located(trunk, plain)
        return taken(plain, sources, skipped=self._is_skipped)

    def _is_skipped(self, name: str) -> bool:
        return name.startswith(self.skipped) or name.endswith(_COUNTS)


class Naming(Protocol):
    """How the names in a file of weights map to ours."""

    def rename(
        self, tensors: Mapping[str, Tensor], *, trunk: Mapping[str, Any], stem: Mapping[str, Any] | None
    ) -> dict[str, Tensor]:
        """Our tensors by our names.

        Args:
            tensors: By their names.
            trunk: Arguments of the trunk.
            stem: Arguments of the stem that was trained with it, if one was.

        Raises:
            CheckpointRefused: A tensor is missing, or one is left that nothing here reads.
        """
        ...


def taken(tensors: Mapping[str, Tensor], sources: Sources, *, skipped: Callable[[str], bool]) -> dict[str, Tensor]:
    """Our tensors, each made of theirs.

    Args:
        tensors: By their names.
        sources: Where each of ours comes from.
        skipped: Whether a name may be left over.

    Raises:
        CheckpointRefused: A tensor is missing, or one is left that nothing here reads.
    """
    used = {name for names, _ in sources.values() for name in names}
    missing = sorted(used - set(tensors))
    stray = [name for name in tensors if name not in used and not skipped(name)]
    if missing or stray:
        raise CheckpointRefused(
            f"the weights do not fit config.json: missing {missing[:5]}, not expected {sorted(stray)[:5]}",
            "take config.json and model.safetensors from one checkpoint",
            code="weights_names",
        )
    return {ours: make(*(tensors[name] for name in names)).float() for ours, (names, make) in sources.items()}


def _is_number(value: Any, name: str) -> bool:
    if name == "inner" and value is None:
        return True
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or (name == "norm_eps" and isinstance(value, float))) and value > 0


def _modern(name: str) -> str:
    """The oldest BERT files call the norm's parameters gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
