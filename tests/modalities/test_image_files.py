"""Files that are no picture, or a dangerous one: each is one row's problem, with a code and a way out."""

import base64
import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from underlay.core import RowError, RowProblem
from underlay.modalities import Image
from underlay.modalities.image_file import MOST_BYTES
from underlay.modalities.image_header import MOST_PIXELS, MOST_SIDE, read_header

pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def saved(kind: str, **more) -> bytes:
    file = io.BytesIO()
    pillow.fromarray(PICTURE).save(file, kind, **more)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, body: bytes = b"", before: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(body or bytes(height * (1 + 3 * width)) if width < 1000 else b""))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def animated_webp() -> bytes:
    file = io.BytesIO()
    frames = [pillow.fromarray(np.roll(PICTURE, step * 5, axis=1)) for step in range(3)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


def animated_png() -> bytes:
    file = io.BytesIO()
    frames = [pillow.fromarray(np.roll(PICTURE, step * 5, axis=1)) for step in range(3)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


def wide_webp() -> bytes:
    """The header of a WebP of 16,384 x 16,384 pixels, and nothing behind it."""
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_383).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes((content[place] ^ 0xFF,)) + content[place + 1 :]


CONTENTS = {
    "zero bytes": (b"", "empty_image", "0 bytes"),
    "an HTML page": (b"<!DOCTYPE html><html><body>404</body></html>", "image_format", "HTML page"),
    "a text": (b"this is not a picture\n", "image_format", "a text file"),
    "a GIF": (saved("GIF"), "image_format", "a GIF"),
    "a BMP": (saved("BMP"), "image_format", "a BMP"),
    "a TIFF": (saved("TIFF"), "image_format", "a TIFF"),
    "a PDF": (b"%PDF-1.7\n1 0 obj", "image_format", "a PDF"),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image_format", "an SVG"),
    "a ZIP archive": (b"PK\x03\x04" + bytes(40), "image_format", "a ZIP archive"),
    "a sound": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), "image_format", "a RIFF file"),
    "a HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), "image_format", "HEIC"),
    "bytes of nothing": (bytes(range(128, 256)), "image_format", "unknown content (80 81"),
    "half of a PNG": (saved("PNG")[:400], "image_truncated", "breaks off"),
    "half of a JPEG": (saved("JPEG")[:-300], "image_truncated", "breaks off"),
    "half of a WebP": (saved("WEBP")[:300], "image_damaged", "WEBP of 50 x 40"),
    "a PNG's first bytes": (saved("PNG")[:12], "image_truncated", "inside its header"),
    "a JPEG's first bytes": (saved("JPEG")[:30], "image_truncated", "inside its header"),
    "a WebP's first bytes": (saved("WEBP")[:20], "image_truncated", "inside its header"),
    "a PNG with a wrong checksum": (flipped(saved("PNG"), 20 + 12), "image_damaged", "damaged"),
    "a PNG with changed pixels": (flipped(saved("PNG"), 60), "image_damaged", "damaged"),
    "a bomb of 400 megapixels": (png(20_000, 20_000), "image_too_large", "20,000 x 20,000"),
    "a PNG of 2,147,483,647 pixels a side": (png(2**31 - 1, 2**31 - 1), "image_too_large", "2,147,483,647"),
    "a strip": (png(MOST_SIDE + 1, 1), "image_too_large", "16,385 x 1"),
    "a picture without a side": (png(0, 5), "image_too_large", "0 x 5"),
    "a WebP of 268 megapixels": (wide_webp(), "image_too_large", "16,384 x 16,384"),
    "an animated WebP": (animated_webp(), "image_animated", "animation"),
    "an animated PNG": (animated_png(), "image_animated", "animation"),
    "an address without base64": ("data:image/png,abc", "data_address", "no data: address"),
    "an address with other signs": ("data:image/png;base64,?!", "data_address", "no base64"),
    "an address of a text": (
        "data:image/png;base64," + base64.b64encode(b"a text").decode(),
        "image_format",
        "a text file",
    ),
    "nothing": (None, "missing_image", "missing"),
    "a float that is no number": (float("nan"), "missing_image", "missing"),
    "an empty cell": ("  ", "missing_image", "missing"),
    "a number": (17, "not_image", "17 (int)"),
    "a list": ([1, 2], "not_image", "list"),
    "a mapping of nothing": ({"bytes": None, "path": None}, "missing_image", "missing"),
    "an array of floats": (np.zeros((8, 8, 3)), "not_image", "float64"),
    "an array of two channels": (np.zeros((8, 8, 2), np.uint8), "not_image", "[8, 8, 2]"),
    "an array of no pixels": (np.zeros((0, 8, 3), np.uint8), "not_image", "[0, 8, 3]"),
    "a path with a zero byte": ("a\0.png", "file_missing", "no path"),
    "a path that is too long": ("a" * 5_000 + ".png", "file_missing", "too long"),
}
FILES = ("missing", "in a file", "a folder", "a loop", "a pipe", "a device", "too many bytes", "no permission")


