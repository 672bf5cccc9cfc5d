"""Pictures, recordings and series that are broken, hostile or merely odd, sent to a running server: never a 500."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image, PngImagePlugin
from tests.compress import bundles
from tests.serve.conftest import Server, serving

from underlay.modalities.audio_reading import MOST_CHANNELS
from underlay.modalities.series import Series

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, size=(24, 32, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
RATE = 16_000
SOUND = (0.3 * np.sin(np.arange(RATE) * 0.05) + 0.05 * RNG.normal(size=RATE)).astype(np.float32)
SERIES = [[float(np.sin(step / 3 + channel)) for step in range(40)] for channel in range(2)]


def coded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def recorded(samples: np.ndarray, *, rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def wav(*, rate: int = RATE, channels: int = 1, data: bytes = bytes(2_000), size: int | None = None) -> bytes:
    """PCM of 16 bits whose header says what it is told."""
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    size = len(data) if size is None else size
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack(
        "<I", size
    ) + data  # fmt: skip


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    """A picture of one bit a pixel, black."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    lines = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


GOOD: dict[str, Any] = {"image": coded(PICTURE), "audio": recorded(SOUND), "series": SERIES}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A model of one picture, one recording and one series of two channels."""
    folder = tmp_path_factory.mktemp("files")
    series = Series.create(assets={}, limit=64, options={"max_length": 64, "long": "head-tail"})
    rows = [(np.asarray(SERIES) * scale).tolist() for scale in (0.5, 1.0, 2.0)]
    columns = {
        "image": bundles.fitted("image.v1"),
        "audio": bundles.fitted("audio.v1"),
        "series": series.fit(rows, np.random.default_rng(0)),
    }
    with serving(bundles.sealed(folder / "signals", columns), folder, "--limit", "request_seconds=60") as found:
        yield found


def ask(server: Server, **values: Any) -> Any:
    row = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in (GOOD | values).items()
    }
    return server.post("/predict", {"row": row, "scores": True}, **{"x-deadline-ms": "60000"})


def scores(server: Server, **values: Any) -> list[float]:
    found = ask(server, **values)
    assert found.status_code == 200, found.text
    told = list(found.json()["predictions"][0]["label"]["scores"].values())
    assert np.isfinite(told).all()
    return told


def refused(server: Server, *statuses: int, **values: Any) -> str:
    """The code; the place is the column that was replaced."""
    found = ask(server, **values)
    assert found.status_code in (statuses or (422,)), (found.status_code, found.text)
    (column,) = values
    assert found.json()["error"]["field"] == f"/row/{column}"
    return str(found.json()["error"]["code"])


def peak(server: Server) -> int:
    """Bytes that the server has held at once."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


@pytest.mark.row("I01", "I09")
@pytest.mark.parametrize(
    "data",
    [b"<html><body>", b"PK\x03\x04" + bytes(60), b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n%",
     b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xd7\xcd\xc6\x9a" + bytes(60), b"8BPS\0\1" + bytes(60), bytes(100), b"GIF89a"],
    ids=["HTML", "ZIP", "empty", "SVG", "PDF", "EPS", "WMF", "PSD", "zeros", "GIF"],
)  # fmt: skip
def test_what_is_no_picture_that_is_read_is_refused(server, data):
    refused(server, 415, 422, image=data)


@pytest.mark.row("I09")
def test_an_icon_and_a_tiff_are_no_pictures_that_are_read(server):
    for kind in ("ICO", "TIFF", "PPM"):
        refused(server, 415, 422, image=coded(PICTURE, kind))


@pytest.mark.row("I02")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_was_cut_is_never_answered(server, kind):
    large = Image.fromarray(RNG.integers(0, 256, size=(120, 160, 3), dtype=np.uint8))
    whole = coded(large, kind)
    for part in range(20):
        refused(server, 415, 422, image=whole[: len(whole) * part // 20])
    scores(server, image=whole)


@pytest.mark.row("I03", "I11")
def test_pictures_that_would_fill_the_memory_are_refused_by_their_header(server):
    scores(server)
    before = peak(server)
    for side in (12_000, 14_000):
        assert refused(server, 413, image=png(side, side)) == "image_too_large"
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 << 20), 9))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100 << 20), 9))
    for more in (text, profile):
        assert ask(server, image=png(32, 24, more)).status_code in (200, 413, 422)
    assert peak(server) - before < 64 << 20, "a chunk of 100 MB was unpacked"


