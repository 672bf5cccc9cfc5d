"""How a long document becomes segments that a trunk of bounded length can read."""

from collections.abc import Callable

import numpy as np

HEAD_SHARE = 0.25
"""Of the room, for the beginning; the rest is for the end. Source: Sun et al., How to Fine-Tune BERT for Text
Classification?, 2019, section 5.3.1: 128 + 382 of 510 read long reviews best."""


def head(ids: np.ndarray, room: int) -> np.ndarray:
    """The first `room` ids."""
    return ids[:room]


def head_and_tail(ids: np.ndarray, room: int) -> np.ndarray:
    """All ids where they fit, else the first quarter of the room and the last three.

    >>> head_and_tail(np.arange(10), 4).tolist()
    [0, 7, 8, 9]
    """
    if len(ids) <= room:
        return ids
    first = int(room * HEAD_SHARE)
    return np.concatenate([ids[:first], ids[len(ids) - (room - first) :]])


def windows(ids: np.ndarray, room: int, most: int) -> list[np.ndarray]:
    """Consecutive pieces of nearly equal length, none above `room`, at most `most` of them.

    A document too long even for these keeps its head and its tail.

    >>> [len(piece) for piece in windows(np.arange(10), 4, 8)]
    [4, 3, 3]
    """
    kept = head_and_tail(ids, room * most)
    return np.array_split(kept, max(1, -(-len(kept) // room)))


def segments(ids: np.ndarray, *, long: str, room: int, most: int) -> list[np.ndarray]:
    """The segments of one document under the rule `long`: `head`, `head-tail` or `windows`."""
    if long == "windows":
        return windows(ids, room, most)
    return [CUTS[long](ids, room)]


CUTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"head": head, "head-tail": head_and_tail}
RULES = (*CUTS, "windows")
