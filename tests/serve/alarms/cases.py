"""For every alarm: series that make it quiet, then fire, then clear, as `promtool test rules` takes them."""

from dataclasses import dataclass

JOB = 'job="underlay",instance="a"'
PREDICT = f'{JOB},route="predict"'

Series = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """Of one alarm.

    Args:
        series: Name with labels, and values in promtool's short form.
        quiet: Minutes at which it must not fire.
        fires: Minutes at which it must.
        clears: Minutes at which it must not any more.
        every: Between two values.
        count: Alarms that fire at once.
    """

    series: Series
    quiet: tuple[int, ...]
    fires: tuple[int, ...]
    clears: tuple[int, ...]
    every: str = "1m"
    count: int = 1


def step(name: str, low: float, high: float, *, at: int = 10, until: int = 30) -> Series:
    """A figure that goes up at one minute and down at another."""
    return ((name, f"{low}x{at - 1} {high}x{until - at - 1} {low}x60"),)


def rate(name: str, *pieces: tuple[float, int]) -> tuple[str, str]:
    """A counter that grows by so much a minute, for so many minutes, one piece after another."""
    value, values = 0.0, ["0"]
    for grows, minutes in pieces:
        for _ in range(minutes):
            value += grows
            values.append(f"{value:g}")
    return name, " ".join(values)


def requests(status: int, *pieces: tuple[float, int]) -> tuple[str, str]:
    return rate(f'underlay_requests_total{{{PREDICT},status="{status}"}}', *pieces)


def refused(reason: str, *pieces: tuple[float, int]) -> tuple[str, str]:
    return rate(f'underlay_errors_total{{{JOB},reason="{reason}"}}', *pieces)


def slow(*pieces: tuple[float, float, int]) -> Series:
    """Requests a minute that were fast and slow."""
    fast = rate(f'underlay_request_seconds_bucket{{{PREDICT},le="0.3"}}', *((f, m) for f, _, m in pieces))
    every = [rate(f'underlay_request_seconds_bucket{{{PREDICT},le="{bound}"}}', *((f + s, m) for f, s, m in pieces))
             for bound in ("0.5", "+Inf")]  # fmt: skip
    return (fast, *every)


def labels(*pieces: tuple[float, float, int]) -> Series:
    """Rows a quarter of an hour that were answered with one label and with the other."""
    of = f'{JOB},model="reviews",target="label"'
    return (
        rate(f'underlay_predictions_total{{{of},label="negative"}}', *((a, m) for a, _, m in pieces)),
        rate(f'underlay_predictions_total{{{of},label="positive"}}', *((b, m) for _, b, m in pieces)),
    )


def confidence(*pieces: tuple[float, float, int]) -> Series:
    """Rows a quarter of an hour that were answered with a confidence of 0.85 and of 0.98."""
    name = f'underlay_confidence_bucket{{{JOB},model="reviews",target="label",le="%s"}}'
    low, high = [(a, m) for a, _, m in pieces], [(a + b, m) for a, b, m in pieces]
    none = [(0.0, m) for _, _, m in pieces]
    bounds = {"0.6": none, "0.7": none, "0.8": none, "0.9": low, "0.95": low, "1.0": high, "+Inf": high}
    return tuple(rate(name % bound, *grown) for bound, grown in bounds.items())


def judged(*pieces: tuple[float, float, int]) -> Series:
    """Answers a quarter of an hour that people found right and wrong."""
    of = f'{JOB},model="reviews",target="label"'
    return (
        rate(f'underlay_reviewed_total{{{of},right="true"}}', *((a, m) for a, _, m in pieces)),
        rate(f'underlay_reviewed_total{{{of},right="false"}}', *((b, m) for _, b, m in pieces)),
    )


HOUR, WEEK = 60, 7 * 24 * 60
QUARTER = "15m"

