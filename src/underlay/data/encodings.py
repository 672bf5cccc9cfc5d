"""Which characters the bytes of a text file are: found over the whole file, never half-decoded."""

import codecs
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

import numpy as np

from underlay.core import DataError

Opener = Callable[[], AbstractContextManager[IO[bytes]]]

_BLOCK = 4 << 20
_SAMPLE = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_NAMES = {
    "gb18030": "GB18030 (Chinese; covers GBK and GB2312)",
    "big5": "Big5 (Chinese)",
    "euc_kr": "EUC-KR (Korean)",
    "euc_jp": "EUC-JP (Japanese)",
    "shift_jis": "Shift-JIS (Japanese)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1252": "Windows-1252 (Western European)",
    "latin-1": "Latin-1 (Western European)",
}


@dataclass(frozen=True)
class Encoding:
    """How to decode a file.

    Args:
        codec: Python's name; the whole file decodes with it.
        note: What to tell the reader; empty for plain UTF-8.
    """

    codec: str
    note: str = ""


def detect(opener: Opener, name: str) -> Encoding:
    """Find the encoding that the whole file decodes in.

    Args:
        opener: Gives the bytes, from the start at every call.
        name: Of the file, for messages.

    Raises:
        DataError: Its parts are in different encodings, or no known one fits; the line is named.
    """
    with opener() as file:
        start = file.read(64)
    marked = next(((codec, said) for bom, codec, said in _BOMS if start.startswith(bom)), None)
    if marked is not None:
        codec, said = marked
        _require_decodes(opener, codec, name, said)
        return Encoding(codec, f"{name} is {said}")
    failed = first_failure(opener, "utf-8")
    if failed is None and not _looks_wide(start):
        return Encoding("utf-8")
    wide = _wide(opener, start)
    if wide:
        return Encoding(wide, f"{name} is UTF-16 without a byte order mark")
    return _legacy(opener, name, failed or 0)


