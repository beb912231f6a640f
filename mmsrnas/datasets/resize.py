"""MATLAB's ``imresize`` with its default bicubic kernel, to the bit for 8-bit images."""

import math

import numpy as np
from scipy import sparse

__all__ = ["imresize", "mod_crop"]


def mod_crop(image: np.ndarray, scale: int) -> np.ndarray:
    """Cuts the bottom and the right so that height and width are multiples of ``scale``.

    Args:
        image: Image ``(H, W)`` or ``(H, W, C)``.
        scale: The divisor.

    Returns:
        A view of the image.
    """
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """Resizes as MATLAB's ``imresize(image, scale)`` does.

    Bicubic with a = -0.5 (Keys, 1981), widened by ``1 / scale`` against aliasing when the image
    shrinks, mirrored at the borders.  Rows are resized before columns, and the intermediate image
    is rounded to 8 bits as MATLAB does for ``uint8``: super-resolution papers made their LR images
    this way.

    Args:
        image: ``uint8`` image ``(H, W)`` or ``(H, W, C)``.
        scale: Size of the result divided by the size of the image, e.g. ``1 / 2``.

    Returns:
        ``uint8`` image with height ``ceil(H * scale)`` and width ``ceil(W * scale)``.

    Raises:
        TypeError: The image is not ``uint8``.
    """
    if image.dtype != np.uint8:
        raise TypeError(f"imresize takes a uint8 image, got {image.dtype}")
    for axis in (0, 1):
        moved = np.moveaxis(image, axis, 0)
        weights = _weights(moved.shape[0], scale)
        values = weights @ moved.reshape(moved.shape[0], -1).astype(np.float64)
        values = np.floor(values + 0.5).clip(0, 255).astype(np.uint8)
        image = np.moveaxis(values.reshape(-1, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(image)


def _weights(length: int, scale: float) -> sparse.csr_array:
    """The resizing of one axis as a matrix ``(ceil(length * scale), length)``."""
    out_length = math.ceil(length * scale)
    shrink = min(scale, 1.0)
    width = 4 / shrink
    taps = math.ceil(width) + 2
    # Positions are those of MATLAB, whose first pixel has its centre at 1.
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)
    index = np.floor(centre - width / 2)[:, None] + np.arange(taps)
    weight = shrink * _cubic(shrink * (centre[:, None] - index))
    weight /= weight.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    index = mirror[(index.astype(np.int64) - 1) % (2 * length)]
    starts = np.arange(0, out_length * taps + 1, taps)
    return sparse.csr_array((weight.ravel(), index.ravel(), starts), shape=(out_length, length))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))
