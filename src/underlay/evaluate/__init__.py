"""How good a model is, how sure one can be of it, and a report that shows both."""

from underlay.evaluate.calibration import Reliability as Reliability
from underlay.evaluate.calibration import fit_temperature as fit_temperature
from underlay.evaluate.calibration import negative_log_likelihood as negative_log_likelihood
from underlay.evaluate.calibration import reliability as reliability
from underlay.evaluate.calibration import to_probabilities as to_probabilities
from underlay.evaluate.interval import Interval as Interval
from underlay.evaluate.interval import wilson as wilson
from underlay.evaluate.measure import KEY_METRIC as KEY_METRIC
from underlay.evaluate.measure import METRICS as METRICS
from underlay.evaluate.measure import Metric as Metric
from underlay.evaluate.measure import decide as decide
from underlay.evaluate.measure import difference as difference
from underlay.evaluate.measure import measure as measure
