"""Reading data sets, saying what they hold, checking and splitting them. Imports `core` only."""

from underlay.data.checks import check as check
from underlay.data.event_log import EventLog as EventLog
from underlay.data.event_log import gather_events as gather_events
from underlay.data.event_log import log_of as log_of
from underlay.data.findings import Checks as Checks
from underlay.data.findings import Finding as Finding
from underlay.data.gathered import gathered_as as gathered_as
from underlay.data.gathering import Gathering as Gathering
from underlay.data.gathering import find_wide as find_wide
from underlay.data.gathering import gather as gather
from underlay.data.inference import Inference as Inference
from underlay.data.inference import infer_schema as infer_schema
from underlay.data.opening import open_table as open_table
from underlay.data.samples import SAMPLES as SAMPLES
from underlay.data.samples import Sample as Sample
from underlay.data.samples import export_sample as export_sample
from underlay.data.samples import sample_info as sample_info
from underlay.data.splits import Splits as Splits
from underlay.data.splits import split as split
from underlay.data.suspects import out_of_fold as out_of_fold
from underlay.data.suspects import suspect_labels as suspect_labels
from underlay.data.suspects import suspects as suspects
from underlay.data.table import Table as Table
from underlay.data.targets import MISSING as MISSING
from underlay.data.targets import TargetValues as TargetValues
from underlay.data.targets import encode_targets as encode_targets
