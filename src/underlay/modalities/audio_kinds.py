"""What a file is by its first bytes, whatever its name says; and whether all of it is there."""

import struct
from typing import BinaryIO

READABLE = {"wav": "WAV", "flac": "FLAC", "ogg": "Ogg", "mp3": "MP3"}
"""Kinds that are decoded, and how people call them. No other parser of the decoding library is ever reached."""

HEAD = 64
"""Bytes that tell a kind."""

_OTHER = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (b"FORM", "an AIFF recording"),
    (b".snd", "an AU recording"),
    (b"#!AMR", "an AMR recording"),
    (b"PAR1", "a Parquet table"),
)
_STREAMED = (0, 0x7FFFFFFF, 0x7FFFFFFE, 0xFFFFFFFF, 0xFFFFFFFE)
"""Sizes that a program writes which cannot go back to correct them: the recording ends where the file ends."""

_CHUNKS = 256
"""Chunks of a WAV file that are looked through for its samples."""

_PAGE = 1 << 16
"""No Ogg page is longer than 65 307 bytes."""


def kind_of(head: bytes) -> str | None:
    """A key of `READABLE`, or None.

    >>> kind_of(b"fLaC" + bytes(60)), kind_of(b"<html>")
    ('flac', None)
    """
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    return "mp3" if head[:3] == b"ID3" or _is_mpeg_frame(head) else None


def describe(head: bytes) -> str:
    """What a file that is no recording seems to be, for people.

    >>> describe(b"<!DOCTYPE html><html>")
    'an HTML page'
    """
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    for sign, name in _OTHER:
        if head.startswith(sign):
            return name
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if not any(head):
        return "nothing but zeros"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return f"text ({head[:24].decode('ascii')!r})"
    return f"of no kind we know (it begins with {head[:8].hex(' ')})"


def missing_bytes(file: BinaryIO, kind: str, size: int) -> int:
    """How many bytes a WAV or Ogg file announces beyond its end; 0 where it is whole, or its kind does not say.

    Args:
        file: At any place; left at its start.
        kind: As `kind_of` gave it.
        size: Of the file.
    """
    missing = _missing_of_wav(file, size) if kind == "wav" else _missing_of_ogg(file, size) if kind == "ogg" else 0
    file.seek(0)
    return missing


def _missing_of_wav(file: BinaryIO, size: int) -> int:
    file.seek(0)
    order = ">" if file.read(4) == b"RIFX" else "<"
    place = 12
    for _ in range(_CHUNKS):
        file.seek(place)
        header = file.read(8)
        if len(header) < 8:
            return 0  # no samples at all: the decoder says so
        name, length = header[:4], int(struct.unpack(f"{order}I", header[4:])[0])
        if name == b"data":
            return 0 if length in _STREAMED else max(0, place + 8 + length - size)
        place += 8 + length + length % 2
    return 0


def _missing_of_ogg(file: BinaryIO, size: int) -> int:
    start = max(0, size - 2 * _PAGE)
    file.seek(start)
    tail = file.read(2 * _PAGE)
    at = tail.rfind(b"OggS")
    header = tail[at : at + 27]
    if at < 0 or len(header) < 27:
        return 27 - len(header)
    lacing = tail[at + 27 : at + 27 + header[26]]
    if len(lacing) < header[26]:
        return header[26] - len(lacing)
    return max(0, at + 27 + header[26] + sum(lacing) - len(tail))


def _is_mpeg_frame(head: bytes) -> bool:
    """The eleven sync bits, then a layer, a bit rate and a sampling rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    layer, bits, rate = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return layer != 0 and bits not in (0, 15) and rate != 3
