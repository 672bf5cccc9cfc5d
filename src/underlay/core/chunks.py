"""How many rows to hold at a time, from how many bytes those seen so far took."""


def rows_within(budget: int, *, rows: int, taken: int, most: int) -> int:
    """Rows like those seen that fit into `budget` bytes: at least 1, at most `most`.

    Args:
        budget: Bytes.
        rows: Seen.
        taken: Bytes that they took; 0 where they took none.
        most: However small they are.

    >>> rows_within(1000, rows=10, taken=500, most=4096), rows_within(1000, rows=10, taken=0, most=4096)
    (20, 4096)
    """
    return max(1, min(most, budget * rows // taken)) if taken else most
