"""Noisy inputs for denoising."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmsrnas.registry import TRANSFORMS

__all__ = ["AddGaussianNoise", "sigmas_of"]


def sigmas_of(sigma: float | Sequence[float], key: str) -> list[float]:
    """Standard deviations as a list.

    Args:
        sigma: One, or several, for images in 0..255.
        key: Config key, for the error.

    Raises:
        ValueError: One is outside (0, 255].
    """
    sigmas = list(sigma) if isinstance(sigma, Sequence) else [sigma]
    if not sigmas or not all(0 < s <= 255 for s in sigmas):
        raise ValueError(
            f"{key}: expected standard deviations in (0, 255], for images in 0..255, got {sigma!r}."
        )
    return sigmas


@TRANSFORMS.register_module()
class AddGaussianNoise(BaseTransform):
    """Makes the noisy input ``img`` out of the clean image ``gt``.

    The noise is white and Gaussian. It is added in floating point, and the result is neither
    clipped nor rounded, as denoising papers do. It belongs behind the augmentation, which would
    otherwise interpolate the noise.

    Args:
        sigma: Standard deviation for images in 0..255; one of several is drawn for each image.
            None takes ``results['sigma']``, the argument ``sigma`` of
            :class:`~mmsrnas.datasets.PairedImageDataset`.
        seed: In validation and test, the seed of the noise: every image has a noise field of its
            own, which depends on nothing but the seed and the file name, and is scaled by sigma.
            None draws new noise each time, for training.

    Raises:
        ValueError: A sigma outside (0, 255]; or dataset and transform both give one, or none does.
    """

    def __init__(
        self, sigma: float | Sequence[float] | None = None, seed: int | None = None
    ) -> None:
        self.sigmas = None if sigma is None else sigmas_of(sigma, "sigma of AddGaussianNoise")
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Adds ``img`` (float32) and ``sigma`` to the results, beside ``gt`` (uint8)."""
        if ("sigma" in results) == (self.sigmas is not None):
            raise ValueError("sigma: set it in the dataset or in AddGaussianNoise, and only once.")
        sigmas = self.sigmas or sigmas_of(results["sigma"], "sigma of the dataset")
        clean = results["gt"]
        # The global generator is the one that a resumed run restores.
        rng = np.random if self.seed is None else self._generator(results["gt_path"])
        noise = rng.standard_normal(clean.shape)
        results["sigma"] = float(rng.choice(sigmas))
        results["img"] = (clean + results["sigma"] * noise).astype(np.float32)
        return results

    def _generator(self, path: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(Path(path).stem.encode())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sigma={self.sigmas}, seed={self.seed})"
