"""Noisy inputs for denoising."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmsrnas.registry import TRANSFORMS

__all__ = ["AddGaussianNoise", "noise_generator", "sigmas_of"]


def noise_generator(seed: int, path: str) -> np.random.Generator:
    """Generator of the noise of one image, whatever folder, order or process reads it.

    Args:
        seed: Seed of the test.
        path: Path of the clean image, of which the file name without its ending counts.

    Returns:
        The generator.
    """
    return np.random.default_rng([seed, zlib.crc32(Path(path).stem.encode())])


def sigmas_of(sigma: float | Sequence[float], key: str) -> list[float]:
    """Standard deviations as a list.

    Args:
        sigma: One, or several, for images in 0..255.
        key: Config key, for the error.

    Raises:
        ValueError: One is outside (0, 255].
    """
    sigmas: list[float] = list(sigma) if isinstance(sigma, Sequence) else [sigma]
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
        """Adds ``img`` (float32), its channel order and ``sigma`` to the results.

        Args:
            results: With ``gt`` (uint8) and, where there is a seed, ``gt_path``.

        Returns:
            The same dict.
        """
        if ("sigma" in results) == (self.sigmas is not None):
            raise ValueError("sigma: set it in the dataset or in AddGaussianNoise, and only once.")
        sigmas = self.sigmas or sigmas_of(results["sigma"], "sigma of the dataset")
        clean = results["gt"]
        # The global generator is the one that a resumed run restores.
        rng = np.random if self.seed is None else noise_generator(self.seed, results["gt_path"])
        noise = rng.standard_normal(clean.shape)
        results["sigma"] = float(rng.choice(sigmas))
        results["img"] = (clean + results["sigma"] * noise).astype(np.float32)
        # Without these the preprocessor takes the noisy image, and the prediction, for BGR.
        for key in ("channel_order", "color_type"):
            if f"gt_{key}" in results:
                results[f"img_{key}"] = results[f"gt_{key}"]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sigma={self.sigmas}, seed={self.seed})"
