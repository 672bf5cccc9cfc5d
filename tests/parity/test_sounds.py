"""Our stems and our transformer compute what `transformers` computes with AST, wav2vec 2.0 and Whisper weights."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("soundfile", reason="the extra audio is not installed")
transformers = pytest.importorskip("transformers")
from tests.modalities.sounds import chirp, file_bytes, noise, tone  # noqa: E402

from underlay.core import BundleRefused, CheckpointRefused, RecipeError, UsageError  # noqa: E402
from underlay.modalities import Audio  # noqa: E402
from underlay.models import build, configure, resolve  # noqa: E402

SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40}
AST = {"patch_size": 4, "frequency_stride": 3, "time_stride": 3, "max_length": 40, "num_mel_bins": 16}
WAV = {"conv_dim": [12, 12, 12], "conv_stride": [5, 4, 4], "conv_kernel": [10, 8, 4], "num_feat_extract_layers": 3}
WAV |= {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4}
WHISPER = {"d_model": 24, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 40, "decoder_layers": 1}
WHISPER |= {"decoder_attention_heads": 4, "decoder_ffn_dim": 40, "num_mel_bins": 10, "max_source_positions": 50}
WHISPER |= {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
SOUNDS = [tone(seconds=0.33), noise(0.2), chirp(seconds=0.25), noise(0.39, seed=4)]


def reference(kind):
    """A random model whose norms and biases are off their trivial first values."""
    torch.manual_seed(5)
    if kind == "ast":
        model = transformers.ASTForAudioClassification(transformers.ASTConfig(**SIZES, **AST, initializer_range=0.3))
    elif kind == "whisper":
        model = transformers.WhisperForAudioClassification(transformers.WhisperConfig(**WHISPER))
    else:
        stable = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
        config = transformers.Wav2Vec2Config(**SIZES, **WAV, **(stable if kind == "wav2vec2-large" else {}))
        model = transformers.Wav2Vec2ForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


PREPARED = {
    "ast": {"num_mel_bins": 16, "max_length": 40, "mean": -5.0, "std": 3.5},
    "whisper": {"feature_size": 10, "chunk_length": 1},
    "wav2vec2": {"do_normalize": True},
    "wav2vec2-large": {"do_normalize": True},
}
EXTRACTORS = {"ast": "ASTFeatureExtractor", "whisper": "WhisperFeatureExtractor"}
KINDS = list(PREPARED)


def extractor(kind):
    made = getattr(transformers, EXTRACTORS.get(kind, "Wav2Vec2FeatureExtractor"))
    return made(**PREPARED[kind])


@pytest.fixture(params=KINDS)
def saved(request, tmp_path):
    """`(kind, their model, folder)`."""
    kind = request.param
    model = reference(kind)
    model.save_pretrained(tmp_path / kind)
    extractor(kind).save_pretrained(tmp_path / kind)
    return kind, model, tmp_path / kind


def fitted(backbone, **more):
    options = {**backbone.suggests["audio"], "long": "head", **more}
    audio = Audio.create(assets=backbone.assets, limit=backbone.limit, options=options)
    return audio.fit(SOUNDS, np.random.default_rng(0))


def ours(folder, pooling="mean"):
    backbone = resolve(str(folder))
    audio = fitted(backbone)
    config = configure(backbone, columns={"sound": audio.describe()}, outputs={"label": 2}, pooling=pooling)
    model = build(json.loads(json.dumps(config)), seed=0)
    backbone.load(model)
    return model.eval(), audio


def arrays(audio, sounds):
    batch = audio.collate([audio.encode(sound) for sound in sounds])
    return {"sound": {name: torch.from_numpy(array) for name, array in batch.items()}}


def encoder(kind, model):
    return model.encoder if kind == "whisper" else model.base_model


def test_hidden_states_are_those_of_transformers_alone_and_among_others(saved):
    kind, theirs, folder = saved
    model, audio = ours(folder)
    inputs = arrays(audio, SOUNDS)["sound"]
    with torch.no_grad():
        found = model({"sound": inputs}).hidden
        for row, sound in enumerate(SOUNDS):
            if kind.startswith("wav2vec2"):
                expected = theirs.base_model(inputs["samples"][row : row + 1, : len(sound)]).last_hidden_state[0]
            else:
                given = inputs["frames"][row : row + 1]
                given = given.transpose(1, 2) if kind == "whisper" else given
                expected = encoder(kind, theirs)(given).last_hidden_state[0]
            assert expected.std() > 0.1
            torch.testing.assert_close(found[row, : len(expected)], expected, rtol=0, atol=1e-5)
            assert found[row, len(expected) :].abs().sum() == 0
            alone = model(arrays(audio, [sound])).hidden[0]
            torch.testing.assert_close(alone, expected, rtol=0, atol=1e-5)


def test_logits_are_those_of_transformers_through_the_same_head(saved):
    kind, theirs, folder = saved
    model, audio = ours(folder)
    inputs = arrays(audio, SOUNDS[:1])
    with torch.no_grad():
        output = model(inputs)
        if kind == "ast":
            logits = theirs.classifier((output.hidden[:, 0] + output.hidden[:, 1]) / 2)
            expected = theirs(inputs["sound"]["frames"]).logits
        else:
            logits = theirs.classifier(theirs.projector(output.hidden).mean(dim=1))
            given = inputs["sound"]["samples"] if "samples" in inputs["sound"] else inputs["sound"]["frames"]
            expected = theirs(given.transpose(1, 2) if kind == "whisper" else given).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_recordings_are_prepared_as_the_checkpoint_says(saved):
    """To 1e-4 in single precision; what is kept is rounded to halves, to 1e-3 of values of about 1."""
    kind, _, folder = saved
    _, audio = ours(folder)
    front, made = audio._front, extractor(kind)
    for sound in SOUNDS:
        read = audio.samples(file_bytes(sound))
        expected = made(read, sampling_rate=16_000, return_tensors="np")
        kept = audio.collate([audio.encode(file_bytes(sound))])
        if kind.startswith("wav2vec2"):
            np.testing.assert_allclose(kept["samples"], expected["input_values"], rtol=0, atol=1e-5)
            continue
        wanted = expected["input_values" if kind == "ast" else "input_features"]
        wanted = wanted.transpose(0, 2, 1)[:, : front.frames] if kind == "whisper" else wanted
        assert np.abs(wanted).max() > 0.5
        np.testing.assert_allclose(kept["frames"], wanted, rtol=0, atol=2e-3)


def test_spectra_are_those_of_transformers_in_single_precision():
    from underlay.modalities.audio_spectra import kaldi_log_mel, whisper_log_mel

    sound = (chirp(seconds=1.3) + 0.1 * noise(1.3)).astype(np.float32)
    ast = transformers.ASTFeatureExtractor(num_mel_bins=64, max_length=128, do_normalize=False)(
        sound, sampling_rate=16_000
    )
    found = kaldi_log_mel(sound, rate=16_000, mels=64)
    assert found.shape == (128, 64)
    np.testing.assert_allclose(found, np.asarray(ast["input_values"][0]), rtol=0, atol=1e-4)
    for seconds in (0.02, 1.0, 29.99, 30.0, 31.5):
        sound = noise(seconds)
        whisper = transformers.WhisperFeatureExtractor()(sound, sampling_rate=16_000)["input_features"][0].T
        found = whisper_log_mel(sound, mels=80, frames=3_000)
        filled = np.pad(found, ((0, 3_000 - len(found)), (0, 0)), mode="edge")
        np.testing.assert_allclose(filled, whisper, rtol=0, atol=1e-4)


def test_every_weight_is_in_its_place_and_the_stem_counts_as_trained(saved):
    kind, _, folder = saved
    model, _ = ours(folder)
    assert model.trained == frozenset(["sound"])
    assert {model.layer_of(name) for name, _ in model.named_parameters() if name.startswith("stems.")} == {0}
    assert model.depth == 3, kind


@pytest.mark.parametrize(
    ("kind", "file", "change"),
    [
        ("ast", "config.json", {"qkv_bias": False}),
        ("ast", "config.json", {"patch_size": 99}),
        ("ast", "config.json", {"patch_size": [4, 4]}),
        ("ast", "preprocessor_config.json", {"num_mel_bins": 64}),
        ("ast", "preprocessor_config.json", {"std": 0.0}),
        ("ast", "preprocessor_config.json", {"window": "hamming"}),
        ("whisper", "config.json", {"scale_embedding": True}),
        ("whisper", "preprocessor_config.json", {"n_fft": 512}),
        ("wav2vec2", "config.json", {"add_adapter": True}),
        ("wav2vec2", "config.json", {"conv_dim": [8, 16, 8]}),
        ("wav2vec2", "config.json", {"conv_kernel": "10"}),
        ("wav2vec2", "config.json", {"feat_extract_norm": "batch"}),
        ("wav2vec2", "preprocessor_config.json", {"sampling_rate": "16000"}),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(kind, file, change, tmp_path):
    reference(kind).save_pretrained(tmp_path)
    extractor(kind).save_pretrained(tmp_path)
    path = tmp_path / file
    before = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**before, **change}), encoding="utf-8")
    with pytest.raises(CheckpointRefused) as refused:
        resolve(str(tmp_path))
    assert refused.value.code == "config_key"


def test_a_recording_is_read_as_the_trunk_wants_or_the_recipe_is_refused(tmp_path):
    reference("ast").save_pretrained(tmp_path)
    backbone = resolve(str(tmp_path))
    assert backbone.suggests["audio"]["front"]["mean"] == pytest.approx(-4.2677393)
    for stray in ({"rate": 8_000}, {"long": "windows"}, {"picture": True}, {"max_length": 12}):
        with pytest.raises(RecipeError, match=next(iter(stray))):
            fitted(backbone, **stray)
    for wrong in (
        {"kind": "kaldy"},
        {"kind": "kaldi", "mells": 8},
        {"kind": "kaldi", "mels": "8"},
        {"kind": "whisper", "frames": 3},
    ):
        with pytest.raises(RecipeError, match="front"):
            Audio.create(assets={}, limit=None, options={"front": wrong})
    plain = Audio.create(assets={}, limit=None, options={}).fit(SOUNDS, np.random.default_rng(0))
    front = dict(backbone.suggests["audio"]["front"], mels=20)
    other = Audio.create(assets={}, limit=None, options={"front": front}).fit(SOUNDS, np.random.default_rng(0))
    with pytest.raises(UsageError, match="mels 20"):
        configure(backbone, columns={"sound": other.describe()}, outputs={"label": 2})
    fresh = build(configure(backbone, columns={"sound": plain.describe()}, outputs={"label": 2}), seed=0)
    backbone.load(fresh)  # our own spectrogram on AST's layers: a stem that starts from nothing
    assert fresh.trained == frozenset()


def test_a_front_comes_back_from_a_bundle_and_one_that_is_none_is_refused(tmp_path):
    reference("ast").save_pretrained(tmp_path)
    audio = fitted(resolve(str(tmp_path)))
    files = dict(audio.state())
    again = Audio.from_state(files)
    assert np.array_equal(again.encode(SOUNDS[0])["frames"], audio.encode(SOUNDS[0])["frames"])
    assert again.describe() == audio.describe()
    for change in ({"kind": "os.system"}, {"frames": 10**9}, {"patch": 0}, {"mean": "0"}, {"evil": 1}):
        settings = json.loads(files["audio.json"])
        settings["options"]["front"] |= change
        with pytest.raises(BundleRefused):
            Audio.from_state({"audio.json": json.dumps(settings).encode()})


def test_samples_of_whole_positions_are_asked_for_again_by_their_number(tmp_path):
    reference("wav2vec2").save_pretrained(tmp_path)
    backbone = resolve(str(tmp_path))
    audio = fitted(backbone)
    again = fitted(backbone, max_length=audio.facts()["max_length"])
    assert again.seconds == audio.seconds
    for sound in SOUNDS:
        assert np.array_equal(audio.encode(sound)["samples"], again.encode(sound)["samples"])
