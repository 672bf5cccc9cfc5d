"""Trunks: what every signal stands on."""

from underlay.models.trunks.bag import BagTrunk as BagTrunk
from underlay.models.trunks.conformer import ConformerTrunk as ConformerTrunk
from underlay.models.trunks.convolution import ConvolutionTrunk as ConvolutionTrunk
from underlay.models.trunks.efficientnet import EfficientNetTrunk as EfficientNetTrunk
from underlay.models.trunks.foreign import AlbertTrunk as AlbertTrunk
from underlay.models.trunks.foreign import DebertaTrunk as DebertaTrunk
from underlay.models.trunks.foreign import ModernBertTrunk as ModernBertTrunk
from underlay.models.trunks.foreign_pictures import BatchNormResNetTrunk as BatchNormResNetTrunk
from underlay.models.trunks.foreign_pictures import ConvNextTrunk as ConvNextTrunk
from underlay.models.trunks.identity import IdentityTrunk as IdentityTrunk
from underlay.models.trunks.inception import InceptionTrunk as InceptionTrunk
from underlay.models.trunks.recurrent import RecurrentTrunk as RecurrentTrunk
from underlay.models.trunks.residual import ResidualTrunk as ResidualTrunk
from underlay.models.trunks.residual1d import Residual1dTrunk as Residual1dTrunk
from underlay.models.trunks.transformer import TransformerTrunk as TransformerTrunk
