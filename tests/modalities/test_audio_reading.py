"""Whatever a cell holds becomes mono samples at one rate, or a sentence that says why not."""

import base64
import os
import struct

import numpy as np
import pytest

pytest.importorskip("soundfile", reason="the extra audio is not installed")
import soundfile
from tests.modalities.sounds import chirp, file_bytes, fitted, noise, tone

from underlay.core import RowError, RowProblem
from underlay.modalities.audio_cut import spans
from underlay.modalities.audio_reading import inspect, read

WHOLE = {"rate": 16_000, "seconds": 10.0, "rule": "centre", "windows": 8}
SOUND = chirp()
KINDS = [
    ("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "FLOAT", 0), ("WAV", "PCM_U8", 1e-2),
    ("FLAC", "PCM_16", 1e-4), ("FLAC", "PCM_24", 1e-6), ("OGG", "VORBIS", 0.2), ("MP3", "MPEG_LAYER_III", 0.2),
]  # fmt: skip


def whole(value, **changes):
    return np.concatenate(read(value, **{**WHOLE, **changes}))


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), KINDS)
def test_every_kind_of_file_is_read(kind, subtype, tolerance, tmp_path):
    content = file_bytes(SOUND, kind=kind, subtype=subtype)
    path = tmp_path / f"sound.{kind.lower()}"
    path.write_bytes(content)
    found = whole(content)
    assert found.dtype == np.float32
    assert np.array_equal(found, whole(str(path)))
    assert np.array_equal(found, whole(path))
    assert np.array_equal(found, whole("data:audio/x;base64," + base64.b64encode(content).decode()))
    assert np.array_equal(found, whole({"bytes": content, "path": None}))
    assert inspect(content).rate == 16_000
    if kind != "MP3":  # its coder shifts the start
        assert len(found) == len(SOUND)
        assert np.abs(found - SOUND).max() <= tolerance


def test_the_content_decides_what_a_file_is_not_its_name(tmp_path):
    path = tmp_path / "really_flac.wav"
    path.write_bytes(file_bytes(SOUND, kind="FLAC"))
    assert len(whole(str(path))) == len(SOUND)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled_and_a_tone_stays_where_it_was(rate):
    sound = whole(file_bytes(tone(1_000, rate=rate), rate))
    assert abs(len(sound) - 8_000) <= 1
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(spectrum.argmax() * 16_000 / len(sound) - 1_000) < 3


def test_what_lies_above_half_the_rate_is_taken_out():
    assert np.abs(whole(file_bytes(tone(9_000, rate=44_100), 44_100))[1_000:-1_000]).max() < 1e-3


def test_channels_are_averaged():
    stereo = np.stack([SOUND, np.zeros_like(SOUND)], axis=1)
    assert np.abs(whole(file_bytes(stereo, subtype="FLOAT")) - SOUND / 2).max() < 1e-6
    assert np.abs(whole({"array": stereo, "sampling_rate": 16_000}) - SOUND / 2).max() < 1e-6


@pytest.mark.parametrize(
    "samples",
    [SOUND, SOUND.astype(np.float64), SOUND.tolist(), (SOUND * 32_768).round().astype(np.int16),
     (SOUND * 32_768).round().astype(int).tolist(), (SOUND * 2**31).astype(np.int32)],
    ids=["float32", "float64", "list", "int16", "integers", "int32"],
)  # fmt: skip
def test_samples_of_any_type_are_read_on_one_scale(samples):
    assert np.abs(whole(samples) - SOUND).max() < 1e-4
    assert np.array_equal(whole(samples), whole({"array": samples, "sampling_rate": 16_000}))


def test_an_array_with_its_own_rate_is_resampled():
    assert len(whole({"array": tone(rate=8_000), "sampling_rate": 8_000})) == 8_000


