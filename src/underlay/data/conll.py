"""CoNLL files: a word and its tag a line, or a word alone, and a blank line between sentences."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from underlay.core import DataError
from underlay.data.delimited import bounded_lines
from underlay.data.encodings import decoded, detect
from underlay.data.files import digest_of, open_bytes
from underlay.data.table import Table

CONLL = (".conll", ".iob", ".bio")
"""Endings such files have."""

WORDS, TAGS = "tokens", "tags"
_DOCUMENT = "-DOCSTART-"


def read_conll(path: Path) -> Table:
    """Give the table of a CoNLL file: a sentence a row, its words in `tokens`, their tags in `tags`.

    Columns stand between tabs, or between spaces where no line has a tab; the first is the word and the last the tag,
    as in CoNLL-2000, 2002 and 2003. Where every line has one column, it is the word, and there are no tags: these are
    sentences to be tagged. Lines of `-DOCSTART-`, and in files with tabs comments (`# ...`), are passed over.

    Args:
        path: The file, plain or compressed.

    Raises:
        DataError: A line has another number of columns than the first, or there is no sentence.
    """
    encoding = detect(lambda: open_bytes(path), path.name)
    with open_bytes(path) as file:
        tabs = any("\t" in line for line in bounded_lines(decoded(file, encoding.codec), path.name))
    sentences: list[tuple[int, list[str], list[str]]] = []
    with open_bytes(path) as file:
        lines = bounded_lines(decoded(file, encoding.codec), path.name)
        sentences.extend(_sentences(enumerate(lines, 1), path.name, "\t" if tabs else None))
    if not sentences:
        raise DataError(f"{path.name} holds no sentence", "write a word and its tag a line", code="empty_file")
    columns = {WORDS: [words for _, words, _ in sentences]}
    tagged = any(tags for _, _, tags in sentences)
    arrow = pa.table(columns | ({TAGS: [tags for _, _, tags in sentences]} if tagged else {}))
    words = sum(len(words) for _, words, _ in sentences)
    notes = [encoding.note] if encoding.note else []
    return Table(
        arrow,
        name=path.name,
        digest=digest_of(path),
        folder=path.parent,
        notes=(
            *notes,
            f"{path.name}: {len(sentences):,} sentences of {words:,} words{'' if tagged else ', without tags'}",
        ),
        source=path,
        lines=pa.chunked_array([pa.array([line for line, _, _ in sentences], pa.int64())]),
    )


def _sentences(
    lines: Iterator[tuple[int, str]], name: str, separator: str | None
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Each sentence with the line of its first word; no tags where lines have one column."""
    first, columns = 0, 0
    words: list[str] = []
    tags: list[str] = []
    for number, line in lines:
        cells = line.rstrip("\r\n").split(separator)
        if not line.strip() or cells[0] == _DOCUMENT:
            if words:
                yield first, words, tags
            first, words, tags = 0, [], []
            continue
        if separator and len(cells) == 1 and cells[0].startswith("#"):
            continue
        columns = columns or len(cells)
        if len(cells) != columns:
            found = f"{name}, line {number}: {len(cells)} {'column' if len(cells) == 1 else 'columns'}"
            raise DataError(
                f"{found} in {line.strip()[:60]!r}, {columns} in the lines before",
                "write a word and its tag in every line, or words alone, and a blank line between sentences",
                code="conll_columns",
            )
        first = first or number
        words.append(cells[0])
        tags.extend([cells[-1].strip()] if columns > 1 else [])
    if words:
        yield first, words, tags
