"""Images that are small enough for tests."""

import cv2
import numpy as np


def write_paired_images(root, count=6, size=(80, 96), scale=2):
    """Writes ``HR/000.png`` ... and ``LR_bicubic/X2/000x2.png`` ...."""
    from mmsrnas.datasets.resize import imresize  # loads mmagic.datasets: only where needed

    rng = np.random.default_rng(0)
    (root / "HR").mkdir(parents=True)
    (root / f"LR_bicubic/X{scale}").mkdir(parents=True)
    for i in range(count):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / f"HR/{i:03}.png"), image)
        lr = imresize(image, 1 / scale)
        cv2.imwrite(str(root / f"LR_bicubic/X{scale}/{i:03}x{scale}.png"), lr)
