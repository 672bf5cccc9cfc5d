"""Alarms about any running server, whatever it serves."""

from collections.abc import Sequence

from underlay.serve.alarms.alarm import Alarm, Figure
from underlay.serve.metrics import ANSWERED

OBJECTIVE = 0.999
"""Of the requests that are answered: the share without a fault of ours."""

FAST, SLOW = 14.4, 6.0
"""How many times faster than the objective allows the budget of a month is used up, when two hours of it, and five
days of it, would be gone.

Source: Beyer et al., The Site Reliability Workbook, 2018, chapter 5, table 5-8.
"""

LEAST_REQUESTS = 100
"""In a window: of fewer, one fault is a large share."""

LATENCY = 0.3
"""Seconds of the service level; one of the bounds of `underlay_request_seconds`."""

DAYS = 14
"""Before a certificate or a key expires: a fortnight has a working day for everybody."""

FREE = 0.1
"""Of a disk."""


def figures(job: str) -> list[Figure]:
    """The shares of requests that failed, by window.

    Args:
        job: Of the servers, as Prometheus scrapes them.
    """
    of = f'job="{job}",route=~"{"|".join(ANSWERED)}"'
    found = []
    for window in ("5m", "30m", "1h", "6h"):
        found += [
            Figure(
                f"underlay:answered:increase{window}",
                f'sum by (job) (increase(underlay_requests_total{{{of},status!="429"}}[{window}]))',
            ),
            Figure(
                f"underlay:failed:ratio{window}",
                f'sum by (job) (increase(underlay_requests_total{{{of},status=~"5.."}}[{window}])) '
                f"/ (underlay:answered:increase{window} > 0)",
            ),
        ]
    return found


def alarms(job: str, *, latency: float = LATENCY) -> list[Alarm]:
    """Of servers that one job scrapes.

    Args:
        job: As Prometheus calls it.
        latency: Seconds within which 99 of 100 requests are to be answered; a bound of `underlay_request_seconds`.
    """
    return [*_presence(job), *_level(job, latency), *_load(job), *_faults(job), *_surroundings(job), *_delivery()]


def _presence(job: str) -> Sequence[Alarm]:
    of = f'{{job="{job}"}}'
    return [
        Alarm(
            "UnderlayWatchdog", "vector(1)", "watchdog", "alarms reach their receiver",
            "nothing: whoever receives this raises an alarm when it stops coming",
        ),
        Alarm(
            "UnderlayDown", f"up{of} == 0", "page", "{{ $labels.instance }} gives no figures",
            "look whether the process runs; `exit code` and the last line of its log say why not", "1m",
        ),
        Alarm(
            "UnderlayAbsent", f"absent(up{of})", "page", "no server is scraped",
            "check the targets of Prometheus", "5m",
        ),
        Alarm(
            "UnderlayNotReady", f"underlay_ready{of} == 0", "page", "{{ $labels.instance }} takes no new requests",
            "it is stopping, its queue died, or answers cannot be kept: its log says which", "2m",
        ),
        Alarm(
            "UnderlayRestarts", f"changes(process_start_time_seconds{of}[10m]) > 3", "page",
            "{{ $labels.instance }} was started more than three times in ten minutes", "read the end of its log",
        ),
    ]  # fmt: skip


def _level(job: str, latency: float) -> Sequence[Alarm]:
    budget = 1 - OBJECTIVE

    def burn(factor: float, long: str, short: str) -> str:
        over = f"{factor * budget:g}"
        return (
            f'underlay:failed:ratio{long}{{job="{job}"}} > {over} and underlay:failed:ratio{short} > {over} '
            f"and underlay:answered:increase{long} >= {LEAST_REQUESTS}"
        )

    slow = f'underlay_request_seconds_bucket{{job="{job}",route=~"{"|".join(ANSWERED)}"}}'
    return [
        Alarm(
            "UnderlayErrorsFast", burn(FAST, "1h", "5m"), "page",
            "so many requests fail that the budget of a month is gone in two days",
            "`underlay_errors_total` says why, the log which",
        ),
        Alarm(
            "UnderlayErrorsSlow", burn(SLOW, "6h", "30m"), "ticket",
            "so many requests fail that the budget of a month is gone in five days",
            "`underlay_errors_total` says why, the log which",
        ),
        Alarm(
            "UnderlaySlow", f"histogram_quantile(0.99, sum by (job, le) (rate({slow}[10m]))) > {latency:g}", "page",
            f"more than one request in a hundred takes over {latency:g} s",
            "look at the queue and at `underlay_batch_seconds`: more load, longer inputs, or a slower machine", "10m",
        ),
    ]  # fmt: skip


def _load(job: str) -> Sequence[Alarm]:
    of = f'job="{job}"'
    return [
        Alarm(
            "UnderlayOverloaded",
            f'sum by (job) (rate(underlay_errors_total{{{of},reason=~"overloaded|too_many_connections"}}[5m])) '
            f"/ sum by (job) (rate(underlay_offered_total{{{of}}}[5m])) > 0.01",
            "page", "more than one request in a hundred is refused for lack of room",
            "add a server, or move the load; `queue_seconds` only makes clients wait", "5m",
        ),
        Alarm(
            "UnderlayQueueFull", f"underlay_queue_full_ratio{{{of}}} > 0.8", "ticket",
            "a queue of {{ $labels.instance }} is more than four fifths full",
            "add a server before requests are refused", "2m",
        ),
    ]  # fmt: skip


