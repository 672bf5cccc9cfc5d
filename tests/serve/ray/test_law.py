"""The law that says how many replicas an offered load needs, on a clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.serve.ray.law import CALM, UTILISATION, Load, Meter, decide
from underlay.serve.ray.scaling import PEAK, STEADY, OfferedLoad, load_of

ROWS = 100.0
"""Rows a second that one replica can answer."""


@dataclass
class Played:
    """What became of a load.

    Args:
        targets: Replicas that there should be, by second.
        refused: Rows that no running replica could take.
        offered: All.
    """

    targets: list[int]
    refused: float
    offered: float

    @property
    def changes(self) -> int:
        return sum(one != other for one, other in zip(self.targets, self.targets[1:], strict=False))


def play(rate: Callable[[int], float], seconds: int, *, start: int = 2, most: int = 40, first: int = 1) -> Played:
    """Offer a rate by second to replicas that take `start` seconds to come."""
    now = [0.0]
    meter, past, target = Meter(lambda: now[0]), {}, first
    running, coming, targets = first, [], []
    refused = offered = 0.0
    for second in range(seconds):
        now[0] = float(second)
        running += sum(count for at, count in coming if at <= second)
        coming = [(at, count) for at, count in coming if at > second]
        rows = rate(second)
        offered += rows
        refused += max(0.0, rows - running * ROWS)
        meter.note(rows)
        now[0] = second + 1.0
        load = Load(meter.peak / ROWS, meter.steady / ROWS)
        found, past = decide(load, past, target=target, least=1, most=most, now=now[0])
        if found > target:
            coming.append((second + 1 + start, found - target))
        elif found < target:  # those that start go first
            gone = target - found
            while gone and coming:
                at, count = coming.pop()
                coming += [(at, count - gone)] if count > gone else []
                gone = max(0, gone - count)
            running -= gone
        target = found
        targets.append(target)
    return Played(targets, refused, offered)


@pytest.mark.row("E1")
def test_ten_times_the_load_has_its_replicas_within_five_seconds_and_none_too_many():
    played = play(lambda second: 60.0 if second < 60 else 600.0, 200)
    need = 9  # 6 replicas' work at 0.7
    assert played.targets[59] == 1
    assert played.targets[65] == need
    assert max(played.targets) <= need + 1


@pytest.mark.row("E2")
def test_a_ramp_of_ten_minutes_loses_next_to_nothing():
    played = play(lambda second: 50.0 + 950.0 * min(second, 600) / 600, 660, start=10)
    assert played.refused < 0.005 * played.offered
    assert played.targets[-1] == 15


@pytest.mark.row("E3")
def test_a_sawtooth_does_not_make_replicas_come_and_go():
    assert play(lambda second: 60.0 + 240.0 * (second % 45) / 45, 900).changes <= 5


@pytest.mark.row("E4")
def test_one_second_of_ten_times_the_load_brings_half_as_many_more_at_most():
    for at in (60.0, 60.5):  # on a second, and across two

        def rate(second: int, at: float = at) -> float:
            share = max(0.0, min(second + 1, at + 1) - max(second, at))
            return 400.0 * (1 + 9 * share)

        assert max(play(rate, 120, first=6).targets) <= 9


def test_less_load_takes_replicas_in_one_step_after_a_calm():
    played = play(lambda second: 600.0 if second < 60 else 60.0, 200)
    gone = next(second for second in range(60, 200) if played.targets[second] == 1)
    assert gone == pytest.approx(60 + CALM + 10, abs=3)  # the mean over ten seconds forgets first
    assert set(played.targets[60:]) <= {9, 2, 1}


@pytest.mark.row("E8")
def test_without_figures_nothing_changes():
    past = {"needs": [[0, 1]], "targets": [[0, 5]]}
    assert decide(None, past, target=5, least=1, most=9, now=1_000.0) == (5, past)


LOADS = st.floats(0, 50)


@pytest.mark.row("E11")
@given(LOADS, LOADS, st.integers(1, 5), st.integers(5, 20), st.integers(1, 20))
def test_more_load_never_gives_fewer_and_bounds_hold(one, other, least, most, target):
    target = min(max(target, least), most)
    few, many = (
        decide(Load(load, load), {}, target=target, least=least, most=most, now=7.0)[0] for load in sorted((one, other))
    )
    assert least <= few <= many <= most
    assert many >= min(most, max(one, other) / UTILISATION - 1e-6) or many >= target


def test_what_replicas_report_is_put_together_by_front():
    def series(*values: float) -> list[Any]:
        return [Value(float(at), value) for at, value in enumerate(values)]

    found = load_of(
        {
            PEAK + "a": {"r1": series(0.5, 1.0), "r2": series(0.8)},
            STEADY + "a": {"r1": series(0.5)},
            PEAK + "b": {"r1": series(2.0), "r3": []},
            "other": {"r1": series(9.0)},
        }
    )
    assert found == Load(3.0, 0.5)
    assert load_of({"other": {}}) is None
    assert load_of({PEAK + "a": {"r1": []}}) is None


@dataclass
class Value:
    timestamp: float
    value: float


def test_the_policy_passes_on_what_ray_asks_and_remembers():
    @dataclass
    class Context:
        raw_metrics: Any
        policy_state: dict[str, Any]
        target_num_replicas: int = 1
        capacity_adjusted_min_replicas: int = 1
        capacity_adjusted_max_replicas: int = 3
        current_time: float = 50.0

    policy = OfferedLoad(calm=5.0)
    reported = {PEAK + "a": {"r": [Value(0, 9.0)]}, STEADY + "a": {"r": [Value(0, 9.0)]}}
    count, state = policy(Context(reported, {}))
    assert count == 3
    calm = {PEAK + "a": {"r": [Value(0, 0.1)]}}
    assert policy(Context(calm, state, 3, current_time=54.0))[0] == 3
    assert policy(Context(calm, state, 3, current_time=56.1))[0] == 1
    assert policy(Context({}, state, 3, current_time=99.0))[0] == 3
