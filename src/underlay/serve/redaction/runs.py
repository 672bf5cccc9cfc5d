"""Numbers as people write them: groups of digits with separators, and every way to read some of them as one number."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.view import View

LONGEST = 19
"""Digits of the longest number that is looked for, a bank card's."""

SHORTEST = 7
"""Digits of the shortest, a local telephone's."""

MOST_GROUPS = 8
"""Groups of a number that is not spelled digit by digit or pair by pair."""

SMALL = 2
"""Digits of the groups of a number that is."""

_TIES = ("-", ".", "/", "_")
_RUN = compiled(r"[0-9]+(?:[ \-./()_\n]{1,3}[0-9]+)*")
_GROUP = compiled(r"[0-9]+")


@dataclass(frozen=True)
class Digits:
    """Whole groups of one run that are read as one number.

    Args:
        start: Of its first digit.
        end: After its last digit.
        number: Its digits alone.
        sizes: Digits in each group.
        gaps: The separators between the groups.
        left: The separator before, empty where the run begins.
        right: The separator after, empty where the run ends.
    """

    start: int
    end: int
    number: str
    sizes: tuple[int, ...]
    gaps: tuple[str, ...]
    left: str
    right: str

    @property
    def joined(self) -> bool:
        """Whether a dash, a dot or the like ties it to digits before or after it; a full stop does not."""
        left, right = self.left[-1:], self.right[:1]
        return left in _TIES or (right in _TIES and not self.right.startswith(". "))

    @property
    def stacked(self) -> bool:
        """Whether it goes over lines that look like a column of numbers."""
        breaks = sum("\n" in gap for gap in self.gaps)
        return breaks > 1 or (breaks == 1 and "\n" in self.left + self.right)

    @property
    def dated(self) -> bool:
        """Whether a year, a month and a day are among its groups."""
        at = 0
        for place, size in enumerate(self.sizes[:-2]):
            if _is_date(self.number[at:], (size, *self.sizes[place + 1 : place + 3])):
                return True
            at += size
        return False


def digits(view: View) -> Iterator[Digits]:
    """Every reading of `SHORTEST` to `LONGEST` digits; for a run of n groups at most 19 n of them."""
    for run in view.matches(_RUN):
        text = run.group()
        if len(text) < SHORTEST:
            continue
        groups = [(run.start() + group.start(), run.start() + group.end()) for group in _GROUP.finditer(text)]
        yield from _readings(view, groups)


def _readings(view: View, groups: list[tuple[int, int]]) -> Iterator[Digits]:
    text = view.text
    for first, (start, _) in enumerate(groups):
        if first % 64 == 0:
            view.tick()
        total = 0
        for last in range(first, len(groups)):
            total += groups[last][1] - groups[last][0]
            if total > LONGEST or (last > first and text[groups[last - 1][1] : groups[last][0]].startswith(". ")):
                break
            if total < SHORTEST:
                continue
            inner = groups[first : last + 1]
            if not _whole(groups, first, last, total):
                continue
            yield Digits(
                start=start,
                end=inner[-1][1],
                number="".join(text[begin:end] for begin, end in inner),
                sizes=tuple(end - begin for begin, end in inner),
                gaps=tuple(text[one[1] : two[0]] for one, two in pairwise(inner)),
                left=text[groups[first - 1][1] : start] if first else "",
                right=text[inner[-1][1] : groups[last + 1][0]] if last + 1 < len(groups) else "",
            )


def _whole(groups: list[tuple[int, int]], first: int, last: int, total: int) -> bool:
    """Whether a reading of very small groups begins and ends where they do: part of a list of figures is no number."""
    if last - first < MOST_GROUPS and total > last - first + 1:
        return True
    outside = [*groups[first - 1 : first], *groups[last + 1 : last + 2]] if first else groups[last + 1 : last + 2]
    return all(end - start > SMALL for start, end in outside)


def _is_date(number: str, sizes: tuple[int, ...]) -> bool:
    year = sizes[0] == 4 and number[:2] in ("19", "20")
    month, day = number[4 : 4 + sizes[1]], number[4 + sizes[1] : 4 + sizes[1] + sizes[2]]
    return year and max(sizes[1:3]) <= 2 and 1 <= int(month) <= 12 and 1 <= int(day) <= 31