@pytest.fixture(scope="module")
def modality() -> Image:
    return Image.create(assets={}, limit=None, options={"size": 24}).fit([PICTURE], np.random.default_rng(0))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[str, str, str]]:
    folder: Path = tmp_path_factory.mktemp("files")
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "file").write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    with (folder / "large.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    (folder / "secret.png").write_bytes(saved("PNG"))
    (folder / "secret.png").chmod(0)
    return {
        "missing": (str(folder / "none.png"), "file_missing", "no file"),
        "in a file": (str(folder / "file" / "a.png"), "file_missing", "no file"),
        "a folder": (str(folder / "folder.png"), "file_kind", "a folder"),
        "a loop": (str(folder / "loop.png"), "file_loop", "leads back to itself"),
        "a pipe": (str(folder / "pipe.png"), "file_kind", "a pipe"),
        "a device": ("/dev/zero", "file_kind", "a device"),
        "too many bytes": (str(folder / "large.png"), "image_too_large", f"{MOST_BYTES + 1:,} bytes"),
        "no permission": (str(folder / "secret.png"), "file_permission", "may not be read"),
    }


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_picture_is_refused_with_a_code_and_a_way_out(name, modality):
    value, code, said = CONTENTS[name]
    with pytest.raises(RowError) as refused:
        modality.encode(value)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert refused.value.do


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_refused_with_a_code_and_a_way_out(name, modality, files, monkeypatch):
    value, code, said = files[name]
    if name == "no permission" and os.access(value, os.R_OK):  # root may read everything
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), value)
        monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(denied))
    with pytest.raises(RowError) as refused:
        modality.encode(value)
    assert refused.value.code == code
    assert said in str(refused.value)


def test_the_others_are_answered(modality, files):
    bad = [value for value, _, _ in CONTENTS.values()] + [files[name][0] for name in FILES[:-1]]
    values = [one for value in bad for one in (value, saved("PNG"))]
    answers = modality.encode_many(values)
    assert all(isinstance(answer, RowProblem) for answer in answers[::2])
    assert all(answer["pixels"].shape == (24, 24, 3) for answer in answers[1::2])
    assert modality.fit(values, np.random.default_rng(0)).facts()["unreadable"] == len(bad)
    assert modality.sketch(values)["rows"] == len(bad)
    assert not any(len(modality.fingerprint(value)) for value in bad)


def test_limits_hold_before_anything_is_decoded(monkeypatch, modality):
    def never(*_, **__):
        raise AssertionError("it was opened")

    monkeypatch.setattr(pillow, "open", never)
    for name in ("a bomb of 400 megapixels", "a WebP of 268 megapixels", "an animated WebP", "a GIF", "zero bytes"):
        with pytest.raises(RowError):
            modality.encode(CONTENTS[name][0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_every_cut_of_a_file_is_a_problem_or_a_picture(kind, modality):
    content = saved(kind)
    for length in range(0, len(content), max(1, len(content) // 60)):
        answer = modality.encode_many([content[:length]])[0]
        assert isinstance(answer, RowProblem) or length > len(content) * 0.9


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_no_changed_byte_is_more_than_a_problem(kind, modality):
    content, rng = saved(kind), np.random.default_rng(0)
    for place in (*range(min(64, len(content))), *rng.integers(len(content), size=100).tolist()):
        answer = modality.encode_many([flipped(content, int(place))])[0]
        assert isinstance(answer, RowProblem) or answer["pixels"].shape == (24, 24, 3)


def test_the_header_states_the_size_of_every_format():
    for kind, more in (
        ("PNG", {}),
        ("JPEG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"progressive": True}),
    ):
        header = read_header(saved(kind, **more))
        assert (header.format, header.width, header.height, header.animated) == (kind, 50, 40, False)
    exif = pillow.Exif()
    exif[0x0112] = 6
    assert read_header(saved("WEBP", exif=exif.tobytes()))[:3] == ("WEBP", 50, 40)  # the extended kind
    assert MOST_PIXELS < 89_478_485  # where Pillow would begin to warn