@pytest.mark.row("I04")
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_a_moving_picture_the_first_frame_is_read_or_none(server, kind):
    frames = [Image.fromarray(np.roll(PIXELS, shift, 0)) for shift in range(1, 200)]
    moving = coded(PICTURE, kind, save_all=True, append_images=frames, **({"lossless": True} if kind == "WEBP" else {}))
    found = ask(server, image=moving)
    assert found.status_code in (200, 415, 422)
    if found.status_code == 200:
        told = list(found.json()["predictions"][0]["label"]["scores"].values())
        np.testing.assert_allclose(told, scores(server), atol=1e-3)


@pytest.mark.row("I05")
def test_the_same_pixels_in_another_mode_have_the_same_answer(server):
    grey = PICTURE.convert("L")
    bits = grey.point(lambda level: 255 * (level > 127))
    deep = Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)
    inks = PICTURE.convert("CMYK")
    for other, plain in (
        (grey, grey.convert("RGB")),
        (deep, grey.convert("RGB")),
        (bits.convert("1"), bits.convert("RGB")),
        (PICTURE.quantize(16), PICTURE.quantize(16).convert("RGB")),
        (PICTURE.convert("RGBA"), PICTURE),
    ):
        np.testing.assert_allclose(
            scores(server, image=coded(other)), scores(server, image=coded(plain)), atol=1e-3, err_msg=other.mode
        )
    scores(server, image=coded(inks, "JPEG"))


@pytest.mark.row("I06", "I07")
def test_a_picture_is_read_upright_however_the_camera_was_held(server):
    upright = scores(server, image=coded(PICTURE))
    undone = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation, turned in undone.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # where it was taken
        stored = PICTURE if turned is None else PICTURE.transpose(Image.Transpose(turned))
        np.testing.assert_allclose(
            scores(server, image=coded(stored, exif=exif)), upright, atol=1e-3, err_msg=str(orientation)
        )


@pytest.mark.row("I08")
def test_pictures_of_one_pixel_and_of_one_line(server):
    assert ask(server, image=png(1, 1)).status_code in (200, 422)
    assert ask(server, image=png(1, 16_384)).status_code in (200, 422)
    assert refused(server, 413, image=png(16_385, 1)) == "image_too_large"


@pytest.mark.row("I10", "I07")
def test_what_follows_a_picture_changes_nothing(server):
    plain = coded(PICTURE, "JPEG")
    told = PngImagePlugin.PngInfo()
    told.add_text("comment", "4012888888881881")
    np.testing.assert_allclose(
        scores(server, image=plain + b"PK\x03\x04" + bytes(500)), scores(server, image=plain), atol=1e-6
    )
    np.testing.assert_allclose(scores(server, image=coded(PICTURE, pnginfo=told)), scores(server), atol=1e-6)
    assert "4012888888881881" not in server.log.read_text(encoding="utf-8")


@pytest.mark.row("I12")
@pytest.mark.parametrize("column", ["image", "audio"])
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/a", "file:///etc/passwd", "\\\\host\\x", "ftp://a/b", "//host/x"]
)
def test_an_address_instead_of_a_file_is_refused(server, column, address):
    assert refused(server, **{column: address}) == "url_not_allowed"


@pytest.mark.row("U01", "U02", "U03", "U07")
@pytest.mark.parametrize(
    "data",
    [wav(size=10 * 3_600 * RATE * 2, data=bytes(1_000)), wav(data=b""), wav(rate=0), wav(channels=0),
     wav(channels=MOST_CHANNELS + 1, data=bytes(36_000)), wav(rate=384_000), wav(rate=3), b"",
     b"some words", b"ID3\x04" + bytes(200), b"\xff\xfb\x90\x64" + bytes(800), wav()[:30]],
    ids=["ten hours", "no samples", "0 Hz", "no channel", "many channels", "384 kHz", "3 Hz", "empty", "text",
         "MP3 tag", "MP3", "cut"],
)  # fmt: skip
def test_a_recording_that_cannot_be_one_is_refused(server, data):
    refused(server, 413, 415, 422, audio=data)


