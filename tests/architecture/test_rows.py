"""Every row of the reliability contract that these rooms owe has a test that carries its id."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MARK = re.compile(r"pytest\.mark\.row\(((?:\"[A-Z]\d\d\"(?:,\s*)?)+)\)")


def numbered(letter: str, *numbers: int) -> set[str]:
    return {f"{letter}{number:02d}" for number in numbers}


OWED = (
    # Data sets and training settings; archives (11) are no input, pictures (13) come with their modality.
    numbered("D", *range(1, 11), 12, *range(14, 21))
    # Bundles; signatures (12), archives (16), and a running server's rows (20, 21) come with serving.
    | numbered("B", *range(1, 12), 13, 14, 15, 17, 18, 19, 22)
    # Faults of a single process, and of one among several that train.
    | numbered("F", *range(1, 11), 37, 42, 44, 45, 46)
    # A server: what reaches its socket, who may, what a request holds. No file is downloaded (T22); keys of one model
    # (A07) and lists of one owner (A17) come with what they are about. A series has no times of its own (S02, S06).
    | numbered("T", *range(1, 22))
    | numbered("A", *range(1, 7), *range(8, 14), 15)
    | numbered("J", *range(1, 15))
    | numbered("I", *range(1, 13))
    | numbered("U", *range(1, 9))
    | numbered("S", 1, 3, 4, 5)
    | numbered("R", 12, 13)
    | numbered("F", 14, 15, 16, 19, 20)
    # What a server keeps: repeated requests, crashes, disks, databases, the chain, and nothing personal in any of it.
    | numbered("A", 14, 16)
    | numbered("F", 12, 13, *range(22, 28), *range(30, 34), 48)
    | numbered("R", *range(1, 6), 8, 14)
    # Texts, and attacks on the search for personal data in them.
    | numbered("X", *range(1, 13))
)


def rows_with_a_test() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    return {row for source in sources for found in MARK.findall(source) for row in re.findall(r"[A-Z]\d\d", found)}


def test_every_row_that_is_owed_has_a_test():
    assert sorted(OWED - rows_with_a_test()) == []
