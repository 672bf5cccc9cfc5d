"""Recordings through stem and trunk: what stands beside a recording never shows in its answer."""

import pytest
import torch

pytest.importorskip("soundfile", reason="the extra audio is not installed")
from tests.modalities.sounds import chirp, fitted, noise, tone

from underlay.models import build, configure, resolve
from underlay.models.stems import AudioStem

SMALL = {
    "convolution": {"width": 12, "depth": 2, "kernels": [3, 5]},
    "conformer": {"width": 16, "depth": 2, "heads": 2, "inner": 24, "kernel": 5},
    "transformer": {"width": 16, "depth": 1, "heads": 2, "inner": 24},
    "recurrent": {"width": 12, "depth": 1},
}
SOUNDS = [tone(seconds=0.11), noise(0.5), chirp(seconds=0.33), tone(2_000, 0.025), noise(1.4, seed=3)]


def arrays(audio, sounds):
    batch = audio.collate([audio.encode(sound) for sound in sounds])
    return {"sound": {name: torch.from_numpy(array) for name, array in batch.items()}}


def model_of(audio, trunk):
    config = configure(resolve(trunk, options=SMALL[trunk]), columns={"sound": audio.describe()}, outputs={"label": 3})
    model = build(config, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@pytest.mark.parametrize("trunk", SMALL)
@pytest.mark.parametrize("options", [{}, {"seconds": 0.3, "long": "windows"}], ids=["whole", "windows"])
def test_a_recording_gives_the_same_alone_and_among_longer_ones(trunk, options):
    audio = fitted(SOUNDS, **options)
    model = model_of(audio, trunk)
    with torch.no_grad():
        together = model(arrays(audio, SOUNDS)).logits["label"]
        alone = torch.cat([model(arrays(audio, [sound])).logits["label"] for sound in SOUNDS])
    torch.testing.assert_close(together, alone, rtol=0, atol=3e-5)
    assert together.std(dim=0).min() > 1e-3


@pytest.mark.parametrize("trunk", SMALL)
def test_windows_of_a_recording_do_not_see_each_other(trunk):
    audio = fitted([noise(0.9)], seconds=0.3, long="windows")
    model, sound = model_of(audio, trunk), noise(0.9)
    with torch.no_grad():
        whole = model(arrays(audio, [sound]))
        parts = [model(arrays(audio, [sound[at : at + 4_800]])).hidden[0] for at in (0, 4_800, 9_600)]
    assert whole.mask.unique().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(whole.hidden[0][whole.mask[0] > 0], torch.cat(parts), rtol=0, atol=3e-5)


def test_what_stands_at_padding_does_not_matter():
    audio = fitted(SOUNDS)
    model, inputs = model_of(audio, "convolution"), arrays(audio, SOUNDS)
    spoilt = {"sound": dict(inputs["sound"])}
    padding = inputs["sound"]["mask"] == 0
    spoilt["sound"]["frames"] = inputs["sound"]["frames"].masked_fill(padding.unsqueeze(-1), 1e3)
    with torch.no_grad():
        assert torch.equal(model(inputs).logits["label"], model(spoilt).logits["label"])


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_stem_gives_a_position_for_every_stride_frames(stride):
    stem = AudioStem(mels=10, width=6, stride=stride, channels=4, positions=16)
    given = {"frames": torch.randn(2, 16, 10), "mask": torch.ones(2, 16, dtype=torch.long)}
    assert stem(given).shape == (2, 16 // stride, 6)
    assert stem.size(given) == (2, 16 // stride)
    assert stem.mask(given) is None
    given["mask"][1, 16 - stride :] = 0
    assert stem.mask(given).shape == (2, 16 // stride)


@pytest.mark.parametrize("arguments", [{"stride": 3}, {"stride": 1}, {"stride": 0}, {"mels": 0}, {"channels": 0}])
def test_a_stem_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="power of two"):
        AudioStem(**{"mels": 10, "width": 6, **arguments})


def test_a_stretch_longer_than_the_learned_positions_is_refused():
    stem = AudioStem(mels=10, width=6, positions=3)
    with pytest.raises(ValueError, match="this stem knows 3"):
        stem({"frames": torch.zeros(1, 16, 10), "mask": torch.ones(1, 16, dtype=torch.long)})
