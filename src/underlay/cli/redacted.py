"""A file redacted: each format read in its own way, and written whole or not at all."""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from underlay.cli.terminal import Terminal
from underlay.cli.writing import format_of, published
from underlay.core import DataError, Event, UsageError

if TYPE_CHECKING:
    from underlay.serve.redaction import Policy, Redaction

TABLES = ("csv", "tsv", "parquet", "arrow", "feather")
MOST_BYTES = 64 << 20
"""Of a text that is one document, plain or JSON: it is held in memory several times over. Rows and lines are not."""


@dataclass
class Redacted:
    """What was found, by count; never a value.

    Args:
        rule_set: Version of the rules.
        counts: By kind.
        by_column: By column and kind.
        texts: Cells, lines or documents looked at.
        failed: Texts that were masked whole.
        notes: What a person should know.
    """

    rule_set: str
    counts: Counter[str] = field(default_factory=Counter)
    by_column: dict[str, Counter[str]] = field(default_factory=dict)
    texts: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, done: "Redaction", column: str | None = None) -> None:
        """Count what one text held."""
        self.texts += 1
        self.failed += done.failed is not None
        found = {kind: count for kind, count in done.counts.items() if kind != "FAILED"}
        self.counts.update(found)
        if column is not None and found:
            self.by_column.setdefault(column, Counter()).update(found)

    def to_dict(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "counts": dict(sorted(self.counts.items())),
            "columns": {name: dict(sorted(counts.items())) for name, counts in self.by_column.items()},
            "texts": self.texts,
            "failed": self.failed,
            "rule_set": self.rule_set,
            "notes": self.notes,
        }


def redact_source(
    source: str,
    policy: "Policy",
    *,
    columns: tuple[str, ...] = (),
    out: Path | None = None,
    lines: bool = False,
    write: bool = True,
    quiet: bool = False,
) -> Redacted:
    """Redact a file or stdin.

    Args:
        source: A path, or `-`.
        policy: What is redacted and how.
        columns: The only ones that are redacted; none for all.
        out: File to write; None for stdout.
        lines: Stdin is JSON Lines.
        write: Whether anything is written; if not, all is only counted.
        quiet: Show no progress.

    Raises:
        UsageError: Columns of what has none, an output of another format.
        DataError: The file cannot be read as what its name says.
    """
    from underlay.serve.redaction import rule_set

    done = Redacted(rule_set())
    ending = ("jsonl" if lines else "txt") if source == "-" else format_of(Path(source))
    if columns and ending not in (*TABLES, "jsonl", "json"):
        raise UsageError(f"{source} is plain text and has no columns", "leave --column out")
    with Terminal(quiet=quiet) as terminal:
        if ending in TABLES:
            from underlay.cli.redacted_tables import redact_table

            redact_table(source, policy, done, columns=columns, out=out, write=write, terminal=terminal)
        elif out is not None and format_of(out) in TABLES:
            raise UsageError(f"a text cannot be written as the table {out.name!r}", "name a file of the input's kind")
        else:
            with _read(source) as (text, codec), _sink(out, codec, write=write) as put:
                _SHAPES.get(ending, _whole)(text, policy, done, columns, put)
        for note in done.notes:
            terminal(Event("warning", note, {}))
    return done


Put = Callable[[str], None]


def _whole(text: Iterable[str], policy: "Policy", done: Redacted, _: tuple[str, ...], put: Put) -> None:
    from underlay.serve.redaction import redact

    redaction = redact(_bounded(text), policy)
    done.add(redaction)
    put(redaction.text)


def _json(text: Iterable[str], policy: "Policy", done: Redacted, columns: tuple[str, ...], put: Put) -> None:
    from underlay.serve.redaction import redact_json

    redaction = redact_json(_bounded(text), policy, columns=columns)
    done.add(redaction)
    put(redaction.text)


def _json_lines(text: Iterable[str], policy: "Policy", done: Redacted, columns: tuple[str, ...], put: Put) -> None:
    from underlay.serve.redaction import redact_json

    for line in _lines(text):
        body = line.rstrip("\r\n")
        if not body.strip():
            put(line)
            continue
        redaction = redact_json(body, policy, columns=columns)
        done.add(redaction)
        put(redaction.text + line[len(body) :])


_SHAPES = {"jsonl": _json_lines, "json": _json}


def _bounded(text: Iterable[str]) -> str:
    """All of a text.

    Raises:
        DataError: It is too long to be one document.
    """
    parts, size = [], 0
    for part in text:
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise DataError(
                f"the text is longer than {MOST_BYTES >> 20} MiB",
                "split it (`split -C 32m`), or write it as JSON Lines",
            )
    return "".join(parts)


def _lines(text: Iterable[str]) -> Iterator[str]:
    """Lines with their ends."""
    left = ""
    for part in text:
        left += part
        *whole, left = left.split("\n")
        yield from (f"{line}\n" for line in whole)
        if len(left) > MOST_BYTES:
            raise DataError(f"a line is longer than {MOST_BYTES >> 20} MiB", "is it JSON Lines, an object a line?")
    if left:
        yield left


@contextlib.contextmanager
def _read(source: str) -> Iterator[tuple[Iterator[str], str]]:
    """The text of a source in pieces, and its encoding.

    Raises:
        DataError: It is no text.
    """
    from underlay.data.encodings import decoded, detect
    from underlay.data.files import open_bytes, require_local, require_safe

    if source == "-":
        yield _strict(decoded(sys.stdin.buffer, "utf-8"), "stdin"), "utf-8"
        return
    require_local(source)
    path = Path(source)
    if path.is_dir():
        raise DataError(f"{path} is a folder", "name one file")
    require_safe(path)
    encoding = detect(lambda: open_bytes(path), path.name)
    with open_bytes(path) as file:
        yield _strict(decoded(file, encoding.codec), path.name), encoding.codec


def _strict(text: Iterator[str], name: str) -> Iterator[str]:
    """The pieces, if they are text."""
    try:
        for part in text:
            if "\0" in part:
                raise DataError(f"{name} is not a text file (it holds NUL bytes)", "pass text, CSV, JSONL or Parquet")
            yield part
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8: byte {error.object[error.start]:#x} does not decode",
            "convert it to UTF-8, or pass a file: its encoding is found",
            code="undecodable",
        ) from None


@contextlib.contextmanager
def _sink(out: Path | None, codec: str, *, write: bool) -> Iterator[Put]:
    """Where the result goes, in the encoding it came in."""
    if not write:
        yield lambda text: None
    elif out is None:
        yield _writer(sys.stdout.buffer, codec)
        sys.stdout.buffer.flush()
    else:
        import pyarrow as pa

        with published(out) as part, pa.output_stream(part, compression="detect") as file:
            yield _writer(file, codec)


def _writer(file: IO[bytes], codec: str) -> Put:
    """Encode and write; a byte order mark is written once, not before every piece."""
    import codecs

    encoder = codecs.getincrementalencoder(codec)("strict")
    return lambda text: void(file.write(encoder.encode(text)))


def void(_: object) -> None:
    """Nothing."""
