"""How a long series becomes segments that a trunk of bounded length can read."""

import numpy as np

from underlay.modalities.series_cell import even_grid

CAP = 1024
"""`auto` goes no further: a trunk's cost grows with the length, and 1,024 positions keep what an eye sees."""

KERNEL_CAP = 8192
"""The same where fixed kernels read the series: they cost microseconds a position."""

LEAST = 4
"""A recipe's `max_length` begins there."""

COVERED = 0.99


def choose_length(lengths: np.ndarray, *, asked: int | str, patch: int, cap: int, limit: int | None) -> tuple[int, str]:
    """The longest segment in positions of the series, a multiple of `patch`, and the sentence that says why.

    Args:
        lengths: Of training series.
        asked: By the recipe: a number, or `auto`.
        patch: Positions the stem reads as one.
        cap: What `auto` does not go beyond.
        limit: Patches the trunk can read; None: any number.

    >>> choose_length(np.array([90, 100, 150]), asked="auto", patch=1, cap=1024, limit=None)
    (150, '99 % of the series have at most 150 positions')
    """
    covered = int(np.quantile(lengths, COVERED, method="higher"))
    most = cap if limit is None else min(cap, limit * patch)
    wanted = covered if asked == "auto" else int(asked)
    if asked != "auto" and limit is not None and wanted > limit * patch:
        return limit * patch, f"asked for {asked}; the trunk reads at most {limit} patches of {patch}"
    if asked != "auto":
        return -(-wanted // patch) * patch, "asked for"
    because = f"99 % of the series have at most {covered} positions"
    if covered <= most:
        return -(-max(covered, LEAST) // patch) * patch, because
    share = f"{float((lengths > most).mean()):.0%}".replace("%", " %")
    return most, f"{because}; {share} of them are longer than {most} (model.max_length sets it)"


def segments(numbers: np.ndarray, *, room: int, long: str, most: int) -> list[np.ndarray]:
    """The segments of one series `[T, C]`, none longer than `room`.

    Under `windows` all have that length, begin at even distances and cover both ends; there are at most `most`.

    >>> [piece[:, 0].tolist() for piece in segments(np.arange(5.0)[:, None], room=2, long="windows", most=8)]
    [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0]]
    """
    if len(numbers) <= room:
        return [numbers]
    if long == "head":
        return [numbers[:room]]
    if long == "windows":
        count = min(most, -(-len(numbers) // room))
        return [numbers[begin : begin + room] for begin in np.linspace(0, len(numbers) - room, count).astype(int)]
    return [shortened(numbers, room)]


def shortened(numbers: np.ndarray, positions: int) -> np.ndarray:
    """The series `[T, C]` in fewer positions, each the mean of what it stands for; missing where all of that is.

    >>> shortened(np.array([[1.0], [3.0], [5.0], [np.nan]]), 2)[:, 0].tolist()
    [2.0, 5.0]
    """
    if len(numbers) <= positions:
        return even_grid(numbers, positions)
    starts = np.linspace(0, len(numbers), positions, endpoint=False).astype(int)
    seen = ~np.isnan(numbers)
    sums = np.add.reduceat(np.where(seen, numbers, 0.0), starts, axis=0)
    counts = np.add.reduceat(seen.astype(np.int64), starts, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