@pytest.mark.row("U04")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_not_finite_or_off_all_scales_are_refused(server, value):
    samples = SOUND.copy()
    samples[500] = value
    refused(server, audio=recorded(samples, subtype="FLOAT"))


@pytest.mark.row("U05")
def test_a_day_of_silence_in_a_small_file_is_refused_before_it_is_decoded(server):
    scores(server)
    flac = bytearray(recorded(np.zeros(RATE * 60, dtype=np.float32), kind="FLAC"))
    total = 24 * 3_600 * RATE  # in the last 36 bits before the digest of STREAMINFO
    flac[21] = flac[21] & 0xF0 | total >> 32
    flac[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    before = peak(server)
    refused(server, 413, 422, audio=bytes(flac))
    assert peak(server) - before < 64 << 20


@pytest.mark.row("U06")
def test_a_recording_with_an_enormous_tag_costs_no_more_than_its_body(server):
    plain = recorded(SOUND)
    tagged = plain + b"LIST" + struct.pack("<I", 8 << 20) + bytes(8 << 20)
    assert ask(server, audio=tagged).status_code in (200, 422)
    found = ask(server, audio=plain + bytes(20 << 20))
    assert (found.status_code, found.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.row("U08")
def test_silence_clipping_and_an_offset_are_answered(server):
    for samples in (np.zeros(RATE), np.clip(SOUND * 50, -1, 1), SOUND * 0.1 + 0.8):
        scores(server, audio=recorded(samples.astype(np.float32)))


@pytest.mark.row("S01")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_in_a_series(server, number):
    row = {name: base64.b64encode(GOOD[name]).decode() for name in ("image", "audio")}
    text = json.dumps({"row": {**row, "series": [[1, "HERE"], [1, 2]]}}).replace('"HERE"', number)
    found = server.post("/predict", text.encode())
    assert (found.status_code, found.json()["error"]["code"]) == (422, "non_finite")
    assert found.json()["error"]["field"] == "/row/series/0/1"


@pytest.mark.row("S01")
def test_gaps_of_a_series_are_filled_as_the_bundle_says_or_refused(server):
    holes = [[None if step % 7 == 3 else value for step, value in enumerate(channel)] for channel in SERIES]
    found = ask(server, series=holes)
    assert found.status_code in (200, 422)
    assert ask(server, series=[[None] * 40] * 2).status_code in (200, 422)


@pytest.mark.row("S03")
def test_a_series_of_other_channels_is_refused_and_a_longer_one_is_cut(server):
    for wrong in (
        [SERIES[0]],
        [*SERIES, SERIES[0]],
        [],
        [[], []],
        [[1.0, 2.0], [1.0]],
        "1,x",
        {"a": 1},
        [["a"], ["b"]],
        3.0,
    ):
        refused(server, series=wrong)
    scores(server, series=[channel * 50 for channel in SERIES])


@pytest.mark.row("S04", "S05")
@pytest.mark.parametrize(
    "series", [[[2.0] * 40] * 2, [[0.0] * 40] * 2, [[5e-324] * 40] * 2, [[1e308, -1e308] * 20] * 2, [[1.0], [2.0]]],
    ids=["constant", "zero", "denormal", "enormous", "one step"],
)  # fmt: skip
def test_series_at_the_ends_of_what_numbers_can_be_have_a_finite_answer_or_none(server, series):
    found = ask(server, series=series)
    assert found.status_code in (200, 422), found.text
    if found.status_code == 200:
        assert np.isfinite(list(found.json()["predictions"][0]["label"]["scores"].values())).all()


def test_after_all_that_the_server_answers_and_has_logged_no_bug(server):
    scores(server)
    assert [line for line in server.logged() if line["level"] == "error"] == []
    assert server.figures()['underlay_errors_total{reason="bug"}'] == 0
