"""The law as Ray Serve's controller asks it: replicas report the load that was noted on them."""

from collections.abc import Mapping
from typing import Any

from underlay.serve.ray.law import CALM, Load, decide

PEAK, STEADY = "underlay_peak:", "underlay_steady:"
"""What a replica reports of each front, whose name follows."""


class OfferedLoad:
    """Ray Serve's policy of one deployment; it keeps nothing, Ray keeps its state.

    Args:
        calm: Seconds that less must have been enough before replicas go.
    """

    def __init__(self, calm: float = CALM) -> None:
        self._calm = calm

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Replicas that there should be, and what to remember.

        Args:
            context: Ray Serve's `AutoscalingContext`.
        """
        return decide(
            load_of(context.raw_metrics or {}),
            context.policy_state,
            target=context.target_num_replicas,
            least=context.capacity_adjusted_min_replicas,
            most=context.capacity_adjusted_max_replicas,
            now=context.current_time,
            calm=self._calm,
        )


def load_of(reported: Mapping[str, Mapping[Any, Any]]) -> Load | None:
    """The load of all fronts; None if no replica knows of any.

    Replicas hear of a front at about the same time; the largest of what they last heard counts.

    Args:
        reported: By name of the figure and by replica: values with their times.
    """
    fronts = [name.removeprefix(PEAK) for name in reported if name.startswith(PEAK)]
    peaks = [_newest(reported[PEAK + front]) for front in fronts]
    found = [peak for peak in peaks if peak is not None]
    if not found:
        return None
    steady = [_newest(reported.get(STEADY + front, {})) or 0.0 for front in fronts]
    return Load(sum(found), sum(steady))


def _newest(series: Mapping[Any, Any]) -> float | None:
    """Of each replica the last value, of these the largest."""
    return max((values[-1].value for values in series.values() if values), default=None)