@pytest.mark.parametrize(("rule", "kept"), [("head", (0, 4)), ("centre", (3, 7))])
def test_a_long_recording_is_cut_as_the_rule_says(rule, kept):
    sound = np.repeat(np.arange(1, 11) / 20, 1_600).astype(np.float32)  # ten steps of 0.1 s
    for value in (sound, file_bytes(sound, subtype="FLOAT")):
        (found,) = read(value, rate=16_000, seconds=0.4, rule=rule, windows=8)
        assert np.array_equal(found, sound[kept[0] * 1_600 : kept[1] * 1_600])


def test_windows_stand_end_to_end_or_are_spread_over_what_is_longer():
    assert spans(10, room=4, rule="windows", windows=3) == [(0, 4), (4, 8), (8, 10)]
    assert spans(100, room=10, rule="windows", windows=3) == [(0, 10), (45, 55), (90, 100)]
    assert spans(1_001, room=100, rule="windows", windows=20)[-1] == (900, 1_000)  # a click at the end is none
    assert spans(100, room=10, rule="windows", windows=1) == [(0, 10)]
    sound = noise(2.0)
    pieces = read(sound, rate=16_000, seconds=0.3, rule="windows", windows=8)
    assert [len(piece) for piece in pieces] == [4_800] * 6 + [3_200]
    again = read(np.concatenate(pieces), rate=16_000, seconds=0.3, rule="windows", windows=8)
    assert all(np.array_equal(left, right) for left, right in zip(pieces, again, strict=True))


def flac_of(frames: int) -> bytes:
    """A FLAC file whose header announces `frames` samples a channel (36 bits at byte 21)."""
    content = bytearray(file_bytes(SOUND, kind="FLAC"))
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    return bytes(content)


def wav_header(*, rate=16_000, channels=1, data=0, announced=None, bits=16) -> bytes:
    """A WAV file by hand."""
    announced = data if announced is None else announced
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", announced)
    return b"RIFF" + struct.pack("<I", len(body) + announced & 0xFFFFFFFF) + body + bytes(data)


