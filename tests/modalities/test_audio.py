"""What an audio modality chooses, keeps and gives."""

import json

import numpy as np
import pytest

pytest.importorskip("soundfile", reason="the extra audio is not installed")
from tests.modalities.sounds import chirp, file_bytes, fitted, noise, tone

from underlay.core import BundleRefused, DataError, RecipeError
from underlay.modalities import Audio, AudioOptions
from underlay.modalities.audio_fit import KEPT_BYTES, Sample, choose_rate
from underlay.modalities.audio_noise import KINDS

SOUNDS = [tone(300 + 100 * at, 0.3 + 0.02 * at) for at in range(12)] + [noise(seed=at) for at in range(6)] + [chirp()]


@pytest.fixture(scope="module")
def audio() -> Audio:
    return fitted([file_bytes(sound) for sound in SOUNDS])


def rms(samples):
    return float(np.sqrt(np.square(samples).mean()))


@pytest.mark.parametrize(
    ("rates", "asked", "rate"),
    [
        ([44_100] * 9 + [8_000], "auto", 16_000),
        ([8_000] * 6 + [16_000] * 4, "auto", 8_000),
        ([None] * 5, "auto", 16_000),
        ([None] * 5 + [8_000], "auto", 8_000),
        ([1_500] * 3, "auto", 2_000),
        ([8_000] * 5, 12_000, 12_000),
    ],
)
def test_the_rate_is_the_most_common_one_up_to_16_000(rates, asked, rate):
    counts = {one: rates.count(one) for one in set(rates)}
    assert choose_rate(counts, asked)[0] == rate


def test_fitting_takes_the_rate_and_the_length_from_the_files():
    audio = fitted([file_bytes(noise(0.4 + 0.01 * at, 8_000), 8_000) for at in range(40)])
    facts = audio.facts()
    assert (audio.rate, audio.seconds) == (8_000, 0.8)
    assert facts["cut"] == 0
    assert facts["rates"] == {"8000": 40}
    assert not facts["warnings"]
    assert audio.encode(file_bytes(tone(rate=44_100), 44_100))["frames"].shape == (49, 64)


def test_auto_reads_no_more_than_ten_seconds_and_a_trunk_may_read_less():
    long = [noise(12.0, 8_000, seed=seed) for seed in range(3)]
    values = [file_bytes(sound, 8_000) for sound in long]
    audio = fitted(values)
    assert audio.seconds == 10.0
    assert "the middle of each is read" in audio.facts()["warnings"][0]
    assert audio.length(audio.encode(values[0])) == audio.describe()["limit"] == 250
    short = fitted(values, limit=20)
    assert short.length(short.encode(values[0])) == short.describe()["limit"] == 20
    assert "at most 20 positions" in short.facts()["why"]
    asked = fitted(values, max_length=30)
    assert asked.describe()["limit"] == 30


def test_mean_and_spread_of_every_mel_are_those_of_the_training_frames(audio):
    frames = np.concatenate([audio.encode(file_bytes(sound))["frames"] for sound in SOUNDS]).astype(np.float64)
    assert frames.dtype == np.float64
    assert np.abs(frames.mean(0)).max() < 0.01
    assert np.abs(frames.std(0) - 1).max() < 0.01


def test_a_sample_of_values_keeps_within_its_bound_and_favours_none():
    rng = np.random.default_rng(0)
    sample, most = Sample(rng), 0
    for number in range(2_000):
        sample.add(number.to_bytes(4, "big") + bytes(1 << 20))
        most = max(most, sum(map(len, sample.values)))
    assert most <= KEPT_BYTES + (2 << 20)
    numbers = [int.from_bytes(value[:4], "big") for value in sample.drawn()]
    assert len(numbers) >= 10
    assert 600 < np.mean(numbers) < 1_400


def test_nothing_to_hear_in_any_row_stops_the_run():
    with pytest.raises(DataError) as refused:
        fitted([None, b"<html>", "missing.wav"])
    assert refused.value.code == "no_audio"


def test_silent_recordings_are_read_counted_and_said():
    audio = fitted([np.zeros(8_000, np.float32)] * 2 + [noise()] * 8)
    assert audio.facts()["silent"] == 0.2
    assert "20 % of the recordings are silent" in audio.facts()["warnings"][0]
    assert np.isfinite(audio.encode(np.zeros(8_000))["frames"]).all()
    assert np.isfinite(fitted([np.zeros(8_000, np.float32)]).encode(noise())["frames"]).all()


def test_mixed_rates_are_said():
    audio = fitted([file_bytes(noise(rate=44_100), 44_100)] * 3 + [file_bytes(noise(rate=8_000), 8_000)])
    assert "it will learn the rate" in audio.facts()["warnings"][0]


