"""The stems of trained audio encoders on every trunk: what a row gives is its own, and every parameter learns."""

import json

import pytest
import torch
from tests.models.test_contract import EVERY, SMALL, VARIANTS

from underlay.models import POOLINGS, Backbone, build, configure
from underlay.models.stems import LogMelStem, SpectrogramStem, WaveformStem

PATCHES = {"mels": 8, "frames": 14, "patch": 4, "mel_stride": 4, "time_stride": 2, "tokens": 0}
DESCRIBED = {
    "spectrogram.v1": {"name": "spectrogram.v1", **PATCHES, "limit": 12},
    "logmel.v1": {"name": "logmel.v1", "mels": 8, "frames": 14, "limit": 7},
    "waveform.v1": {"name": "waveform.v1", "kernels": [10, 3], "strides": [5, 2], "limit": 15},
}
COUNTS = [160, 60, 160, 25]
COMBINATIONS = [*((variant, "mean") for variant in EVERY), *((VARIANTS[1], pooling) for pooling in POOLINGS)]


def inputs(stem, rows=range(4)):
    generator = torch.Generator().manual_seed(0)
    if stem == "waveform.v1":
        count = torch.tensor(COUNTS)
        samples = torch.randn(4, 160, generator=generator) * (torch.arange(160) < count.unsqueeze(1))
        longest = int(count[list(rows)].max())
        return {"sound": {"samples": samples[list(rows), :longest], "count": count[list(rows)]}}
    return {"sound": {"frames": torch.randn(4, 14, 8, generator=generator)[list(rows)]}}


def make(stem, variant=VARIANTS[0], pooling="mean", *, seed=0):
    backbone = Backbone("small", {"name": variant[0], **SMALL[variant[0]], **variant[1]})
    config = configure(backbone, columns={"sound": DESCRIBED[stem]}, outputs={"label": 3}, pooling=pooling)
    model = build(json.loads(json.dumps(config)), seed=seed)
    with torch.no_grad():  # the small first values would hide a leak between rows below the tolerance
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@pytest.mark.parametrize(("variant", "pooling"), COMBINATIONS)
@pytest.mark.parametrize("stem", DESCRIBED)
def test_a_recording_gives_the_same_alone_and_among_others(stem, variant, pooling):
    model = make(stem, variant, pooling)
    with torch.no_grad():
        together = model(inputs(stem)).logits["label"]
        alone = torch.cat([model(inputs(stem, [row])).logits["label"] for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=3e-5)
    assert together.std(dim=0).min() > 1e-4


@pytest.mark.parametrize("variant", EVERY)
@pytest.mark.parametrize("stem", DESCRIBED)
def test_every_parameter_learns_and_layers_are_entered_where_they_were_left(stem, variant):
    model = make(stem, variant)
    model(inputs(stem)).logits["label"].square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        whole, given = model(inputs(stem)), inputs(stem)
        for start in range(model.depth + 1):
            rest = model.encode(model.lower(given, start), model.mask(given), start=start)
            torch.testing.assert_close(rest.logits["label"], whole.logits["label"], rtol=0, atol=1e-5)


def test_a_wave_is_masked_by_the_positions_it_fills():
    stem = WaveformStem(kernels=[10, 3], strides=[5, 2], width=6, filters=4, reach=4, groups=2).eval()
    given = inputs("waveform.v1")["sound"]
    assert stem.size(given) == (4, 15)
    assert stem.mask(given).sum(dim=1).tolist() == [15, 5, 15, 1]
    assert stem(given)[1, 5:].abs().sum() == 0
    assert stem.mask({name: one[::2] for name, one in given.items()}) is None


def test_what_stands_behind_the_end_of_a_wave_does_not_matter():
    for normed in (True, False):
        stem = WaveformStem(kernels=[10, 3], strides=[5, 2], width=6, filters=4, normed=normed, reach=5).eval()
        given = inputs("waveform.v1")["sound"]
        spoilt = {**given, "samples": given["samples"].clone()}
        spoilt["samples"][1, 60:] = 7.0
        assert torch.equal(stem(given), stem(spoilt))


def test_patches_come_mel_by_mel_and_each_along_time():
    stem = SpectrogramStem(mels=4, frames=6, patch=2, mel_stride=2, time_stride=2, width=1, norm_eps=None, dropout=0.0)
    with torch.no_grad():
        stem.patches.weight.fill_(0.25)
        stem.patches.bias.zero_()
    frames = torch.arange(24.0).view(1, 6, 4)  # [1, T, M]
    seen = stem({"frames": frames})[0, :, 0]
    means = [frames[0, time : time + 2, mel : mel + 2].mean() for mel in (0, 2) for time in (0, 2, 4)]
    torch.testing.assert_close(seen, torch.stack(means))


@pytest.mark.parametrize(
    ("made", "arguments"),
    [
        (SpectrogramStem, {"mels": 8, "frames": 8, "patch": 9, "mel_stride": 1, "time_stride": 1}),
        (SpectrogramStem, {"mels": 8, "frames": 8, "patch": 4, "mel_stride": 0, "time_stride": 1}),
        (SpectrogramStem, {"mels": 8, "frames": 8, "patch": 4, "mel_stride": 4, "time_stride": 4, "positions": 3}),
        (LogMelStem, {"mels": 8, "frames": 7}),
        (LogMelStem, {"mels": 8, "frames": 8, "positions": 8}),
        (WaveformStem, {"kernels": [3], "strides": [2, 2]}),
        (WaveformStem, {"kernels": [0], "strides": [2]}),
        (WaveformStem, {"kernels": [3], "strides": [2], "groups": 4}),
    ],
)
def test_a_stem_that_cannot_be_is_refused(made, arguments):
    with pytest.raises(ValueError, match=r"\d"):
        made(width=6, **arguments)


def test_a_wave_longer_than_the_learned_positions_is_refused():
    stem = WaveformStem(kernels=[10, 3], strides=[5, 2], width=6, filters=4, positions=14)
    with pytest.raises(ValueError, match="this stem knows 14"):
        stem(inputs("waveform.v1")["sound"])


def test_a_spectrogram_of_another_size_is_refused():
    for stem in (SpectrogramStem(width=6, **PATCHES), LogMelStem(mels=8, frames=14, width=6)):
        with pytest.raises(ValueError, match=r"\[14, 8\]"):
            stem({"frames": torch.zeros(1, 8, 14)})
