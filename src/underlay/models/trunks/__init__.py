"""Trunks: what every signal stands on."""

from underlay.models.trunks.transformer import TransformerTrunk as TransformerTrunk
