"""The shape of a delimited file: its delimiter, its quotes and its header."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from underlay.core import DataError

MOST_COLUMNS = 10_000
_DELIMITERS = ",;\t|"
_LOOKED_AT = 200  # records
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    Args:
        delimiter: Between cells.
        quoting: Whether `"` at the start of a cell begins a quoted one.
        header: Column names, distinct.
        header_characters: Where the first data record begins.
        header_lines: Physical lines before it.
        notes: What a person should know.
    """

    delimiter: str
    quoting: bool
    header: tuple[str, ...]
    header_characters: int
    header_lines: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One record as it lies in the file.

    Args:
        line: Its first physical line, from 1.
        cells: How many it has.
        text: Its first characters.
        open_at: Line of a quote that is never closed, or None.
        lines: Physical lines it takes.
        broken: A quoted cell goes on after its closing quote.
        characters: Its length.
    """

    line: int
    cells: int
    text: str
    open_at: int | None = None
    lines: int = 1
    broken: bool = False
    characters: int = 0


def sniff(head: str, name: str, *, tabs: bool = False) -> Dialect:
    """Find the dialect from the first characters of a file.

    Args:
        head: The start of the text, up to some hundred kilobytes.
        name: Of the file, for messages.
        tabs: The name says that tabs separate (`.tsv`).

    Raises:
        DataError: Nothing is in it, or the header cannot be one.

    >>> sniff("text;label\\ngood;1\\n", "a.csv").delimiter
    ';'
    """
    if not head.strip("\r\n\t ,;|"):
        raise DataError(f"{name} is empty", "it needs a header line with column names, and rows", code="empty_file")
    skipped = len(head) - len(head.lstrip("\r\n"))
    body = head[skipped:]
    delimiter = "\t" if tabs else _delimiter(body)
    quoting = delimiter != "\t" or _quotes_are_closed(body)
    lines = physical_lines(body)
    first = next(records(lines, delimiter, quoting=quoting))
    length = sum(map(len, lines[: first.lines]))
    header, notes = _header(body[:length], delimiter, quoting, name)
    if delimiter != "," and not tabs:
        notes = (f"{name}: cells are separated by a {_NAMES[delimiter]}", *notes)
    if not quoting:
        notes = (f"{name}: quotes do not come in pairs, so they are read as characters of the text", *notes)
    before = len(physical_lines(head[: skipped + length]))
    return Dialect(delimiter, quoting, header, skipped + length, before, notes)


def _delimiter(body: str) -> str:
    """The sign that gives the header and most records the same number of cells, above one."""
    lines = physical_lines(body)
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        counts = [record.cells for record in islice(records(lines, delimiter), _LOOKED_AT)]
        counts = counts[: max(1, len(counts) - 1)]  # the last one may be cut
        score = sum(count == counts[0] for count in counts) / len(counts) if counts[0] > 1 else 0.0
        if score > best_score + 1e-9:
            best, best_score = delimiter, score
    return best


def _quotes_are_closed(body: str) -> bool:
    """Whether every cell that begins with a quote in the first lines ends with one, as a writer of quotes makes it."""
    lines = physical_lines(body)
    looked = list(islice(records(lines, "\t"), _LOOKED_AT))[:-1]
    return not any(record.broken or record.open_at for record in looked)


def _header(text: str, delimiter: str, quoting: bool, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    whole = text.rstrip("\r\n")
    try:
        cells = next(csv.reader([whole], delimiter=delimiter)) if quoting else whole.split(delimiter)
    except csv.Error as error:
        raise DataError(f"{name}, line 1: the header cannot be read: {error}", "the first line names columns") from None
    if len(cells) > MOST_COLUMNS:
        raise DataError(
            f"{name}, line 1: {len(cells):,} columns; at most {MOST_COLUMNS:,} are read",
            "put long rows into one cell each, or use Parquet with a list column",
            code="too_many_columns",
        )
    named = tuple(cell.strip() or f"column_{position}" for position, cell in enumerate(cells, 1))
    notes = [f"{name}: column {at} has no name; it is called {new!r}" for at, (old, new) in _renamed(cells, named)]
    twice = sorted({cell for cell in named if named.count(cell) > 1}) if len(set(named)) < len(named) else []
    if twice:
        raise DataError(
            f"{name}, line 1: the column name {twice[0]!r} appears {named.count(twice[0])} times",
            "give each column its own name; if the file has no header line, add one",
            code="duplicate_column",
        )
    if any(_reads_like_a_row(cell) for cell in cells):
        notes.append(f"{name}: the first line is taken for column names: {whole[:80]!r}; if it is a row, add a header")
    return named, tuple(notes[:4])


def _reads_like_a_row(cell: str) -> bool:
    return len(cell.split()) > 5 or len(cell) > 80 or cell.strip().lstrip("-").replace(".", "", 1).isdigit()


def _renamed(cells: list[str], named: tuple[str, ...]) -> list[tuple[int, tuple[str, str]]]:
    pairs = enumerate(zip(cells, named, strict=True), 1)
    return [(at, (old, new)) for at, (old, new) in pairs if not old.strip()]


def physical_lines(text: str) -> list[str]:
    """Lines with their ends, split at LF, CR LF and CR alone; U+2028, form feeds and the like are text.

    >>> physical_lines("a\\u2028b\\r\\nc")
    ['a\\u2028b\\r\\n', 'c']
    """
    return list(io.StringIO(text, newline=""))


def records(lines: Iterable[str], delimiter: str, *, quoting: bool = True) -> Iterator[Record]:
    """Walk over physical lines and say where records begin, how many cells they have, and which quotes stay open.

    For a look at the start of a file, or to explain a failure: it sees what a reader saw, at a tenth of the speed.
    """
    start = opened = cells = taken = size = 0
    text, broken, inside = "", False, False
    for number, line in enumerate(lines, 1):
        if not taken:
            start, cells, size, text, broken = number, 0, 0, line[:200], False
        taken, size = taken + 1, size + len(line)
        new, inside, last_quote, odd = _walk(line, delimiter, inside, quoting)
        cells, broken = cells + new, broken or odd
        if inside and last_quote:
            opened = number
        if not inside:
            yield Record(start, cells, text.rstrip("\r\n"), None, taken, broken, size)
            taken = 0
    if taken:
        yield Record(start, cells, text.rstrip("\r\n"), opened, taken, broken, size)


@cache
def _cell_patterns(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    mark = re.escape(delimiter)
    closing = re.compile(r'[^"]*(?:""[^"]*)*"(?!")')
    return closing, re.compile(rf"[^{mark}\r\n]*"), re.compile(rf"({mark})|[\r\n]*\Z")


def _walk(line: str, delimiter: str, inside: bool, quoting: bool) -> tuple[int, bool, bool, bool]:
    """Cells that end in this line; whether a quoted cell goes on; whether it began here; text after a quote."""
    closing, plain, after = _cell_patterns(delimiter)
    at, cells, odd = 0, 0, False
    began = False
    while True:
        if inside or (quoting and line.startswith('"', at)):
            began = not inside or began
            found = closing.match(line, at if inside else at + 1)
            if not found:
                return cells, True, began, odd
            inside, at = False, found.end()
            rest = plain.match(line, at)
            odd = odd or bool(rest and rest.group())
        rest = plain.match(line, at)
        at = rest.end() if rest else at
        cells += 1
        separator = after.match(line, at)
        if separator is None or not separator.group(1):
            return cells, False, False, odd
        at = separator.end()
