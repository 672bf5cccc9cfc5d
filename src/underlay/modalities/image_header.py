"""What the first bytes of a picture say of it, before anything decodes it.

Source: PNG (Third Edition) sec. 5 and 11, APNG `acTL`; ITU-T T.81 annex B (JPEG markers); RFC 9649 (WebP).
"""

import struct
from typing import NamedTuple

from underlay.core import RowError

MOST_PIXELS = 20_000_000
"""A 20 megapixel photo takes 80 MB decoded; larger ones gain a model nothing."""

MOST_SIDE = 16_384
READABLE = "save it as PNG, JPEG or WebP"

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_FRAMES = frozenset((*range(0xC0, 0xD0),)) - {0xC4, 0xC8, 0xCC}  # SOF markers; DHT, JPG and DAC lie between them
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length

_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"RIFF", "a RIFF file (audio or video)"),
    (b"\0\0\x01\0", "an icon"),
)


class Header(NamedTuple):
    """The kind and size of a picture as its header states them.

    Args:
        format: `PNG`, `JPEG` or `WEBP`.
        width: Pixels.
        height: Pixels.
        animated: Whether it has several frames.
    """

    format: str
    width: int
    height: int
    animated: bool = False


def read_header(data: bytes) -> Header:
    """The header of a PNG, JPEG or WebP file, within the limits.

    Raises:
        RowError: `empty_image`, `image_format`, `image_truncated`, `image_animated` or `image_too_large`.
    """
    if not data:
        raise RowError("the file is empty (0 bytes)", "copy it again from its source", code="empty_image")
    try:
        header = _header(data)
    except (struct.error, IndexError):
        raise RowError(
            f"the picture breaks off inside its header ({len(data):,} bytes)",
            "copy it again from its source",
            code="image_truncated",
        ) from None
    if header is None:
        raise RowError(f"it is no picture that can be read: {_kind(data)}", READABLE, code="image_format")
    if header.animated:
        raise RowError(
            f"the {header.format} is an animation", "save one of its frames as a picture", code="image_animated"
        )
    width, height = header.width, header.height
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        raise RowError(
            f"the {header.format} has {width:,} x {height:,} pixels; the most is {MOST_PIXELS // 10**6} megapixels and "
            f"{MOST_SIDE:,} a side",
            "make it smaller",
            code="image_too_large",
        )
    return header


def _header(data: bytes) -> Header | None:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    return _webp(data) if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 16)
    place, animated = 8, False
    while place + 8 <= len(data) and data[place + 4 : place + 8] != b"IDAT":  # acTL stands before the pixels
        animated = animated or data[place + 4 : place + 8] == b"acTL"
        place += 12 + int(struct.unpack_from(">I", data, place)[0])
    return Header("PNG", width, height, animated)


def _jpeg(data: bytes) -> Header:
    place = 2
    while True:
        while data[place] == 0xFF:
            place += 1  # fill bytes may stand before a marker
        marker = data[place]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 4)
            return Header("JPEG", width, height)
        place += 1 if marker in _ALONE else 1 + max(2, int(struct.unpack_from(">H", data, place + 1)[0]))


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return Header("WEBP", width, height, bool(flags & 0x02))
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("WEBP", width & 0x3FFF, height & 0x3FFF)


def _kind(data: bytes) -> str:
    """What a file that is no picture seems to be."""
    for start, name in _OTHERS:
        if data.startswith(start):
            return name
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (did the download need a login?)"
    if head.startswith((b"<svg", b"<?xml")):
        return "an SVG or XML document"
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or MP4 file"
    text = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data[:512])
    return "a text file" if text == len(data[:512]) else f"unknown content ({data[:8].hex(' ')})"
