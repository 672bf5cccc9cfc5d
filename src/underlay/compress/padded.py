"""A model that reads padding as a mask: the same weights and answers, computed by operations that a graph can hold.

Our trunks take padding out before the first layer, which asks Python for lengths. The classes put in here inherit from
those of `models` and change nothing but that: no Python number follows from the data.
"""

import copy

from torch import nn

from underlay.compress import padded_stems as stems
from underlay.compress import padded_trunks as trunks
from underlay.models import FusedModel, SignalModel

PADDED: dict[type[nn.Module], type[nn.Module]] = {
    stems.TextStem: stems.PaddedText,
    stems.EventsStem: stems.PaddedEvents,
    stems.AudioStem: stems.PaddedAudio,
    stems.SeriesStem: stems.PaddedSeries,
    trunks.Attention: trunks.PaddedAttention,
    trunks.TransformerTrunk: trunks.PaddedTransformer,
    trunks.ConformerTrunk: trunks.PaddedConformer,
    trunks.ConvolutionTrunk: trunks.PaddedConvolution,
    trunks.InceptionModule: trunks.PaddedInceptionModule,
    trunks.InceptionTrunk: trunks.PaddedInception,
    trunks.Residual1dTrunk: trunks.PaddedResidual1d,
    trunks.RecurrentTrunk: trunks.PaddedRecurrent,
    trunks.RecurrentLayer: trunks.PaddedRecurrentLayer,
}
"""What is computed otherwise under a trace; a module that is not here is traced as it is."""


def padded(model: SignalModel | FusedModel) -> SignalModel | FusedModel:
    """A copy of the model in evaluation mode, its weights shared, that can be traced."""
    copied = copy.deepcopy(model, {id(tensor): tensor for tensor in model.parameters()})
    for module in copied.modules():
        if type(module) in PADDED:
            module.__class__ = PADDED[type(module)]
    return copied.eval()
