"""Trunks: what every signal stands on."""

from underlay.models.trunks.convolution import ConvolutionTrunk as ConvolutionTrunk
from underlay.models.trunks.recurrent import RecurrentTrunk as RecurrentTrunk
from underlay.models.trunks.transformer import TransformerTrunk as TransformerTrunk
