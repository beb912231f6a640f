from pathlib import Path

import cv2
import numpy as np
import pytest

from mmsrnas.datasets.resize import imresize, mod_crop


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("test_set", ["Set5", "Set14"])
def test_down_scaling_equals_the_published_lr_images(real_images: Path, test_set, scale):
    root = real_images / "bench" / test_set
    paths = sorted((root / "HR").iterdir())
    assert len(paths) == {"Set5": 5, "Set14": 14}[test_set]
    for path in paths:
        lr = imresize(mod_crop(cv2.imread(str(path)), scale), 1 / scale)
        published = root / f"LR_bicubic/X{scale}/{path.stem}x{scale}.png"
        assert np.array_equal(lr, cv2.imread(str(published))), path.name


def test_published_kernel():
    """Halving an impulse shows the kernel of width 8 sampled at quarters (Keys, a = -0.5)."""
    impulse = np.zeros((1, 32), np.uint8)
    impulse[0, 15] = 255
    x = np.abs((np.arange(16) * 2 + 0.5 - 15) / 2)  # distance in output pixels
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    expected = np.where(x <= 1, near, np.where(x <= 2, far, 0)) / 2 * 255
    row = imresize(np.repeat(impulse, 8, axis=0), 1 / 2)[0]
    assert np.array_equal(row, np.floor(expected + 0.5).clip(0, 255))


def test_rows_are_rounded_before_columns():
    """The intermediate image is 8-bit, so that transposing does not commute with resizing."""
    image = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    columns_first = imresize(image.T, 1 / 2).T
    assert np.abs(imresize(image, 1 / 2).astype(int) - columns_first).max() == 1


def test_sizes_and_constant_images():
    image = np.full((9, 10, 3), 77, np.uint8)
    assert imresize(image, 1 / 2).shape == (5, 5, 3)
    assert imresize(image, 3).shape == (27, 30, 3)
    assert (imresize(image, 1 / 3) == 77).all()
    assert mod_crop(image, 4).shape == (8, 8, 3)


def test_float_image_is_refused():
    with pytest.raises(TypeError, match="float64"):
        imresize(np.zeros((4, 4)), 2)
