"""Stem + trunk + pooling + heads: models of any signal, trained weights, and nothing that runs a stranger's code."""

from underlay.models import heads as heads
from underlay.models import pooling as pooling
from underlay.models import stems as stems
from underlay.models import trunks as trunks
from underlay.models.backbone import Backbone as Backbone
from underlay.models.building import build as build
from underlay.models.building import configure as configure
from underlay.models.building import configure_fused as configure_fused
from underlay.models.fused import FusedModel as FusedModel
from underlay.models.fusions import FUSIONS as FUSIONS
from underlay.models.model import SignalModel as SignalModel
from underlay.models.model import safe_key as safe_key
from underlay.models.pretrained import resolve as resolve
from underlay.models.registries import HEADS as HEADS
from underlay.models.registries import POOLINGS as POOLINGS
from underlay.models.registries import STEMS as STEMS
from underlay.models.registries import TRUNKS as TRUNKS
from underlay.models.registries import is_fixed as is_fixed
from underlay.models.registries import is_spatial as is_spatial