CASES: dict[str, Case] = {
    "UnderlayWatchdog": Case(((f"up{{{JOB}}}", "1x60"),), (), (0, 30, 60), ()),
    "UnderlayDown": Case(step(f"up{{{JOB}}}", 1, 0), (5, 10), (12, 25), (31, 40)),
    "UnderlayAbsent": Case(((f"up{{{JOB}}}", "1x9 stale _x19 1x30"),), (5, 14), (16, 25), (31, 40)),
    "UnderlayNotReady": Case(step(f"underlay_ready{{{JOB}}}", 1, 0), (5, 11), (13, 25), (31, 40)),
    "UnderlayRestarts": Case(
        ((f"process_start_time_seconds{{{JOB}}}", "1x9 2 3 4 5 6x40"),), (5, 11), (15, 18), (30,)
    ),
    "UnderlayErrorsFast": Case(
        (requests(200, (100, 60), (100, 60), (100, 120)), requests(503, (1, 60), (10, 60), (0, 120))),
        (30, 59), (110, 119), (130, 200),
    ),
    "UnderlayErrorsSlow": Case(
        (requests(200, (100, 360), (100, 240), (100, 60)), requests(504, (0, 360), (2, 240), (0, 60))),
        (100, 359), (590, 600), (640, 659),
    ),
    "UnderlaySlow": Case(
        slow((100, 0, 30), (90, 10, 40), (100, 0, 40)), (20, 30, 35), (50, 65), (90, 100),
    ),
    "UnderlayOverloaded": Case(
        (rate(f"underlay_offered_total{{{JOB}}}", (1000, 100)),
         refused("overloaded", (5, 20), (100, 30), (5, 50))),
        (10, 22), (30, 45), (60, 90),
    ),
    "UnderlayQueueFull": Case(step(f"underlay_queue_full_ratio{{{JOB}}}", 0.2, 0.9), (5, 11), (13, 25), (31, 40)),
    "UnderlayBug": Case((refused("bug", (0, 10), (1, 1), (0, 40)),), (5, 10), (12, 18), (25, 40)),
    "UnderlayModelHangs": Case(
        step(f'underlay_version_hung{{{JOB},model="m",version="1"}}', 0, 1), (5, 10), (12, 25), (31, 40)
    ),
    "UnderlayBundleChanged": Case(
        step(f'underlay_bundle_changed{{{JOB},model="m",version="1"}}', 0, 1), (5, 9), (11, 25), (31, 40)
    ),
    "UnderlayGuessing": Case((refused("too_many_failures", (0, 10), (5, 3), (0, 40)),), (5, 10), (12, 16), (25, 40)),
    "UnderlayRedactionFails": Case((refused("redaction_timeout", (0, 10), (1, 1), (0, 40)),), (5, 10), (12, 18), (25,)),
    "UnderlayStateAway": Case(step(f"underlay_state_working{{{JOB}}}", 1, 0), (5, 10), (12, 25), (31, 40)),
    "UnderlayAuditStands": Case(
        (requests(200, (10, 120)), rate(f"underlay_audit_head{{{JOB}}}", (10, 30), (0, 40), (10, 50))),
        (20, 35), (50, 65), (80, 110),
    ),
    "UnderlayCheckpointsFail": Case(
        step(f"underlay_audit_checkpoint_failing{{{JOB}}}", 0, 1), (5, 14), (16, 25), (31, 40)
    ),
    "UnderlayDiskFull": Case(
        (*step(f"underlay_disk_free_bytes{{{JOB}}}", 50, 5), (f"underlay_disk_bytes{{{JOB}}}", "100x99")),
        (5, 14), (16, 25), (31, 40),
    ),
    "UnderlayDiskFilling": Case(
        ((f"underlay_disk_free_bytes{{{JOB}}}", "1e12x119 1e12-2e9x239 5.2e11x400"),), (60, 119), (300, 340), (720,),
    ),
    "UnderlayCertificateExpires": Case(
        ((f"underlay_certificate_expires_seconds{{{JOB}}}", "1216800x59 9e9x40"),), (0, 110), (130, 590), (610,),
        every="10m",
    ),
    "UnderlayKeyExpires": Case(
        ((f"underlay_key_expires_seconds{{{JOB}}}", "1216800x59 9e9x40"),), (0, 110), (130, 590), (610,), every="10m",
    ),
    "UnderlayClockJumped": Case(
        step(f"underlay_clock_jump_seconds{{{JOB}}}", 0, 3600, until=60), (5, 9), (11, 18), (25, 55)
    ),
    "UnderlayAlarmsNotDelivered": Case(
        (rate('prometheus_notifications_errors_total{job="prometheus"}', (0, 10), (1, 10), (0, 40)),),
        (5, 11), (15, 25), (35, 45),
    ),
    "UnderlayLabelMix": Case(
        labels((50, 50, 48), (90, 10, 52), (50, 50, 60)), (12 * HOUR, 15 * HOUR), (24 * HOUR, 25 * HOUR), (39 * HOUR,),
        every=QUARTER,
    ),
    "UnderlayConfidence": Case(
        confidence((40, 60, 48), (80, 20, 52), (40, 60, 60)), (12 * HOUR, 15 * HOUR), (24 * HOUR,), (39 * HOUR,),
        every=QUARTER,
    ),
    "UnderlayQuality": Case(
        judged((9, 1, 96), (6, 4, 400), (9, 1, 800)), (24 * HOUR,), (100 * HOUR,), (130 * HOUR + WEEK,),
        every=QUARTER,
    ),
}  # fmt: skip
