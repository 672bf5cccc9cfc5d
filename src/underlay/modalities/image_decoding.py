"""Bytes of a picture -> an array of pixels, decoded within limits."""

import io
import struct
import zlib
from typing import Any

import numpy as np

from underlay.core import MissingExtra, RowError
from underlay.modalities.image_file import read_bytes
from underlay.modalities.image_header import MOST_PIXELS, MOST_SIDE, Header, read_header

WHITE = (255, 255, 255)
_EXIF, _ORIENTATION = b"Exif\0\0", 0x0112
_OPEN = 1.5  # a scaled JPEG keeps at least this many pixels for one that is wanted


def require_pillow() -> Any:
    """Pillow's `Image` module.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("reading pictures", "image") from error
    return Image


def decode(value: Any, *, near: int | None = None) -> np.ndarray:
    """The picture as uint8 `[H, W, 3]`, upright, on white where it was transparent.

    Args:
        value: What `read_bytes` takes, or such an array itself, `[H, W]`, `[H, W, 1]` or `[H, W, 3]`.
        near: The side it will be resized to; a large JPEG is then decoded at a fraction of its size.

    Raises:
        RowError: It cannot be read, or exceeds the limits of `read_header`.
    """
    if isinstance(value, np.ndarray):
        return _array(value)
    data = read_bytes(value)
    return _decode(data, read_header(data), near)


def size_of(value: Any) -> tuple[int, int, str]:
    """Height, width and format as the header states them, without decoding.

    Raises:
        RowError: As `decode`.
    """
    if isinstance(value, np.ndarray):
        height, width = _array(value).shape[:2]
        return height, width, "array"
    header = read_header(read_bytes(value))
    return header.height, header.width, header.format.lower()


def _array(value: np.ndarray) -> np.ndarray:
    plain = value[:, :, None] if value.ndim == 2 else value
    if plain.dtype != np.uint8 or plain.ndim != 3 or plain.shape[2] not in (1, 3) or 0 in plain.shape:
        raise RowError(
            f"an array of {list(value.shape)} {value.dtype} is no picture", "give uint8 [H, W, 3]", code="not_image"
        )
    if max(plain.shape) > MOST_SIDE or plain.shape[0] * plain.shape[1] > MOST_PIXELS:
        raise RowError(f"the picture has {list(plain.shape)} pixels", "make it smaller", code="image_too_large")
    return np.ascontiguousarray(np.broadcast_to(plain, (*plain.shape[:2], 3)))


def _decode(data: bytes, header: Header, near: int | None) -> np.ndarray:
    images = require_pillow()
    exif = _exif(data) if header.format == "JPEG" else b""
    if exif:  # Pillow reads a JPEG's resolution out of it, and warns about what many cameras write
        data = data.replace(_EXIF, b"Exif\0\1")
    try:
        with images.open(io.BytesIO(data), formats=(header.format,)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise RowError("its header states two sizes", "save it again", code="image_damaged")
            if near is not None:
                image.draft(None, (int(near * _OPEN), int(near * _OPEN)))
            image.load()
            return np.ascontiguousarray(_pixels(_upright(image, _orientation(exif or image.info.get("exif")))))
    except RowError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, struct.error, zlib.error) as error:
        broken = "truncated" in str(error).lower()
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        what = "breaks off before its end" if broken else f"is damaged ({reason:.80})"
        raise RowError(
            f"the {header.format} of {header.width} x {header.height} pixels {what}",
            "copy it again from its source",
            code="image_truncated" if broken else "image_damaged",
        ) from None


def _exif(data: bytes) -> bytes:
    """The EXIF block of a JPEG; empty where there is none."""
    place = data.find(_EXIF, 0, 1 << 16)
    return b"" if place < 0 else data[place : place + (1 << 16)]


def _upright(image: Any, orientation: int) -> Any:
    """The picture turned as its EXIF data says."""
    turns = require_pillow().Transpose
    how = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(orientation)
    return image if how is None else image.transpose(how)


def _orientation(exif: Any) -> int:
    """The orientation an EXIF block states; 1, upright, where it states none or is malformed.

    Source: CIPA DC-008 (EXIF), sec. 4.6; TIFF 6.0, sec. 2.
    """
    block = exif.removeprefix(_EXIF) if isinstance(exif, bytes) else b""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        first = struct.unpack_from(order + "I", block, 4)[0]
        for number in range(struct.unpack_from(order + "H", block, first)[0]):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", block, first + 2 + 12 * number)
            if (tag, kind, count) == (_ORIENTATION, 3, 1):  # one 16-bit number
                return int(value)
    except struct.error:
        return 1
    return 1


def _pixels(image: Any) -> np.ndarray:
    """RGB of any mode: 16 bits scaled, palettes looked up, transparency on white."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64).clip(0, 65_535)
        grey = ((deep + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = require_pillow().new("RGBA", clear.size, (*WHITE, 255))
        image = require_pillow().alpha_composite(white, clear)
    return np.asarray(image.convert("RGB"))
