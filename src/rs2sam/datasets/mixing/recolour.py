"""Colour changes of training images, stronger than those of `augment.jitter`: other sensors, hours and seasons.

Pure numpy and PIL.
"""

from __future__ import annotations

import io
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from rs2sam.datasets.images import Pixels

Values: TypeAlias = NDArray[np.floating[Any]]
"""(H, W, 3) channels; in [0, 1] as long as nothing is changed."""

_TONE_SHARE = 0.85
_GREY_SHARE, _BLUR_SHARE, _NOISE_SHARE, _JPEG_SHARE = 0.03, 0.12, 0.12, 0.1
_LEAST_QUALITY, _MOST_QUALITY = 40, 90


def recolour(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change tones, and now and then grey, blur, noise and JPEG artefacts.

    Args:
        pixels: (H, W, 3) uint8.
        rng: source of what is done and how much.

    Returns:
        (H, W, 3) uint8.
    """
    values = pixels.astype(np.float32) / np.float32(255)
    if rng.random() < _TONE_SHARE:
        values = _tones(values, rng)
    if rng.random() < _GREY_SHARE:
        values[:] = values.mean(axis=2, keepdims=True)
    changed = _as_bytes(values)
    if rng.random() < _BLUR_SHARE:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.3)))
        changed = np.asarray(Image.fromarray(changed).filter(blur))
    if rng.random() < _NOISE_SHARE:
        noise = rng.normal(0, rng.uniform(0.005, 0.04), changed.shape).astype(np.float32)
        changed = _as_bytes(changed.astype(np.float32) / np.float32(255) + noise)
    if rng.random() < _JPEG_SHARE:
        changed = _compressed(changed, int(rng.integers(_LEAST_QUALITY, _MOST_QUALITY)))
    return changed


def _tones(values: Values, rng: np.random.Generator) -> Values:
    """Gamma, contrast, brightness, saturation and tint of (H, W, 3) in [0, 1]."""
    values = np.clip(values, 1e-4, 1) ** np.float32(np.exp(rng.normal(0, 0.22)))
    mean = values.mean()
    values = (values - mean) * np.float32(np.exp(rng.normal(0, 0.18))) + mean + np.float32(rng.normal(0, 0.06))
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * np.float32(np.exp(rng.normal(0, 0.3)))
    tinted: Values = values * np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    return tinted


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    """The image as JPEG of this quality shows it."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))


def _as_bytes(values: Values) -> Pixels:
    """[0, 1] to uint8; what lies outside is cut off."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)
