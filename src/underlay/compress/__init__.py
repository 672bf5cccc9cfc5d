"""Smaller and faster models from a bundle, each measured against the one it comes from before anyone sees it."""

from underlay.compress.eight_bits import MAX_DROP as MAX_DROP
from underlay.compress.eight_bits import EightBits as EightBits
from underlay.compress.export import Exported as Exported
from underlay.compress.export import export as export
from underlay.compress.loss import Labelled as Labelled
from underlay.compress.loss import Loss as Loss
from underlay.compress.parity import Parity as Parity
from underlay.compress.parity import compare as compare
