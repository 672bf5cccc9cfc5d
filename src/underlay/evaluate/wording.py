"""Figures and verdicts as a person reads them."""

from math import floor, isfinite, log10

from underlay.evaluate.interval import Interval
from underlay.evaluate.measure import METRICS, Metric

THIN = "\N{NARROW NO-BREAK SPACE}"
IN_UNITS = ("mae", "rmse")
"""Metrics in units of the target, of any size; the others lie about 0 to 1."""
MINUS = "\N{MINUS SIGN}"


def metric_of(name: str) -> Metric:
    """The metric, or a plain one of that name where this version does not know it."""
    return METRICS.get(name) or Metric(name.replace("_", " "), True, False, "")


def figure(name: str, value: float) -> str:
    """One value of a metric, with its unit.

    >>> figure("log_loss", 0.41234)
    '0.412'
    """
    if metric_of(name).percent:
        return percent(value)
    return number(value) if name in IN_UNITS or name not in METRICS else signed(f"{value:.3f}")


def span(name: str, interval: Interval) -> str:
    """The two ends of an interval, the unit once."""
    if metric_of(name).percent:
        low, high = signed(f"{interval.low * 100:.1f}"), signed(f"{interval.high * 100:.1f}")
        return f"{low} – {high}{THIN}%"
    return f"{figure(name, interval.low)} – {figure(name, interval.high)}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent.

    >>> percent(0.8516).replace(THIN, " ")
    '85.2 %'
    """
    return f"{signed(f'{share * 100:.{digits}f}')}{THIN}%"


def number(value: float) -> str:
    """A number to three decimals, or four digits where it is large or tiny; no scientific notation under a million.

    >>> number(0.4), number(12345.678), number(-0.00012)
    ('0.400', '12,346', '−0.00012')
    """
    if not isfinite(value):
        return "not finite"
    size = abs(value)
    if size and not 1e-6 <= size < 1e9:
        return signed(f"{value:.3g}")
    if size >= 1000:
        return signed(f"{value:,.0f}")
    if size >= 10:
        return signed(f"{value:.{3 - floor(log10(size))}f}")
    if size and size < 0.01:
        return signed(f"{value:.{1 - floor(log10(size))}f}")
    return signed(f"{value:.3f}")


def signed(text: str) -> str:
    """The text with a true minus, and no minus before a zero."""
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def count(value: int, noun: str = "", plural: str = "") -> str:
    """A whole number with its noun.

    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}" if noun else f"{value:,}"


def compact(value: int) -> str:
    """A whole number in at most four characters, for a small cell.

    >>> compact(950), compact(1250), compact(48_000)
    ('950', '1.2k', '48k')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.0f}{unit}" if value >= 10 * size else f"{value / size:.1f}{unit}"
    return str(value)


def duration(seconds: float) -> str:
    """A time that reads well.

    >>> duration(0.84), duration(312), duration(3780)
    ('0.8 s', '5 min 12 s', '1 h 3 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (
        (whole // 60, whole % 60, "min s") if whole < 3600 else (whole // 3600, whole % 3600 // 60, "h min")
    )
    first, second = names.split()
    return f"{large} {first} {small} {second}" if small else f"{large} {first}"


def verdict(name: str, gap: Interval) -> str:
    """How the model stands to a baseline: `better`, `worse`, or `level` when the interval holds 0."""
    if gap.low <= 0 <= gap.high:
        return "level"
    return "better" if (gap.value > 0) == metric_of(name).higher else "worse"


def gap_text(name: str, gap: Interval) -> str:
    """A difference with its sign and interval: `+7.9 points (5.1 to 10.4)`."""
    if metric_of(name).percent:
        value, low, high = (signed(f"{part * 100:.1f}") for part in (gap.value, gap.low, gap.high))
        unit = " points"
    else:
        value, low, high = (figure(name, part) for part in (gap.value, gap.low, gap.high))
        unit = ""
    plus = "" if value.startswith(MINUS) else "+"
    return f"{plus}{value}{unit} ({low} to {high})"


def in_sentence(title: str) -> str:
    """A title inside a sentence.

    >>> in_sentence("Macro F1"), in_sentence("ROC AUC")
    ('macro F1', 'ROC AUC')
    """
    return title if title[:2].isupper() or title[1:2] == "²" else title[:1].lower() + title[1:]
