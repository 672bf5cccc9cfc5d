"""What to take of many candidates, and what it would take to take another, in sentences."""

from collections.abc import Callable, Sequence
from math import ceil

from underlay.evaluate.contenders import Contender, Lost, Search, Targets
from underlay.evaluate.wording import THIN, count, figure, in_sentence, metric_of, number, percent

ROOM = 1.05
"""Of a bound that is named as one that would have been enough: a time measured again is a little longer."""


def recommendation(search: Search) -> tuple[str, ...]:
    """Sentences for whoever has to decide.

    Args:
        search: All that was tried; `words` are not read.
    """
    named = [one for one in search.contenders if one.name == search.chosen]
    if not named:
        return (f"None of {count(len(search.measured) - 1, 'candidate')} holds all targets.", *closest(search))
    chosen, original = named[0], search.original
    tried = search.contenders.index(chosen) + 1
    passed = sum(one.measured for one in search.contenders[: tried - 1])
    first = "the first that was tried" if not passed else f"the first after {count(passed, 'other')} that did not"
    return (
        f"Take “{chosen.name}”: it holds all targets, {first}; whatever costs more to compute was not tried.",
        (
            f"Against the original it has {_ratio(original.bytes, chosen.bytes)} of the bytes, answers a row in "
            f"{_ratio(chosen.original_p50, chosen.one_p50)} of the time, and {lost_in_words(chosen)}."
        ),
        *_caution(search, chosen),
        *_better(search, chosen),
    )


def closest(search: Search) -> tuple[str, ...]:
    """What came nearest to the targets, and which single bound would have let one in."""
    known = [one for one in search.contenders if one.measured]
    if not known:
        return ("Nothing could be measured.",)
    near = min(known, key=lambda one: one.distance(search.targets))
    found = [f"“{near.name}” came closest: {told_of(near)}; {near.verdict(search.targets)}."]
    for flag, bound, best in _looser(search.targets, known):
        found.append(f"With {flag} {bound} “{best.name}” would have been taken.")
    return tuple(found)


def told_of(one: Contender) -> str:
    """A candidate's figures in a line.

    >>> lost = (Lost("label", "accuracy", 0.88, 0.86, 0.9, points=0.2, least=-1.0, most=1.4),)
    >>> told_of(Contender("int8", lost, 12_000_000, 3.0, 4.2, 1234.5))
    'accuracy 88.0 % (0.20 points lost, 95 %: −1.00 to 1.40), 12.0 MB, 3.00 ms a row (p99 4.20), 1,234 rows/s'
    """
    if not one.measured:
        return one.why
    return f"{'; '.join(quality(each) for each in one.lost)}, {costs(one)}"


def costs(one: Contender) -> str:
    """How large and how slow a candidate is."""
    return (
        f"{one.megabytes:.1f} MB, {one.one_p50:.2f} ms a row (p99 {one.one_p99:.2f}), {one.rows_per_second:,.0f} rows/s"
    )


def quality(one: Lost) -> str:
    """What one target says, and what it lost."""
    return f"{value_of(one)} ({points(one.points)} points lost, 95 %: {points(one.least)} to {points(one.most)})"


def value_of(one: Lost) -> str:
    """The figure of one target by its name."""
    return f"{in_sentence(metric_of(one.metric).title)} {figure(one.metric, one.value)}".replace(THIN, " ")


def points(value: float) -> str:
    """Points with a true minus, and none before a zero."""
    text = f"{value:.2f}"
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", "\N{MINUS SIGN}")


def lost_in_words(one: Contender) -> str:
    """What a candidate lost, or gained, of each target."""
    said = [
        f"{'loses' if each.points >= 0 else 'gains'} {points(abs(each.points))} points of "
        f"{in_sentence(metric_of(each.metric).title)} of {each.target}"
        for each in one.lost
    ]
    return " and ".join(said)


def _ratio(whole: float, part: float) -> str:
    return percent(part / whole, 0).replace(THIN, " ") if whole > 0 else number(part)


def _caution(search: Search, chosen: Contender) -> list[str]:
    """Where the interval of what is lost holds more than the bound."""
    unsure = [one for one in chosen.lost if one.most > search.targets.points]
    return [
        f"Mind that {count(search.rows, 'validation row')} cannot tell it for sure: the loss of {one.target} lies "
        f"between {points(one.least)} and {points(one.most)} points (95 %), "
        f"the bound is {points(search.targets.points)}."
        for one in unsure
    ]


def _better(search: Search, chosen: Contender) -> list[str]:
    """The best of what was tried before, if it lost clearly less: a higher bound may be worth it."""
    tried = [one for one in search.contenders if one.measured and one.points < chosen.points - 0.05]
    if not tried:
        return []
    best = min(tried, key=lambda one: one.points)
    return [f"“{best.name}” keeps more ({lost_in_words(best)}) and is {best.verdict(search.targets)}."]


def _looser(targets: Targets, known: Sequence[Contender]) -> list[tuple[str, str, Contender]]:
    """By flag the least bound with which, all others as they are, a candidate would hold."""
    found = []
    only: dict[str, tuple[str, Callable[[Contender], float], int]] = {
        "--max-drop": ("loses too much", lambda one: one.points, 2),
        "--target-mb": ("too large", lambda one: one.megabytes, 1),
        "--target-ms": ("too slow", lambda one: one.one_p50 * ROOM, 1),
    }
    for flag, (word, value, digits) in only.items():
        near = [one for one in known if one.misses(targets) == (word,)]
        if near:
            best = min(near, key=value)
            # Rounded up, so that what is named would indeed be enough.
            bound = ceil(value(best) * 10**digits - 1e-9) / 10**digits
            found.append((flag, f"{bound:.{digits}f}", best))
    return found