def test_windows_are_numbered_and_stand_a_position_apart():
    audio = fitted([noise(1.0)], seconds=0.3, long="windows", windows=3)
    encoded = audio.encode(noise(1.0))
    mask = encoded["mask"][::4]
    per = audio.describe()["limit"]
    assert mask.tolist() == [1] * per + [0] + [2] * per + [0] + [3] * per
    assert len(encoded["frames"]) == len(encoded["mask"])
    assert not encoded["frames"][encoded["mask"] == 0].any()
    assert audio.length(encoded) == audio.facts()["max_length"]
    alone = audio.encode(audio.samples(noise(1.0))[:4_800])["frames"]
    assert np.array_equal(encoded["frames"][: len(alone)], alone)


def test_a_batch_is_padded_to_whole_positions(audio):
    rows = [audio.encode(tone(seconds=seconds)) for seconds in (0.1, 0.35, 0.2)]
    batch = audio.collate(rows)
    assert batch["frames"].dtype == np.float32
    assert batch["frames"].shape[1] == batch["mask"].shape[1] == 4 * max(map(audio.length, rows))
    for row, arrays in enumerate(rows):
        count = len(arrays["mask"])
        assert np.array_equal(batch["frames"][row, :count], arrays["frames"].astype(np.float32))
        assert batch["mask"][row].sum() == count
        assert not batch["frames"][row, count:].any()


def test_frames_of_ten_hours_stay_below_half_a_gigabyte(audio):
    encoded = audio.encode(noise(0.5))
    assert sum(array.nbytes for array in encoded.values()) / 0.5 * 36_000 < 5e8


def test_pixels_are_made_only_where_a_trunk_asks_for_them(audio):
    assert "pixels" not in audio.collate([audio.encode(tone())])
    assert "picture" not in audio.describe()
    drawn = fitted(SOUNDS, picture=True)
    picture = drawn.describe()["picture"]
    short, long = drawn.encode(tone(seconds=0.2)), drawn.encode(noise(3.0))
    pixels = drawn.collate([short, long])["pixels"]
    assert pixels.shape == (2, picture["height"], picture["breadth"], 1)
    count = len(short["frames"])
    assert np.array_equal(pixels[0, :, :count, 0], short["frames"].T.astype(np.float32))
    assert not pixels[0, :, count:].any()
    assert np.array_equal(pixels[:1], drawn.collate([short])["pixels"])


def test_parts_are_ten_slices_and_silence_takes_their_place(audio):
    value = file_bytes(noise(0.5))
    parts = audio.parts(value)
    assert len(parts) == 10
    assert parts[0].text == "0.00-0.05 s"
    emptied = audio.without(value, parts[2:4])
    assert not emptied[parts[2].start : parts[3].stop].any()
    assert np.array_equal(emptied[: parts[2].start], audio.samples(value)[: parts[2].start])
    assert not audio.without(value, parts).any()
    assert audio.parts(b"no sound") == ()


def test_augmented_sound_is_as_long_changed_and_not_another_one(audio):
    sound = chirp()
    for seed in range(20):
        changed = audio.augment(sound, np.random.default_rng(seed))
        assert changed.shape == sound.shape
        assert changed.dtype == np.float32
        assert not np.array_equal(changed, sound)
        assert 0.2 < rms(changed) / rms(sound) < 2.5
    still = fitted(SOUNDS, augment={"shift": 0, "gain": 0, "noise": 0, "mask": 0})
    assert np.array_equal(still.augment(sound, np.random.default_rng(0)), sound)


def test_a_band_of_frequencies_can_be_silenced_and_the_others_stay():
    banded = fitted(SOUNDS, augment={"shift": 0, "gain": 0, "noise": 0, "mask": 0, "band": 0.5})
    sound = noise(0.5)
    whole = np.abs(np.fft.rfft(sound))
    widths = []
    for seed in range(20):
        left = np.abs(np.fft.rfft(banded.augment(sound, np.random.default_rng(seed)))) / whole
        gone, kept = left < 0.05, left > 0.95
        assert (gone | kept).mean() > 0.75, "between them lie soft shoulders alone"
        if gone.any():
            first, last = np.flatnonzero(gone)[[0, -1]]
            assert not kept[first:last].any(), "one band, without a gap"
        widths.append(gone.mean())
    assert max(widths) > 0.15 > 0.1 > min(widths)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_severity(audio, kind):
    sound = chirp()
    plain = audio.encode(sound)["frames"].astype(np.float32)
    changes = []
    for severity in (1, 3, 5):
        damaged = audio.corrupt(sound, kind, severity, np.random.default_rng(0))
        assert damaged.shape == sound.shape
        changes.append(float(np.abs(audio.encode(damaged)["frames"] - plain).mean()))
    assert changes[0] < changes[1] < changes[2]


