"""Pictures of every kind become the same upright RGB pixels, at one size."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest

from underlay.core import DataError, RecipeError, RowProblem
from underlay.modalities import Image, ImageOptions
from underlay.modalities.image_augmentation import OPERATIONS
from underlay.modalities.image_classical import features_of
from underlay.modalities.image_decoding import decode
from underlay.modalities.image_noise import KINDS
from underlay.modalities.image_resizing import choose_patch, choose_size, resize

pillow = pytest.importorskip("PIL.Image", reason="the extra image is not installed")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gradient(height: int = 24, width: int = 32) -> np.ndarray:
    """Red grows to the right, green downwards, blue is even."""
    down, right = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([255 * right, 255 * down, np.full_like(down, 90)], axis=2).round().astype(np.uint8)


def saved(picture, kind: str = "PNG", **more) -> bytes:
    file = io.BytesIO()
    image = pillow.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    image.save(file, kind, **more)
    return file.getvalue()


def fitted(values=None, **options) -> Image:
    return Image.create(assets={}, limit=None, options=options).fit(values or [gradient(32, 32)], rng())


@pytest.mark.parametrize(
    ("kind", "more", "tolerance"),
    [
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95}, 12),
        ("JPEG", {"quality": 95, "progressive": True}, 12),
        ("WEBP", {"quality": 95}, 16),
    ],
)
def test_every_format_gives_the_same_pixels(kind, more, tolerance):
    seen = decode(saved(gradient(), kind, **more)).astype(int)
    assert seen.shape == (24, 32, 3)
    assert np.abs(seen - gradient()).max() <= tolerance


def test_a_path_bytes_an_address_a_mapping_and_an_array_are_one_value(tmp_path):
    content = saved(gradient())
    path = tmp_path / "a.png"
    path.write_bytes(content)
    address = "data:image/png;base64," + base64.b64encode(content).decode()
    values = [str(path), path, content, bytearray(content), address, {"bytes": content, "path": None},
              {"bytes": None, "path": str(path)}, gradient()]  # fmt: skip
    for value in values:
        np.testing.assert_array_equal(decode(value), gradient())


def test_the_content_decides_and_not_the_ending(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(gradient(), "JPEG", quality=95))
    assert np.abs(decode(str(path)).astype(int) - gradient()).max() <= 12


# What a camera writes when it was turned: the stored pixels and the tag that says how to turn them back.
TURNS = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", sorted(TURNS))
def test_exif_turns_the_picture_upright(orientation):
    exif = pillow.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(TURNS[orientation](gradient()))
    for kind, more in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})):
        seen = decode(saved(stored, kind, exif=exif.tobytes(), **more)).astype(int)
        assert np.abs(seen - gradient()).max() <= (12 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
        b"Exif\0\0",
        b"nonsense",
    ],
)
def test_malformed_exif_turns_nothing(exif):
    np.testing.assert_array_equal(decode(saved(gradient(), "PNG", exif=exif)), gradient())
    assert np.abs(decode(saved(gradient(), "JPEG", quality=95, exif=exif)).astype(int) - gradient()).max() <= 12


def test_transparency_stands_on_white():
    clear = np.dstack([gradient(), np.tile(np.linspace(0, 255, 32).round().astype(np.uint8), (24, 1))])
    wanted = 255 + (clear[:, :, :3].astype(float) - 255) * clear[:, :, 3:] / 255
    assert np.abs(decode(saved(clear)) - wanted).max() <= 1
    grey = np.dstack([gradient()[:, :, 0], clear[:, :, 3]])
    wanted = 255 + (grey[:, :, :1].astype(float) - 255) * grey[:, :, 1:] / 255
    assert np.abs(decode(saved(pillow.fromarray(grey, "LA"))) - wanted).max() <= 1


def test_palettes_are_looked_up_and_their_transparent_colour_is_white():
    image = pillow.new("P", (4, 2))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1, 1, 0, 0, 1, 1, 0])
    seen = decode(saved(image))
    assert seen[0, :2].tolist() == [[10, 20, 30], [200, 100, 50]]
    assert decode(saved(image, transparency=1))[0, 1].tolist() == [255, 255, 255]


def test_grey_pictures_have_three_equal_channels():
    grey = gradient()[:, :, 0]
    np.testing.assert_array_equal(decode(saved(grey)), np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(decode(grey), np.repeat(grey[:, :, None], 3, axis=2))
    bits = pillow.fromarray(grey > 100)
    assert set(np.unique(decode(saved(bits)))) == {0, 255}


def test_sixteen_bits_are_scaled_and_not_cut():
    deep = np.array([[0, 257, 128 * 257, 65_535]], np.uint16)
    assert decode(saved(deep))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_colour_is_scaled_too():
    rows = np.array([[[0, 0x8000, 0xFFFF], [0x1234, 0xABCD, 0x0001]]], ">u2")
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    seen = decode(png(2, 1, body, depth=16, colour=2))
    assert np.abs(seen.astype(int) - (rows.astype(int) / 257).round()).max() <= 1


def test_cmyk_is_converted():
    seen = decode(saved(pillow.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert seen[4, 4, 0] > 200
    assert seen[4, 4, 1:].max() < 80


def png(width: int, height: int, body: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG written by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_a_large_photo_is_decoded_near_the_size_it_is_wanted_at():
    photo = saved(resize(gradient(64, 64), 1024), "JPEG")
    assert decode(photo, near=96).shape[0] < 512
    small, whole = resize(decode(photo, near=96), 96), resize(decode(photo), 96)
    assert np.abs(small.astype(int) - whole).max() <= 4


def test_shrinking_averages_what_it_covers():
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    shrunk = resize(np.repeat(checks[:, :, None].astype(np.uint8), 3, axis=2), 16)
    assert np.abs(shrunk.astype(int) - 127).max() < 12


def test_the_three_fits():
    wide = gradient(10, 30)
    assert resize(wide, 12).shape == (12, 12, 3)
    padded = resize(wide, 12, fit="pad")
    assert (padded[:4] == 255).all()
    assert (padded[-4:] == 255).all()
    assert padded[5, 2, 0] < padded[5, 9, 0]
    cropped = resize(wide, 10, fit="crop")
    assert np.abs(cropped.astype(int) - wide[:, 10:20]).max() <= 2


@pytest.mark.parametrize(
    ("sides", "least", "most", "size"),
    [([8] * 9, 8, 128, 8), ([28] * 9, 8, 128, 28), ([30] * 9, 8, 128, 32), ([33] * 9, 8, 128, 40),
     ([500] * 9, 8, 128, 128), ([28] * 9, 96, 160, 96), ([100] * 9, 96, 160, 112)],
)  # fmt: skip
def test_the_size_follows_the_pictures_within_the_bounds(sides, least, most, size):
    chosen, why = choose_size(sides, least=least, most=most)
    assert chosen == size
    assert chosen % choose_patch(chosen) == 0
    assert "90 %" in why


def test_fit_learns_size_and_colours_and_says_why():
    red = np.zeros((20, 20, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    modality = fitted([red, None, b"no picture", saved(red)])
    assert modality.size == 20
    assert modality.learned["colours"]["mean"] == pytest.approx([1, 0, 0], abs=0.01)
    assert modality.facts()["unreadable"] == 2
    assert modality.facts()["grey"] == 0
    described = modality.describe()
    assert described["limit"] == modality.length(modality.encode(red)) == 100
    assert described["picture"]["height"] == described["picture"]["breadth"] == 20


def test_nothing_to_learn_from_is_an_error_that_says_what_was_found():
    with pytest.raises(DataError, match=r"no file 'neither\.png'") as refused:
        fitted(["nowhere.png", "neither.png"])
    assert refused.value.code == "no_image"


def test_long_pictures_are_warned_about():
    assert "pad" in fitted([gradient(10, 60)] * 3).facts()["warnings"][0]
    assert not fitted([gradient(10, 60)] * 3, fit="pad").facts()["warnings"]


def test_what_was_asked_for_is_taken():
    modality = fitted(size=48, patch=16, class_token=True, mean=[0.5], std=[0.25])
    assert modality.encode(gradient())["pixels"].shape == (48, 48, 3)
    assert modality.length(modality.encode(gradient())) == 10
    assert modality.describe()["picture"]["mean"] == [0.5]
    with pytest.raises(DataError, match="patches of 10"):
        fitted([gradient(32, 32)], patch=10)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": True}, "size is True"),
        ({"size": 30, "patch": 8}, "must divide"),
        ({"fit": "stretch"}, "squash, crop, pad"),
        ({"least": 200}, "above most"),
        ({"mean": [1, 2]}, "mean is"),
        ({"std": [0.0]}, "std is"),
        ({"augment": {"flip": 1}}, "augment.flip is 1"),
        ({"augment": {"colour": 3}}, "augment.colour is 3"),
        ({"augment": {"colour": "much"}}, "augment.colour is 'much'"),
        ({"augment": [1]}, "mapping"),
        ({"augment": {"flipp": True}}, "flip"),
        ({"class_token": "yes"}, "class_token is 'yes'"),
    ],
)
def test_options_out_of_range_are_named(options, said):
    with pytest.raises(RecipeError, match=said):
        ImageOptions.read(options)


def test_augmented_pictures_keep_their_size_and_differ_by_the_generator():
    modality = fitted(augment={"flip": True, "policy": 2, "colour": 0.3})
    picture = saved(gradient(32, 32))
    drawn = [modality.augment(picture, rng(seed)) for seed in range(12)]
    assert all(one.shape == (32, 32, 3) and one.dtype == np.uint8 for one in drawn)
    assert len({one.tobytes() for one in drawn}) == 12
    np.testing.assert_array_equal(drawn[3], modality.augment(picture, rng(3)))
    still = fitted(augment={"crop": 0.0, "colour": 0.0})
    np.testing.assert_array_equal(still.augment(picture, rng()), gradient(32, 32))


def test_a_mirrored_picture_is_asked_for():
    modality = fitted(augment={"crop": 0.0, "colour": 0.0, "flip": True})
    seen = {modality.augment(gradient(32, 32), rng(seed)).tobytes() for seed in range(20)}
    assert seen == {gradient(32, 32).tobytes(), np.ascontiguousarray(gradient(32, 32)[:, ::-1]).tobytes()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_of_the_policy_changes_a_picture_a_little(operation):
    picture = rng().integers(40, 200, (32, 32, 3), dtype=np.uint8)
    for amount in (-0.5, 0.5):
        changed = operation(picture, amount)
        assert changed.shape == picture.shape
        assert changed.dtype == np.uint8
        distance = np.abs(changed.astype(int) - picture).mean()
        assert 0 < distance < 70
    assert operation(picture, 0.0).shape == picture.shape


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_severity(kind):
    modality, picture = fitted(size=48), rng(5).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    far = [
        np.mean(
            [
                np.abs(modality.corrupt(picture, kind, level, rng(seed)).astype(int) - picture).mean()
                for seed in range(3)
            ]
        )
        for level in range(1, 6)
    ]
    assert far[0] > 0
    assert far == sorted(far)


def test_cells_cover_the_picture_and_all_of_them_out_is_the_mean_colour():
    modality = fitted([gradient(32, 32)], grid=5)
    parts = modality.parts("any picture")
    assert len(parts) == 25
    assert parts[7].text == "row 2, column 3"
    neutral = modality.without(gradient(32, 32), parts)
    assert len(np.unique(neutral.reshape(-1, 3), axis=0)) == 1
    mean = 255 * np.array(modality.learned["colours"]["mean"])
    assert np.abs(neutral[0, 0] - mean).max() <= 1
    np.testing.assert_array_equal(modality.without(b"no picture", parts), neutral)
    one = modality.without(gradient(32, 32), parts[12:13])
    changed = (one != gradient(32, 32)).any(axis=2)
    assert changed[13:19, 13:19].all()
    assert not changed[:12].any()


def test_a_report_shows_the_picture_and_its_shades():
    shown = fitted(grid=2).render(gradient(32, 32), [1.0, 0.0, -0.5, 0.2])
    assert shown.count("<rect") == 4
    assert 'src="data:image/png;base64,' in shown
    assert "rgba(46,160,67,0.60)" in shown
    assert "row 2, column 1: -0.500" in shown


def test_copies_are_near_and_other_pictures_are_not():
    photos = [resize(rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8), 64) for seed in range(20)]
    modality = fitted(photos)
    originals = [set(modality.fingerprint(saved(photo)).tolist()) for photo in photos]
    copies = [set(modality.fingerprint(saved(resize(photo, 96), "JPEG", quality=90)).tolist()) for photo in photos]
    shared = np.array([[len(one & other) / len(one | other) for other in copies] for one in originals])
    assert (np.diag(shared) >= 0.8).mean() >= 0.9
    assert shared[~np.eye(20, dtype=bool)].max() < 0.4
    blank = np.full((30, 30, 3), 200, np.uint8)
    assert len(modality.fingerprint(blank)) == 1  # nothing but its content to compare


def test_a_sketch_counts_what_pictures_look_like():
    sketch = fitted().sketch([gradient(), saved(gradient(), "JPEG"), b"none", np.full((100, 50, 3), 250, np.uint8)])
    assert sketch["rows"] == 3
    assert sketch["shares"]["formats"] == {"png": 0, "jpeg": 1, "webp": 0, "array": 2}
    for histogram in sketch["histograms"].values():
        assert sum(histogram["counts"]) == 3
    assert sketch["histograms"]["brightness"]["counts"][-1] == 1


def test_small_and_large_answers_of_many_keep_their_order():
    modality = fitted(size=16)
    values = [gradient(20 + at, 30) if at % 3 else b"bad" for at in range(40)]
    answers = modality.encode_many(values)
    for value, answer in zip(values, answers, strict=True):
        if isinstance(value, bytes):
            assert isinstance(answer, RowProblem)
        else:
            np.testing.assert_array_equal(answer["pixels"], modality.encode(value)["pixels"])


def test_classical_features_are_scaled_as_scikit_learn_scales_them_in_place_of_copies():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

    drawn = rng()
    values = [drawn.integers(0, 256, (9, 7, 3), dtype=np.uint8) for _ in range(40)] + [None, b"no picture"]
    slow = make_pipeline(FunctionTransformer(features_of), StandardScaler(), Normalizer())
    quick = fitted().classical()
    np.testing.assert_allclose(quick.fit_transform(values[:30]), slow.fit_transform(values[:30]), atol=1e-6)
    np.testing.assert_allclose(quick.transform(values), slow.transform(values), atol=1e-6)
    alike = fitted().classical().fit_transform([values[0]] * 5)
    assert np.isfinite(alike).all(), "what never changes divides by nothing"
