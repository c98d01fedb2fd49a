"""From a drawn scene to a picture: light, haze, colour cast, blur, noise and compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from rs2sam.datasets.images import Pixels
from rs2sam.datasets.synthetic.noise import smooth


@dataclass(frozen=True)
class Camera:
    """How a scene is photographed.

    Args:
        exposure: factor on the brightness.
        unevenness: relative standard deviation of the slow variation of brightness.
        haze: share of the light that the air adds, 0 to 1.
        cast: factor for each of red, green and blue.
        contrast: factor on the distance from mid grey.
        saturation: factor on the distance from grey.
        blur_px: standard deviation of the blur [px].
        noise: standard deviation of the sensor noise, of 255.
        jpeg_quality: 0 to 100, None for no compression.
        infrared: whether near infrared, red and green are shown as red, green and blue: plants turn red.
    """

    exposure: float = 1.0
    unevenness: float = 0.04
    haze: float = 0.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    saturation: float = 1.0
    blur_px: float = 0.6
    noise: float = 3.0
    jpeg_quality: int | None = 85
    infrared: bool = False

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Camera:
        """Draw a camera as varied as real imagery is."""
        warmth = rng.normal(0, 0.03)
        return cls(
            exposure=float(np.clip(np.exp(rng.normal(-0.04, 0.16)), 0.6, 1.25)),
            unevenness=float(rng.uniform(0.02, 0.08)),
            haze=float(rng.beta(1.2, 9)),
            cast=(float(1 + warmth), float(1 + rng.normal(0, 0.015)), float(1 - warmth)),
            contrast=float(np.exp(rng.normal(0.06, 0.12))),
            saturation=float(rng.uniform(0.5, 1.15)),
            blur_px=float(rng.choice([0.3, 0.5, 0.7, 1.0, 1.4], p=[0.2, 0.3, 0.25, 0.17, 0.08])),
            noise=float(rng.gamma(2.0, 1.6)),
            jpeg_quality=None if rng.random() < 0.25 else int(rng.integers(55, 95)),
            infrared=bool(rng.random() < 0.03),
        )

    def expose(self, rng: np.random.Generator, rgb: NDArray[np.float32]) -> Pixels:
        """Take the picture.

        Args:
            rng: source of noise.
            rgb: (H, W, 3) float32, the drawn scene, about 0 to 255; changed in place.

        Returns:
            (H, W, 3) uint8.
        """
        h, w = rgb.shape[:2]
        rgb *= (self.exposure * (1 + self.unevenness * smooth(rng, (h, w), max(h, w) / 2)))[..., None]
        gain = self.contrast * (1 - self.haze) * np.array(self.cast)
        offset = 118 * (1 - self.contrast) * (1 - self.haze) + self.haze * np.array([186, 196, 206])
        grey = (rgb[..., 0] + rgb[..., 1] + rgb[..., 2]) * np.float32((1 - self.saturation) / 3)
        picture = rgb * np.float32(self.saturation)
        picture += grey[..., None]
        picture *= gain.astype(np.float32)
        picture += offset.astype(np.float32)
        # Film and sensors fold bright roofs and sand gently into white instead of cutting them off.
        bright = picture > 200
        picture[bright] = 200 + 55 * np.tanh((picture[bright] - 200) / 70)
        np.clip(picture, 0, 255, out=picture)
        taken = self._blurred(picture.astype(np.uint8))
        if self.noise > 0:
            # Grain common to the three bands for the most part, as after demosaicing; the bands' own share is the
            # same field, read elsewhere.
            grain = rng.standard_normal((h + 6, w + 6), dtype=np.float32) * np.float32(self.noise * 0.55)
            noisy = taken.astype(np.float32)
            for band in range(3):
                own = grain[2 * band + 1 : h + 2 * band + 1, 3 : w + 3]
                noisy[..., band] += grain[:h, :w] + own
            np.clip(noisy, 0, 255, out=noisy)
            taken = noisy.astype(np.uint8)
        return self._compressed(taken)

    def _blurred(self, picture: Pixels) -> Pixels:
        """Blur by the optics: passes of a small kernel that add up to `blur_px`."""
        passes = max(int(np.ceil(self.blur_px**2 / 0.5)), 1)
        side = self.blur_px**2 / passes / 2
        row = np.array([side, 1 - 2 * side, side])
        kernel = ImageFilter.Kernel((3, 3), np.outer(row, row).ravel().tolist(), 1)
        image = Image.fromarray(picture)
        for _ in range(passes):
            image = image.filter(kernel)
        return np.asarray(image)

    def _compressed(self, picture: Pixels) -> Pixels:
        """Compress and read back."""
        if self.jpeg_quality is None:
            return picture
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=self.jpeg_quality)
        return np.asarray(Image.open(buffer).convert("RGB"))


def false_colour(rgb: NDArray[np.float32], plants: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Show near infrared as red, red as green, green as blue.

    Args:
        rgb: (H, W, 3) float32 in natural colours.
        plants: (H, W) bool, where living plants are: they reflect infrared two to three times as much as green.

    Returns:
        (H, W, 3) float32.
    """
    red, green = rgb[..., 0], rgb[..., 1]
    infrared = np.where(plants, 2.1 * green + 15, 0.5 * (red + green))
    return np.stack([infrared, red, green], axis=-1).astype(np.float32)
