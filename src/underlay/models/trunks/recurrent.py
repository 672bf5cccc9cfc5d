"""The recurrent trunk: gated units that read each segment from both ends.

Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, EMNLP 2014 (GRU); Hochreiter and
Schmidhuber, Long Short-Term Memory, 1997 (LSTM); both directions: Graves and Schmidhuber, 2005.
"""

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from underlay.models.dropout import Dropout
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.packing import Packing

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


@TRUNKS("recurrent.v1")
class RecurrentTrunk(nn.Module):
    """Bidirectional layers with residuals; each segment starts from an empty memory.

    Args:
        width: D, even: half for each direction.
        depth: Layers.
        cell: `gru` or `lstm`.
        norm_eps: Added to the variance.
        dropout: After each layer.

    >>> import torch
    >>> RecurrentTrunk(width=6, depth=1)(torch.randn(2, 9, 6)).shape
    torch.Size([2, 9, 6])
    """

    ordered = True
    spatial = False
    positions = 0

    def __init__(
        self, *, width: int, depth: int, cell: str = "gru", norm_eps: float = 1e-5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        if width % 2 or cell not in CELLS:
            raise ValueError(f"width {width} must be even and cell {cell!r} one of {sorted(CELLS)}")
        self.width = self.channels = width
        self.layers = nn.ModuleList(
            RecurrentLayer(width, cell=cell, norm_eps=norm_eps, dropout=dropout) for _ in range(depth)
        )

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop` (None: to the end), `[B, L, D]` in and out."""
        packing = Packing.over(embedded, mask)
        hidden = packing.pad(packing.pack(embedded))  # [S, T, D]: a row for each segment
        sequences = pack_padded_sequence(hidden, packing.lengths(), batch_first=True, enforce_sorted=False)
        for layer in self.layers[start:stop]:
            sequences = layer(sequences)
        hidden, _ = pad_packed_sequence(sequences, batch_first=True)
        return packing.unpack(packing.flatten(hidden))


class RecurrentLayer(nn.Module):
    """Both directions, dropout, residual, norm, on sequences without padding."""

    def __init__(self, width: int, *, cell: str, norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.cell = CELLS[cell](width, width // 2, bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, sequences: PackedSequence) -> PackedSequence:
        """The same sequences, `[N, D]` inside."""
        read, _ = self.cell(sequences)
        return sequences._replace(data=self.norm(sequences.data + self.dropout(read.data)))