def _faults(job: str) -> Sequence[Alarm]:
    of = f'job="{job}"'
    return [
        Alarm(
            "UnderlayBug", f'sum by (job) (increase(underlay_errors_total{{{of},reason=~"bug|row_failed"}}[10m])) > 0',
            "ticket", "a request got the status 500", "the log names the place by its request id; report it",
        ),
        Alarm(
            "UnderlayModelHangs", f"underlay_version_hung{{{of}}} == 1", "page",
            "{{ $labels.model }} {{ $labels.version }} does not come back from a batch",
            "roll back, or restart the server", "1m",
        ),
        Alarm(
            "UnderlayBundleChanged", f"underlay_bundle_changed{{{of}}} == 1", "ticket",
            "the folder of {{ $labels.model }} {{ $labels.version }} is no longer what answers",
            "find out who wrote it; put the bundle back before the next restart, which would refuse it",
        ),
        Alarm(
            "UnderlayGuessing",
            f'sum by (job) (increase(underlay_errors_total{{{of},reason="too_many_failures"}}[5m])) > 0 '
            f'or sum by (job) (increase(underlay_errors_total{{{of},reason="no_key"}}[5m])) > 100',
            "ticket", "somebody sends wrong keys without end", "the log has the address; a firewall can close it",
        ),
        Alarm(
            "UnderlayRedactionFails",
            f'sum by (job) (increase(underlay_errors_total{{{of},reason=~"redaction_.*"}}[10m])) > 0',
            "ticket", "texts could not be redacted, so their requests were refused",
            "find the sender by the request id in the log; shorten `text_characters` if it is an attack",
        ),
    ]  # fmt: skip


def _surroundings(job: str) -> Sequence[Alarm]:
    of = f'{{job="{job}"}}'
    soon = DAYS * 86_400
    return [
        Alarm(
            "UnderlayStateAway", f"underlay_state_working{of} == 0", "page",
            "{{ $labels.instance }} cannot keep answers, so it gives none",
            "the log says `state_failing` and why: a full disk, or a database that does not answer", "1m",
        ),
        Alarm(
            "UnderlayAuditStands",
            f"max by (job, instance) (delta(underlay_audit_head{of}[10m])) == 0 "
            f'and sum by (job, instance) (increase(underlay_requests_total{{job="{job}",status="200",'
            f'route=~"{"|".join(ANSWERED)}"}}[10m])) > 0',
            "page", "{{ $labels.instance }} answers and its audit chain does not grow",
            "stop it: answers without a record must not be given", "5m",
        ),
        Alarm(
            "UnderlayCheckpointsFail", f"underlay_audit_checkpoint_failing{of} == 1", "page",
            "{{ $labels.instance }} writes no checkpoints of its audit chain",
            "look at the folder of `--audit`: until then a cut chain would not be seen", "5m",
        ),
        Alarm(
            "UnderlayDiskFull", f"underlay_disk_free_bytes{of} / underlay_disk_bytes < {FREE:g}", "page",
            "less than a tenth of the disk of {{ $labels.instance }} is free",
            "`underlay state purge` removes what is old; enlarge the disk", "5m",
        ),
        Alarm(
            "UnderlayDiskFilling", f"predict_linear(underlay_disk_free_bytes{of}[6h], 86400) < 0", "ticket",
            "the disk of {{ $labels.instance }} is full in a day if this goes on",
            "`underlay state purge` removes what is old; enlarge the disk", "30m",
        ),
        Alarm(
            "UnderlayCertificateExpires", f"underlay_certificate_expires_seconds{of} - time() < {soon}", "ticket",
            f"the certificate of {{{{ $labels.instance }}}} expires within {DAYS} days",
            "renew the files: the server takes them up by itself",
        ),
        Alarm(
            "UnderlayKeyExpires", f"underlay_key_expires_seconds{of} - time() < {soon}", "ticket",
            f"a key of {{{{ $labels.instance }}}} expires within {DAYS} days",
            "`underlay keys list` shows which; make a new one and hand it over",
        ),
        Alarm(
            "UnderlayClockJumped",
            f"max_over_time(underlay_clock_jump_seconds{of}[10m]) "
            f"- min_over_time(underlay_clock_jump_seconds{of}[10m]) > 60",
            "ticket", "the clock of {{ $labels.instance }} was set by more than a minute",
            "check its time service: keys expire and days begin by this clock",
        ),
    ]  # fmt: skip


def _delivery() -> Sequence[Alarm]:
    """What Prometheus and Alertmanager say of themselves; seen in their own pages where nothing else gets through."""
    return [
        Alarm(
            "UnderlayAlarmsNotDelivered",
            "sum(increase(prometheus_notifications_errors_total[10m])) > 0 "
            "or sum(increase(alertmanager_notifications_failed_total[10m])) > 0",
            "page", "alarms do not get through",
            "see whether Alertmanager runs, and whether its receiver answers", "2m",
        )
    ]  # fmt: skip
