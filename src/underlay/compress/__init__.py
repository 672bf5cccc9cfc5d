"""Smaller and faster models from a bundle, each measured against the one it comes from before anyone sees it."""

from underlay.compress.export import Exported as Exported
from underlay.compress.export import export as export
from underlay.compress.parity import Parity as Parity
from underlay.compress.parity import compare as compare