def decoded(file: IO[bytes], codec: str, block: int = _BLOCK) -> Iterator[str]:
    """The text of a stream, block by block."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    while data := file.read(block):
        yield decoder.decode(data)
    yield decoder.decode(b"", True)


def first_failure(opener: Opener, codec: str) -> int | None:
    """Offset of the first byte that does not decode, or None."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    done = 0
    with opener() as file:
        while True:
            data = file.read(_BLOCK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(data, not data)
            except UnicodeDecodeError as error:
                return done - pending + error.start
            done += len(data)
            if not data:
                return None


def _require_decodes(opener: Opener, codec: str, name: str, said: str) -> None:
    failed = first_failure(opener, codec)
    if failed is not None:
        line = _line_at(opener, failed, codec)
        raise DataError(
            f"{name}, line {line}: the file begins as {said}, but byte {failed + 1:,} does not decode",
            "save it again in one encoding, UTF-8 if you can choose",
            code="undecodable",
        )


def _line_at(opener: Opener, offset: int, codec: str = "utf-8") -> int:
    newline = "\n".encode(codec)[-4 if "32" in codec else -2 if "16" in codec else -1 :]
    lines, left = 1, offset
    with opener() as file:
        while left > 0 and (data := file.read(min(_BLOCK, left))):
            lines += data.count(newline)
            left -= len(data)
    return lines


def _looks_wide(start: bytes) -> bool:
    return len(start) >= 4 and (start[1::2].count(0) > len(start) // 4 or start[0::2].count(0) > len(start) // 4)


def _wide(opener: Opener, start: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin letters, digits and commas is 0."""
    if not _looks_wide(start):
        return None
    codec = "utf-16-le" if start[1::2].count(0) > start[0::2].count(0) else "utf-16-be"
    return codec if first_failure(opener, codec) is None else None


def _legacy(opener: Opener, name: str, failed: int) -> Encoding:
    sample = _sample(opener, failed)
    good, bad = _lines_in_utf8(sample)
    if good < bad:
        for codec in _candidates(sample):
            if first_failure(opener, codec) is None:
                doubt = "; check accented letters" if codec in ("cp1252", "latin-1", "cp1251") else ""
                return Encoding(codec, f"{name} is not UTF-8: read as {_NAMES.get(codec, codec)}{doubt}")
    mixed = f": {good:,} lines around it are UTF-8 and {bad:,} are not" if good else ""
    raise DataError(
        f"{name}, line {_line_at(opener, failed)}: byte {failed + 1:,} does not decode{mixed}",
        "save the file again in one encoding, UTF-8 if you can choose",
        code="undecodable",
    )


def _sample(opener: Opener, failed: int) -> bytes:
    """Up to 1 MiB of whole lines from just before the first byte that is not UTF-8."""
    skip = max(0, failed - _SAMPLE // 4)
    with opener() as file:
        while skip > 0 and (data := file.read(min(_BLOCK, skip))):
            skip -= len(data)
        sample = file.read(_SAMPLE)
    end = sample.rfind(b"\n")
    start = sample.find(b"\n") + 1 if failed > _SAMPLE // 4 else 0
    return sample[start:end] if end > start else sample


def _lines_in_utf8(sample: bytes) -> tuple[int, int]:
    good = bad = 0
    for line in sample.split(b"\n"):
        if not line.isascii():
            try:
                line.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
    return good, bad


def _candidates(sample: bytes) -> Iterator[str]:
    pairs = _pairs(sample)
    if pairs is not None:
        yield pairs
    elif _isolated(sample):
        yield from _western(sample)
    from charset_normalizer import from_bytes

    known = ["gb18030", "big5", "shift_jis", "euc_kr", "euc_jp", "cp1251", "cp1252", "koi8_r", "cp1250"]
    best = from_bytes(sample[: 1 << 16], cp_isolation=known).best()
    if best is not None:
        yield best.encoding
    yield from _western(sample)


def _western(sample: bytes) -> Iterator[str]:
    if any(0x80 <= byte < 0xA0 for byte in set(sample)):
        yield "cp1252"  # what Windows writes for quotes and dashes; these bytes are control codes in Latin-1
    yield "latin-1"


def _isolated(sample: bytes) -> bool:
    """Accented letters stand alone between ASCII ones; the bytes of ideographs come in runs."""
    high = np.frombuffer(sample, np.uint8) >= 0x80
    alone = high & ~np.concatenate(([False], high[:-1])) & ~np.concatenate((high[1:], [False]))
    return bool(alone.sum() > 0.6 * high.sum())


def _pairs(sample: bytes) -> str | None:
    """East Asian encodings by where their characters lie in the 94 x 94 table of lead and trail bytes.

    Simplified Chinese: the 3755 common characters have leads B0-D7, spread over all of them. Korean syllables
    have leads B0-C8. Japanese kana have the leads A4 and A5.
    """
    leads = []
    for run in _high_runs(sample):
        leads += [run[at] for at in range(0, len(run) - 1, 2) if run[at + 1] >= 0xA1]
    counts = np.bincount(np.array(leads, np.int64), minlength=256)
    total, high = int(counts[0x80:].sum()), sum(byte >= 0x80 for byte in sample[: 1 << 18])
    if not total or 2 * total < 0.7 * high:
        return None
    if counts[0xA4] + counts[0xA5] > 0.2 * total:
        return "euc_jp"
    if counts[0xB0:0xD8].sum() + counts[0xA1:0xA4].sum() < 0.8 * total:
        return None
    korean = total >= 20 and counts[0xC9:0xD8].sum() < 0.08 * total
    return "euc_kr" if korean else "gb18030"


def _high_runs(sample: bytes) -> Iterator[bytes]:
    start = None
    for at, byte in enumerate(sample[: 1 << 18]):
        if byte >= 0x80 and start is None:
            start = at
        elif byte < 0x80 and start is not None:
            yield sample[start:at]
            start = None
    if start is not None:
        yield sample[start : 1 << 18]
