"""Log-mel frames against the definition, written out as a loop."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.modalities.audio_mel import FLOOR, Filterbank


def plain_log_mel(samples, bank):
    """Davis & Mermelstein by their definition: window, discrete Fourier sum, triangles on the mel scale, logarithm."""
    window, hop, size, rate = bank.window, bank.hop, bank.size, bank.rate
    shape = [0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)]
    energy = math.sqrt(sum(value**2 for value in shape))
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = [700 * (10 ** (top * i / (bank.mels + 1) / 2595) - 1) for i in range(bank.mels + 2)]
    rows = []
    for t in range(bank.frames(len(samples))):
        piece = [samples[t * hop + n] if t * hop + n < len(samples) else 0.0 for n in range(window)]
        piece = [value * weight / energy for value, weight in zip(piece, shape, strict=True)]
        power = []
        for k in range(size // 2 + 1):
            total = sum(value * cmath.exp(-2j * math.pi * k * n / size) for n, value in enumerate(piece))
            power.append(abs(total) ** 2)
        row = []
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for k, value in enumerate(power):
                hertz = k * rate / size
                if low < hertz < high:
                    total += value * ((hertz - low) / (peak - low) if hertz <= peak else (high - hertz) / (high - peak))
            row.append(math.log(max(total, FLOOR)))
        rows.append(row)
    return np.array(rows)


def test_frames_are_what_the_definition_gives():
    bank = Filterbank(2_000, 6)
    samples = (0.3 * np.random.default_rng(0).standard_normal(130)).astype(np.float32)
    np.testing.assert_allclose(bank.log_mel(samples), plain_log_mel(samples, bank), rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("hertz", [200, 1_000, 3_000])
def test_a_tone_stands_in_the_mel_of_its_frequency(rate, hertz):
    bank = Filterbank(rate, 40)
    frames = bank.log_mel(np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32))
    best = frames.mean(0).argmax()
    assert abs(np.abs(bank.centres() - hertz).argmin() - best) <= 1


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 3_000), rate=st.sampled_from([2_000, 8_000, 11_025, 16_000]))
def test_every_sample_stands_in_a_frame_and_no_frame_is_empty(samples, rate):
    bank = Filterbank(rate, 8)
    frames = bank.log_mel(np.full(samples, 0.1, np.float32))
    assert frames.shape == (bank.frames(samples), 8)
    assert np.isfinite(frames).all()
    assert bank.samples(len(frames)) >= samples
    assert len(frames) == 1 or bank.samples(len(frames) - 1) < samples


def test_silence_is_the_floor_and_frames_do_not_depend_on_what_is_far():
    bank = Filterbank(8_000, 20)
    assert (bank.log_mel(np.zeros(4_000, np.float32)) == np.float32(np.log(FLOOR))).all()
    sound = np.random.default_rng(0).standard_normal(8_000 * 60).astype(np.float32)
    whole, start = bank.log_mel(sound), bank.log_mel(sound[: bank.samples(50)])
    np.testing.assert_allclose(whole[:50], start, rtol=0, atol=1e-4)  # sums in another order


def test_no_filter_is_empty_at_any_rate_that_is_read():
    for rate in (2_000, 4_000, 8_000, 16_000, 44_100):
        for mels in (8, 40, 64):
            noise = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
            assert Filterbank(rate, mels).log_mel(noise).min() > np.log(FLOOR) + 1, (rate, mels)
