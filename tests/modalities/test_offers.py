"""What only some modalities offer, held against every one that does: small pictures, oddities, a trunk that suits."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from tests.modalities.examples import EXAMPLES
from tests.modalities.test_contract import example_of

from underlay.core import InspectingModality, PicturedModality, RowError, Suited, SuitingModality
from underlay.evaluate.mistakes import ADDRESS
from underlay.modalities import MODALITIES, Image
from underlay.modalities.image_thumbnail import SIDE
from underlay.modalities.thumbnails import HEIGHT, WIDTH

MOST = 20_000
"""Characters of an address: twenty of them are a small page."""


def offering(protocol: type) -> list[str]:
    return [key for key in EXAMPLES if isinstance(MODALITIES[key.partition(" ")[0]], protocol)]


def opened(address: str) -> tuple[str, bytes]:
    kind, body = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", address).groups()
    return kind, base64.b64decode(body, validate=True)


@pytest.mark.parametrize("key", offering(PicturedModality))
def test_a_value_is_drawn_small_whole_and_the_same_each_time(key):
    example, modality = example_of(key)
    for value in example.values:
        address = modality.thumbnail(value)
        assert ADDRESS.fullmatch(address)
        assert len(address) < MOST
        assert modality.thumbnail(value) == address
        kind, content = opened(address)
        if kind == "svg+xml":
            root = ET.fromstring(content)
            assert (root.get("width"), root.get("height")) == (str(WIDTH), str(HEIGHT))
            assert len(root) >= 1
            assert not re.search(rb"nan|inf|<script|href", content)
        else:
            pillow = pytest.importorskip("PIL.Image")
            assert max(pillow.open(io.BytesIO(content)).size) <= SIDE
    for value in example.bad:
        with pytest.raises(RowError):
            modality.thumbnail(value)


@pytest.mark.parametrize("key", offering(InspectingModality))
def test_plain_values_are_not_odd_and_bad_ones_are_others_business(key):
    example, modality = example_of(key)
    assert modality.oddities
    assert all(code.isidentifier() and said for code, said in modality.oddities.items())
    for value in [*example.values, *example.bad]:
        assert set(modality.odd(value)) <= set(modality.oddities)
    assert not any(modality.odd(value) for value in example.bad)
    assert not modality.odd(example.values[0])


@pytest.mark.parametrize("key", offering(SuitingModality))
def test_the_trunk_that_suits_is_said_with_its_reason_also_where_nothing_can_be_read(key):
    example, modality = example_of(key)
    for values in (example.train, example.bad, []):
        found = type(modality).suits(list(values))
        assert isinstance(found, Suited)
        assert found.why


def picture(side: int, *, colour: bool, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return drawn if colour else np.repeat(drawn[:, :, :1], 3, axis=2)


@pytest.mark.parametrize(
    ("side", "colour", "trained"), [(28, False, False), (28, True, True), (100, False, True), (100, True, True)]
)
def test_a_small_trunk_suits_small_grey_pictures_and_the_trained_one_all_others(side, colour, trained):
    found = Image.suits([picture(side, colour=colour, seed=seed) for seed in range(12)])
    assert (found.trunk == Image.trunk) == trained
    assert f"{side} x {side}" in found.why
    assert ("in colour" in found.why) == colour


def test_a_picture_of_noise_stays_small_and_one_of_eight_pixels_is_enlarged():
    modality = Image.create(assets={}, limit=None, options={}).fit(
        [picture(300, colour=True)], np.random.default_rng(0)
    )
    address = modality.thumbnail(picture(300, colour=True))
    assert address.startswith("data:image/jpeg")
    assert len(address) < MOST
    kind, content = opened(modality.thumbnail(picture(8, colour=False)))
    pillow = pytest.importorskip("PIL.Image")
    assert kind == "png"
    assert pillow.open(io.BytesIO(content)).size == (64, 64)
    wide = np.zeros((3, 900, 3), np.uint8)
    assert pillow.open(io.BytesIO(opened(modality.thumbnail(wide))[1])).size == (SIDE, 1)


def test_silence_blankness_and_lines_without_a_change_are_odd():
    pytest.importorskip("soundfile")
    from tests.modalities.sounds import file_bytes, fitted, tone

    audio = fitted([tone(300), tone(500)])
    assert audio.odd(file_bytes(np.zeros(8_000, np.float32))) == ("silent_recording",)
    assert audio.odd(file_bytes(tone(300, peak=0.01))) == ()
    blank = Image.create(assets={}, limit=None, options={}).fit([picture(20, colour=True)], np.random.default_rng(0))
    assert blank.odd(np.full((20, 30, 3), 7, np.uint8)) == ("blank_picture",)
    series = MODALITIES["series.v1"].create(assets={}, limit=None, options={})
    series = series.fit([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]], np.random.default_rng(0))
    assert series.odd([4.0, 4.0, 4.0, None]) == ("constant_series",)
    assert series.odd([1.0, None, None, 2.0, None]) == ("gappy_series",)
    assert series.odd([4.0]) == (), "one value alone cannot change"
    assert series.odd([[1.0, 1.0], [2.0, 3.0]]) == (), "not of as many channels: cannot be read"


@pytest.mark.parametrize(
    ("key", "said"), [("image.v1", "pictures of "), ("audio.v1", "recordings of "), ("series.v1", "series of ")]
)
def test_sizes_are_said_in_words(key, said):
    names = [name for name in EXAMPLES if name.partition(" ")[0] == key]
    for name in names:
        assert example_of(name)[1].facts()["sizes"].startswith(said)
