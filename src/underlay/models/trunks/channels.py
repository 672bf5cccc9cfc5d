"""What the trunks that run on channels, `[S, D, T]`, have in common."""

from torch import Tensor, nn

from underlay.models.trunks.packing import Packing


class ChannelTrunk(nn.Module):
    """Layers that take channels and which places are real, `[S, D, T]` and `[S, 1, T]`, a row for each segment."""

    ordered = True
    spatial = False
    positions = 0
    laid = staticmethod(Packing.over)

    layers: nn.ModuleList

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run blocks `start` to `stop` (None: to the end), `[B, L, D]` in and out."""
        packing = self.laid(embedded, mask)
        hidden = packing.pad(packing.pack(embedded)).transpose(1, 2)
        real = packing.real(embedded.device).unsqueeze(1).to(hidden.dtype)
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, real)
        return packing.unpack(packing.flatten(hidden.transpose(1, 2)))


class ChannelNorm(nn.LayerNorm):
    """Each position with mean 0 and variance 1 over its channels, then scale and shift."""

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]
        """`[S, D, T]` -> `[S, D, T]`, 0 where `real` `[S, 1, T]` is 0."""
        normal: Tensor = super().forward(hidden.transpose(1, 2)).transpose(1, 2)
        return normal * real
