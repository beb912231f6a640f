"""Noisy inputs for denoising."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmsrnas.registry import TRANSFORMS

__all__ = ["AddGaussianNoise"]


@TRANSFORMS.register_module()
class AddGaussianNoise(BaseTransform):
    """Makes the noisy input ``img`` out of the clean image ``gt``.

    The noise is white and Gaussian. It is added in floating point, and the result is neither
    clipped nor rounded, as denoising papers do. It belongs behind the augmentation, which would
    otherwise interpolate the noise.

    Args:
        sigma: Standard deviation for images in 0..255; one of several is drawn for each image.
        seed: In validation and test, the seed of the noise: every image has a noise field of its
            own, which depends on nothing but the seed and the file name, and is scaled by sigma.
            None draws new noise each time, for training.

    Raises:
        ValueError: A sigma outside (0, 255].
    """

    def __init__(self, sigma: float | Sequence[float], seed: int | None = None) -> None:
        self.sigmas = list(sigma) if isinstance(sigma, Sequence) else [sigma]
        if not self.sigmas or not all(0 < s <= 255 for s in self.sigmas):
            raise ValueError(
                "sigma of AddGaussianNoise: expected standard deviations in (0, 255], for images "
                f"in 0..255, got {sigma!r}."
            )
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Adds ``img`` (float32) and ``sigma`` to the results, beside ``gt`` (uint8)."""
        clean = results["gt"]
        # The global generator is the one that a resumed run restores.
        rng = np.random if self.seed is None else self._generator(results["gt_path"])
        noise = rng.standard_normal(clean.shape)
        results["sigma"] = float(rng.choice(self.sigmas))
        results["img"] = (clean + results["sigma"] * noise).astype(np.float32)
        return results

    def _generator(self, path: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(Path(path).stem.encode())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sigma={self.sigmas}, seed={self.seed})"
