"""Which stretches of a long recording are read."""

RULES = ("centre", "head", "windows")
"""`centre`: the middle; `head`: the beginning; `windows`: several stretches, each read by itself."""

SHORTEST_WINDOW = 0.05
"""Share of a window that a rest must have to be one of its own; less is a click at the end."""


def spans(total: int, *, room: int, rule: str, windows: int) -> list[tuple[int, int]]:
    """Start and stop of every stretch, in order.

    Windows stand end to end; where more would fit than are allowed, they are spread evenly from start to end.

    Args:
        total: Samples there are.
        room: Samples of a stretch.
        rule: One of `RULES`.
        windows: At most so many, where the rule is `windows`.

    >>> spans(10, room=4, rule="centre", windows=8)
    [(3, 7)]
    >>> spans(10, room=4, rule="windows", windows=8)
    [(0, 4), (4, 8), (8, 10)]
    """
    if total <= room:
        return [(0, total)]
    if rule != "windows":
        start = (total - room) // 2 if rule == "centre" else 0
        return [(start, start + room)]
    whole, rest = divmod(total, room)
    count = whole + (rest >= SHORTEST_WINDOW * room)
    if count <= windows:
        return [(at * room, min((at + 1) * room, total)) for at in range(count)]
    if windows == 1:
        return [(0, room)]
    starts = [round(at * (total - room) / (windows - 1)) for at in range(windows)]
    return [(start, start + room) for start in starts]
