"""The artefact on disk: sealed, checked, replayed; and the one path from raw to answer. Imports no PyTorch."""

from underlay.bundle.backends import BACKENDS as BACKENDS
from underlay.bundle.backends import GRAPH_BACKENDS as GRAPH_BACKENDS
from underlay.bundle.backends import Backend as Backend
from underlay.bundle.bundle import Answers as Answers
from underlay.bundle.bundle import Bundle as Bundle
from underlay.bundle.deriving import Derived as Derived
from underlay.bundle.deriving import derive as derive
from underlay.bundle.golden import Replay as Replay
from underlay.bundle.graph import Graph as Graph
from underlay.bundle.layout import valid_name as valid_name
from underlay.bundle.manifest import Manifest as Manifest
from underlay.bundle.opening import Verification as Verification
from underlay.bundle.opening import open_bundle as open_bundle
from underlay.bundle.opening import verify as verify
from underlay.bundle.reference import reference_sketch as reference_sketch
from underlay.bundle.rules import Rule as Rule
from underlay.bundle.sealing import Contents as Contents
from underlay.bundle.sealing import save_copy as save_copy
from underlay.bundle.sealing import seal as seal
