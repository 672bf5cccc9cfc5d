"""Pictures of the same meaning, drawn anew for every batch."""

from collections.abc import Callable

import numpy as np

from underlay.modalities.image_decoding import require_pillow
from underlay.modalities.image_options import ImageAugmentation

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright red, green and blue look (ITU-R BT.601)."""

Operation = Callable[[np.ndarray, float], np.ndarray]


def augment(pixels: np.ndarray, rng: np.random.Generator, settings: ImageAugmentation) -> np.ndarray:
    """The picture moved, perhaps mirrored, in other light, and by the operations of the policy.

    Args:
        pixels: uint8 `[H, W, 3]`.
        rng: Decides everything.
        settings: How much.

    Source of the policy: Cubuk et al., RandAugment, 2020; the operations that keep a picture's meaning most often.
    """
    moved = moved_crop(pixels, rng, settings.crop)
    if settings.flip and rng.random() < 0.5:
        moved = moved[:, ::-1]
    if settings.colour > 0:
        moved = jitter(moved, rng, settings.colour)
    for _ in range(int(settings.policy)):
        operation = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
        moved = operation(moved, float(rng.choice([-1.0, 1.0])) * settings.magnitude)
    return np.ascontiguousarray(moved)


def moved_crop(pixels: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """A random crop, of the same size, from the picture with a mirrored border."""
    border = round(share * len(pixels))
    if border == 0:
        return pixels
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    top, left = rng.integers(2 * border + 1, size=2)
    return wide[top : top + pixels.shape[0], left : left + pixels.shape[1]]


def jitter(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Brightness, contrast and saturation each scaled by 1 - strength to 1 + strength."""
    brightness, contrast, saturation = 1 + strength * rng.uniform(-1, 1, size=3)
    values = pixels.astype(np.float32) * brightness
    mean = values.mean()
    values = mean + (values - mean) * contrast
    grey = (values @ GREY)[:, :, None]
    return _bytes(grey + (values - grey) * saturation)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _turned(pixels: np.ndarray, amount: float) -> np.ndarray:
    images = require_pillow()
    fill = tuple(int(value) for value in pixels.mean(axis=(0, 1)))
    return np.asarray(images.fromarray(pixels).rotate(30 * amount, images.Resampling.BILINEAR, fillcolor=fill))


def _sheared(pixels: np.ndarray, amount: float) -> np.ndarray:
    images = require_pillow()
    fill = tuple(int(value) for value in pixels.mean(axis=(0, 1)))
    image = images.fromarray(pixels)
    matrix = (1, 0.3 * amount, -0.15 * amount * len(pixels), 0, 1, 0)
    return np.asarray(image.transform(image.size, images.Transform.AFFINE, matrix, fillcolor=fill))


def _zoomed(pixels: np.ndarray, amount: float) -> np.ndarray:
    images = require_pillow()
    image = images.fromarray(pixels)
    edge = 0.2 * abs(amount)
    inner = (image.width * edge, image.height * edge, image.width * (1 - edge), image.height * (1 - edge))
    return np.asarray(image.resize(image.size, images.Resampling.BILINEAR, box=inner))


def _gamma(pixels: np.ndarray, amount: float) -> np.ndarray:
    return _bytes(255 * (pixels / 255) ** np.exp(amount))


def _sharpened(pixels: np.ndarray, amount: float) -> np.ndarray:
    from PIL import ImageEnhance

    return np.asarray(ImageEnhance.Sharpness(require_pillow().fromarray(pixels)).enhance(1 + 2 * amount))


def _stretched(pixels: np.ndarray, amount: float) -> np.ndarray:
    """Towards the full range of each channel, as an automatic contrast does."""
    low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    full = (pixels - low) * (255 / np.maximum(high - low, 1))
    return _bytes(pixels + abs(amount) * (full - pixels))


def _posterised(pixels: np.ndarray, amount: float) -> np.ndarray:
    kept = 8 - round(4 * abs(amount))
    return np.asarray(pixels >> (8 - kept) << (8 - kept))


OPERATIONS: tuple[Operation, ...] = (_turned, _sheared, _zoomed, _gamma, _sharpened, _stretched, _posterised)
"""Operations of the policy: (uint8 `[H, W, 3]`, signed magnitude -1 to 1) -> the same shape."""
