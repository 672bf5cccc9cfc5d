"""A model that reads padding as a mask: the same weights and answers, computed by operations that a graph can hold.

Our trunks take padding out before the first layer, which asks Python for lengths. The classes put in here inherit from
those of `models` and change nothing but that: no Python number follows from the data.
"""

import copy

from torch import nn

from underlay.compress import padded_stems, padded_trunks
from underlay.models import FusedModel, SignalModel, stems
from underlay.models.trunks import conformer, convolution, foreign, inception, recurrent, residual1d, transformer

PADDED: dict[type[nn.Module], type[nn.Module]] = {
    stems.TextStem: padded_stems.PaddedText,
    stems.EventsStem: padded_stems.PaddedEvents,
    stems.AudioStem: padded_stems.PaddedAudio,
    stems.SeriesStem: padded_stems.PaddedSeries,
    transformer.Attention: padded_trunks.PaddedAttention,
    transformer.TransformerTrunk: padded_trunks.PaddedTransformer,
    conformer.ConformerTrunk: padded_trunks.PaddedConformer,
    convolution.ConvolutionTrunk: padded_trunks.PaddedConvolution,
    inception.InceptionModule: padded_trunks.PaddedInceptionModule,
    inception.InceptionTrunk: padded_trunks.PaddedInception,
    residual1d.Residual1dTrunk: padded_trunks.PaddedResidual1d,
    foreign.DebertaTrunk: padded_trunks.PaddedDeberta,
    foreign.AlbertTrunk: padded_trunks.PaddedAlbert,
    foreign.ModernBertTrunk: padded_trunks.PaddedModernBert,
    recurrent.RecurrentTrunk: padded_trunks.PaddedRecurrent,
    recurrent.RecurrentLayer: padded_trunks.PaddedRecurrentLayer,
}
"""What is computed otherwise under a trace; a module that is not here is traced as it is."""


def padded(model: SignalModel | FusedModel) -> SignalModel | FusedModel:
    """A copy of the model in evaluation mode that can be traced; its weights are shared, but for those of attention."""
    copied = copy.deepcopy(model, {id(tensor): tensor for tensor in model.parameters()})
    for module in list(copied.modules()):
        if type(module) in PADDED:
            module.__class__ = PADDED[type(module)]
        if isinstance(module, (padded_trunks.PaddedAttention, padded_trunks.PaddedSegments)):
            module.part()
    return copied.eval()
