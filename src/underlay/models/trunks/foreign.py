"""Trunks whose layers are those of `transformers` (extra `hf`): DeBERTa, ALBERT, ModernBERT, ResNet, ConvNeXt.

Each architecture is an entry of its own with its own arguments, all numbers: no name in a checkpoint's or a bundle's
configuration decides what code runs, and nothing is fetched. Only the layers come from there. What stands below them is
our stem, and the loop over them, the masks and the positions are written here, so that layers are counted, frozen,
cached and rated as in every other trunk. Segments stand in rows of their own, filled up to the longest: unlike our
transformer these layers do see padding, as zeros behind a mask, and compute on it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from underlay.core import MissingExtra
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.packing import Packing

ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "silu": "silu"}
"""Our word -> theirs."""

_FARTHEST = 1 << 16
"""Positions; no checkpoint's table of distances is larger."""


def library(what: str, name: str) -> Any:
    """The module `transformers.models.NAME`.

    Args:
        what: Asks for it.
        name: A literal of the caller, never data.

    Raises:
        MissingExtra: `transformers` is not installed.
    """
    if find_spec("transformers") is None:
        raise MissingExtra(f"the trunk {what}", "hf")
    return import_module(f"transformers.models.{name}")


def check_whole(module: nn.Module) -> None:
    """Refuse layers that keep something besides parameters: a model is rebuilt from those alone.

    Raises:
        RuntimeError: This version of `transformers` keeps a buffer.
    """
    if kept := [name for name, _ in module.named_buffers()]:
        raise RuntimeError(f"layers of this version of transformers keep {kept}; install the pinned version")


def seen_by_all(real: Tensor) -> Tensor:
    """Who sees whom, `[S, 1, T, T]`: everybody what is real, and itself, so that no row of a softmax is empty."""
    own = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
    return (real[:, None, None, :] | own).expand(-1, 1, -1, -1)