def test_a_telephone_takes_out_what_it_does_not_carry(audio):
    low = tone(100, 1.0)
    assert rms(audio.corrupt(low, "telephone", 1, np.random.default_rng(0))) < 0.2 * rms(low)


def test_a_waveform_is_drawn_with_its_slices_shaded(audio):
    shown = audio.render(tone(), [1.0, -1.0] + [0.0] * 8)
    assert shown.startswith("<svg")
    assert shown.count("<rect") == 10
    assert "rgba(46,160,67,0.60)" in shown
    assert "rgba(218,54,51,0.60)" in shown


def test_equal_sound_in_another_file_has_the_same_fingerprint_and_changed_sound_a_near_one(audio):
    speech = sum(chirp(200 * at, 400 * at, 2.0, peak=0.1) for at in (1, 2, 3)) * np.hanning(32_000).astype(np.float32)
    numbers = (speech * 32_767).astype(np.int16)
    wav, flac = file_bytes(numbers), file_bytes(numbers, kind="FLAC")
    assert np.array_equal(audio.fingerprint(wav), audio.fingerprint(flac))
    long = fitted(SOUNDS, seconds=5.0)
    plain, quieter, other = (long.fingerprint(one) for one in (speech, 0.8 * speech, chirp(3_000, 500, 2.0)))
    shared = [len(np.intersect1d(plain, one)) / len(np.union1d(plain, one)) for one in (quieter, other)]
    assert shared[0] > 0.8
    assert shared[1] < 0.2
    assert not np.array_equal(plain, quieter)


def test_probes_are_short_files_and_some_are_long_or_of_another_rate(audio):
    probes = [audio.probe(np.random.default_rng(seed)) for seed in range(300)]
    assert all(probe.startswith("data:audio/wav;base64,") for probe in probes)
    assert max(map(len, probes)) < 100_000
    from underlay.modalities.audio_reading import inspect

    headers = [inspect(probe) for probe in probes]
    assert len({header.rate for header in headers}) > 2
    assert any(header.seconds(1) > audio.seconds for header in headers)
    assert len({audio.encode(probe)["frames"].tobytes() for probe in probes}) == 300
    levels = np.array([audio.encode(probe)["frames"].mean(dtype=np.float64) for probe in probes])
    assert np.abs(np.median(levels)) < 2  # within what training has seen, not far beside it


def test_a_linear_model_of_the_classical_features_tells_tones_from_noise(audio):
    from sklearn.linear_model import LogisticRegression

    values = [tone(300 + 40 * at) for at in range(30)] + [noise(seed=at) for at in range(30)]
    features = audio.classical().fit_transform([*values, None])
    assert features.shape == (61, 7 * 64 + 1)
    assert np.isfinite(features).all()
    truth = np.repeat([0, 1], 30)
    model = LogisticRegression().fit(features[:60:2], truth[::2])
    assert model.score(features[1:60:2], truth[1::2]) == 1.0


def test_a_sketch_holds_counts_alone(audio):
    sketch = audio.sketch([tone(), noise(), b"no sound", None, np.zeros(8_000)])
    assert sketch["rows"] == 3
    for name in ("seconds", "level", "centre", "crossings"):
        histogram = sketch["histograms"][name]
        assert sum(histogram["counts"]) == 3
        assert len(histogram["edges"]) == len(histogram["counts"])
    assert len(sketch["shares"]["mels"]) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings["learned"].update(rate=0),
        lambda settings: settings["learned"].update(rate=1e9),
        lambda settings: settings["learned"].update(seconds=float("nan")),
        lambda settings: settings["learned"].update(seconds=-1),
        lambda settings: settings["learned"]["mean"].pop(),
        lambda settings: settings["learned"]["std"].__setitem__(0, 0.0),
        lambda settings: settings["learned"]["mean"].__setitem__(0, float("inf")),
        lambda settings: settings["learned"].pop("rows"),
        lambda settings: settings["options"].update(mels=10**9),
        lambda settings: settings["options"].update(long="all"),
        lambda settings: settings.update(limit="far"),
        lambda settings: settings.update(code="import os"),
    ],
)
def test_a_state_that_cannot_have_been_learned_is_refused(audio, change):
    settings = json.loads(audio.state()["audio.json"])
    change(settings)
    with pytest.raises(BundleRefused):
        Audio.from_state({"audio.json": json.dumps(settings).encode()})


def test_wrong_options_are_all_said_at_once():
    with pytest.raises(RecipeError) as refused:
        AudioOptions.read({"rate": 1, "mels": 2, "long": "tail", "seconds": 0, "augment": {"gain": -1}, "picture": 3})
    assert len(refused.value.problems) == 6
    with pytest.raises(RecipeError, match="no option 'second'"):
        AudioOptions.read({"second": 1})