WAV, FLAC, OGG = (file_bytes(SOUND, kind=kind) for kind in ("WAV", "FLAC", "OGG"))
MP3 = file_bytes(np.tile(SOUND, 8), kind="MP3")
SPOILT = SOUND.copy()
SPOILT[100] = np.nan
ENDLESS = SOUND.copy()
ENDLESS[100] = np.inf
BAD = {
    "truncated.wav": (WAV[: len(WAV) // 2], "truncated"),
    "header_only.wav": (WAV[:30], "damaged_audio"),
    "truncated.flac": (FLAC[: len(FLAC) // 2], "damaged_audio"),
    "truncated.ogg": (OGG[: len(OGG) - 200], "truncated"),
    "truncated.mp3": (MP3[: len(MP3) // 2], "truncated"),
    "empty.wav": (b"", "empty_file"),
    "page.wav": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not_audio"),
    "letter.wav": (b"Dear Sir or Madam, please find the recording attached.", "not_audio"),
    "picture.wav": (b"\x89PNG\r\n\x1a\n" + bytes(200), "not_audio"),
    "phone.wav": (b"\x00\x00\x00\x1cftypM4A \x00" + bytes(200), "not_audio"),
    "zeros.mp3": (bytes(4_096), "not_audio"),
    "archive.flac": (b"PK\x03\x04" + bytes(100), "not_audio"),
    "nan.wav": (file_bytes(SPOILT, subtype="FLOAT"), "not_finite"),
    "infinite.wav": (file_bytes(ENDLESS, subtype="FLOAT"), "not_finite"),
    "loud.wav": (file_bytes(SOUND * 30_000, subtype="FLOAT"), "scale"),
    "no_frames.wav": (file_bytes(SOUND[:0]), "no_samples"),
    "click.wav": (file_bytes(SOUND[:40]), "too_short"),
    "slow.wav": (wav_header(rate=100, data=2_000), "rate"),
    "fast.wav": (wav_header(rate=2_000_000, data=200_000), "rate"),
    "choir.wav": (wav_header(channels=200, data=200 * 2 * 1_600), "channels"),
    "days.flac": (flac_of(1 << 35), "too_long"),
    "more_than_there_is.wav": (wav_header(data=3_200, announced=0x7FFF0000), "truncated"),
    "noise.flac": (FLAC[:200] + np.random.default_rng(0).bytes(4_000), "damaged_audio"),
    "not_really.ogg": (b"OggS" + np.random.default_rng(1).bytes(4_000), None),
    "not_really.mp3": (b"ID3\x03" + np.random.default_rng(2).bytes(4_000), "damaged_audio"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_a_row_error_and_the_others_are_answered(name, tmp_path):
    content, code = BAD[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.wav").write_bytes(WAV)
    audio = fitted([SOUND, WAV])
    good, bad, raw = audio.encode_many([str(tmp_path / "good.wav"), str(tmp_path / name), content])
    assert isinstance(good, dict)
    assert isinstance(bad, RowProblem)
    assert bad == raw  # from a path and from bytes alike
    assert code is None or bad.code == code
    assert " — " in bad.message  # what was found, and what to do


def test_a_file_that_is_not_there_or_is_none_is_a_row_error(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    cases = {
        str(tmp_path / "nothing.wav"): "file_missing",
        str(tmp_path / "folder.wav"): "file_kind",
        str(tmp_path / "pipe.wav"): "file_kind",
        str(tmp_path / "loop.wav"): "file_loop",
        "x" * 5_000: "file_missing",
        "null\0byte.wav": "file_missing",
        "/dev/zero": "file_kind",
        "data:audio/wav;base64,@@@": "data_address",
        "data:audio/wav,plain": "data_address",
        "": "missing_audio",
        "  ": "missing_audio",
    }
    for value, code in cases.items():
        with pytest.raises(RowError) as refused:
            whole(value)
        assert refused.value.code == code, value[:40]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "missing_audio"),
        (float("nan"), "missing_audio"),
        (3, "not_audio"),
        (b"", "empty_file"),
        ([], "no_samples"),
        (["a", "b"], "not_audio"),
        ([[0.1, [0.2]]], "not_audio"),
        (np.zeros((4, 4, 4)), "not_audio"),
        (np.zeros(1_000, np.complex64), "not_audio"),
        (np.full(1_000, 200, np.uint16), "scale"),
        ([70_000] * 1_000, "scale"),
        (np.full(1_000, np.nan), "not_finite"),
        (np.full(1_000, 40.0), "scale"),
        (np.zeros(20), "too_short"),
        ({"array": SOUND}, "missing_rate"),
        ({"array": SOUND, "sampling_rate": 1.5}, "rate"),
        ({"array": SOUND, "sampling_rate": 10}, "rate"),
        ({"array": SOUND, "sampling_rate": "fast"}, "rate"),
        ({"bytes": None, "path": None}, "missing_audio"),
        ({}, "missing_audio"),
    ],
)
def test_a_value_that_is_no_recording_is_a_row_error(value, code):
    with pytest.raises(RowError) as refused:
        whole(value)
    assert refused.value.code == code


def test_a_stream_that_never_knew_its_length_is_read_to_its_end():
    assert len(whole(wav_header(data=3_200, announced=0xFFFFFFFF))) == 1_600


def test_an_absurd_header_costs_no_memory():
    import tracemalloc

    tracemalloc.start()
    for content, _ in (BAD["days.flac"], BAD["choir.wav"], BAD["more_than_there_is.wav"]):
        with pytest.raises(RowError):
            whole(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_only_the_stretch_that_is_read_is_decoded(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for seed in range(60):
            file.write(noise(10.0, seed=seed))
    import tracemalloc

    tracemalloc.start()
    assert len(whole(str(path), seconds=1.0)) == 16_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20  # the ten minutes are 38 MB