class SegmentTrunk(nn.Module):
    """A trunk whose layers run on a row for each segment, filled up to the longest."""

    spatial = False
    positions = 0
    laid = staticmethod(Packing.over)

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop` (None: to the end and a last norm), `[B, L, D]` in and out; 0 at padding."""
        packing = self.laid(embedded, mask)
        hidden = self._run(packing.pad(packing.pack(embedded)), packing.real(embedded.device), start, stop)
        return packing.unpack(packing.flatten(hidden))

    def _run(self, hidden: Tensor, real: Tensor, start: int, stop: int | None) -> Tensor:
        """`forward` on rows `[S, T, D]`, of which `real` `[S, T]` says where a position stands."""
        raise NotImplementedError


def _check(*, width: int, depth: int, heads: int, inner: int, activation: str) -> None:
    check_sizes(width=max(width, inner), depth=depth)
    if heads < 1 or width % heads or activation not in ACTIVATIONS:
        raise ValueError(
            f"width {width} / heads {heads} must be whole, activation {activation!r} one of {sorted(ACTIVATIONS)}"
        )


@TRUNKS("deberta.v1")
class DebertaTrunk(SegmentTrunk):
    """DeBERTa v2 and v3: attention looks at what stands somewhere and at how far away it stands, apart.

    The vectors of distances belong to all layers; they are as low as the first one, so that they rest when it does.

    Args:
        width: D.
        depth: Layers.
        heads: Attention heads; divides `width`.
        inner: Width inside the feed-forward parts.
        buckets: Vectors of distances either way; far ones share one in logarithmic steps. 0: one each up to `farthest`.
        farthest: Distance from which on all are one.
        attends: Ways in which distances enter: `c2p` (what asks how far), `p2c` (how far asks what).
        shared_key: Whether distances are projected as contents are.
        normed: Whether vectors of distances are normalised.
        kernel: Window of a convolution beside the first layer; 0: none.
        activation: As in our transformer.
        norm_eps: Added to the variance.
        dropout: After each part.

    Source: He et al., DeBERTa, ICLR 2021; DeBERTaV3, ICLR 2023.
    """

    ordered = True
    below = ("encoder",)

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        buckets: int = 256,
        farthest: int = 512,
        attends: list[str],
        shared_key: bool = True,
        normed: bool = True,
        kernel: int = 0,
        activation: str = "gelu",
        norm_eps: float = 1e-7,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _check(width=width, depth=depth, heads=heads, inner=inner, activation=activation)
        if not 0 <= buckets <= _FARTHEST or not 1 <= farthest <= _FARTHEST or not set(attends) <= {"c2p", "p2c"}:
            raise ValueError(f"buckets {buckets}, farthest {farthest}, attends {attends}: c2p and p2c are known")
        if kernel < 0 or (kernel and kernel % 2 == 0):
            raise ValueError(f"kernel {kernel} must be odd, or 0")
        theirs = library("deberta", "deberta_v2.modeling_deberta_v2")
        settings = library("deberta", "deberta_v2").DebertaV2Config(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=inner,
            hidden_act=ACTIVATIONS[activation],
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            layer_norm_eps=norm_eps,
            relative_attention=True,
            position_buckets=buckets or -1,
            max_relative_positions=farthest,
            max_position_embeddings=farthest,
            pos_att_type=list(attends),
            share_att_key=shared_key,
            norm_rel_ebd="layer_norm" if normed else "none",
            conv_kernel_size=kernel,
            conv_act="gelu",
        )
        self.encoder = theirs.DebertaV2Encoder(settings)
        self.layers = self.encoder.layer
        del self.encoder.layer
        self.width = self.channels = width
        check_whole(self)

    def _run(self, hidden: Tensor, real: Tensor, start: int, stop: int | None) -> Tensor:
        distances = self.encoder.get_rel_pos(hidden)
        vectors = self.encoder.get_rel_embedding()
        seen = seen_by_all(real)
        for number, layer in enumerate(self.layers[start:stop], start=start):
            deeper, _ = layer(hidden, seen, relative_pos=distances, rel_embeddings=vectors)
            if number == 0 and self.encoder.conv is not None:
                deeper = self.encoder.conv(hidden, deeper, real.long())
            hidden = deeper
        return hidden


@TRUNKS("albert.v1")
class AlbertTrunk(SegmentTrunk):
    """ALBERT: one layer that runs several times.

    As its passes share their parameters it counts as one layer: it learns or rests as a whole.

    Args:
        width: D.
        depth: Times the layer runs.
        heads: Attention heads; divides `width`.
        inner: Width inside the feed-forward part.
        activation: As in our transformer.
        norm_eps: Added to the variance.
        dropout: After attention and on its weights.

    Source: Lan et al., ALBERT, ICLR 2020.
    """

    ordered = False

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        activation: str = "gelu_tanh",
        norm_eps: float = 1e-12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _check(width=width, depth=depth, heads=heads, inner=inner, activation=activation)
        theirs = library("albert", "albert.modeling_albert")
        settings = library("albert", "albert").AlbertConfig(
            hidden_size=width,
            num_attention_heads=heads,
            intermediate_size=inner,
            hidden_act=ACTIVATIONS[activation],
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            layer_norm_eps=norm_eps,
            attn_implementation="sdpa",
        )
        self.layers = nn.ModuleList([theirs.AlbertLayerGroup(settings)])
        self.times = depth
        self.width = self.channels = width
        check_whole(self)

    def _run(self, hidden: Tensor, real: Tensor, start: int, stop: int | None) -> Tensor:
        seen = seen_by_all(real)
        for layer in self.layers[start:stop]:
            for _ in range(self.times):
                hidden = layer(hidden, seen)
        return hidden


@TRUNKS("modernbert.v1")
class ModernBertTrunk(SegmentTrunk):
    """ModernBERT: pre-norm layers with gates and rotary positions, most of which look around themselves alone.

    Args:
        width: D.
        depth: Layers.
        heads: Attention heads; divides `width` into even parts.
        inner: Width inside the feed-forward parts, of each of both halves.
        windows: For each layer, how many positions either way it sees; 0: all.
        base: Slowest wavelength / 2 pi of layers that see all.
        near_base: Of the others.
        activation: As in our transformer.
        norm_eps: Added to the variance.
        dropout: In the feed-forward parts.

    Source: Warner et al., Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder, ACL 2025.
    """

    ordered = True

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        windows: list[int],
        base: float = 160_000.0,
        near_base: float = 10_000.0,
        activation: str = "gelu",
        norm_eps: float = 1e-5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _check(width=width, depth=depth, heads=heads, inner=inner, activation=activation)
        if width % (2 * heads) or len(windows) != depth or min(windows, default=0) < 0 or min(base, near_base) <= 0:
            raise ValueError(
                f"width {width} / heads {heads} must be even, windows {windows} {depth} numbers, bases above 0"
            )
        theirs = library("modernbert", "modernbert.modeling_modernbert")
        settings = library("modernbert", "modernbert").ModernBertConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=inner,
            hidden_activation=ACTIVATIONS[activation],
            norm_eps=norm_eps,
            mlp_dropout=dropout,
            layer_types=["sliding_attention" if window else "full_attention" for window in windows],
            attn_implementation="sdpa",
        )
        self.layers = nn.ModuleList(theirs.ModernBertEncoderLayer(settings, number) for number in range(depth))
        self.final_norm = nn.LayerNorm(width, eps=norm_eps, bias=False)
        self.width = self.channels = width
        self.size = width // heads
        self.windows, self.base, self.near_base = tuple(windows), base, near_base
        check_whole(self)

    def _run(self, hidden: Tensor, real: Tensor, start: int, stop: int | None) -> Tensor:
        places = torch.arange(real.shape[1], device=real.device)
        apart = (places[:, None] - places).abs()
        seen = {window: self._seen(real, apart, window) for window in set(self.windows[start:stop])}
        turns = {near: self._turn(places, self.near_base if near else self.base) for near in (False, True)}
        for window, layer in zip(self.windows[start:stop], self.layers[start:stop], strict=True):
            turn = tuple(part.to(hidden.dtype) for part in turns[window > 0])
            hidden = layer(hidden, attention_mask=seen[window], position_embeddings=turn)
        if stop is None:
            hidden = self.final_norm(hidden)
        return hidden

    def _seen(self, real: Tensor, apart: Tensor, window: int) -> Tensor:
        all_seen = seen_by_all(real)
        return all_seen & (apart <= window) if window else all_seen

    def _turn(self, places: Tensor, base: float) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angles at each place, `[1, T, head]` each."""
        rates = base ** -(torch.arange(0, self.size, 2, device=places.device) / self.size)
        angles = (places[:, None] * rates).repeat(1, 2).unsqueeze(0)
        return angles.cos(), angles.sin()
