"""Restoration of single images, gray ones included."""

from pathlib import Path

import cv2
import numpy as np
from mmagic.apis.inferencers.image_super_resolution_inferencer import (
    ImageSuperResolutionInferencer,
)
from mmagic.structures import DataSample

__all__ = ["RestorationInferencer"]


class RestorationInferencer(ImageSuperResolutionInferencer):
    """mmagic's inferencer of super-resolution, for denoising and gray images too.

    mmagic's reverses the last axis of every result, from RGB to BGR: a gray image, which has no
    third axis, is mirrored by that.
    """

    def visualize(
        self, preds: list[DataSample], result_out_dir: str | Path | None = None
    ) -> np.ndarray:
        """Turns the prediction into an image, and writes it.

        Args:
            preds: What ``forward`` returned, of one image.
            result_out_dir: Target file; none is written where it is None.

        Returns:
            BGR ``(H, W, 3)`` or gray ``(H, W)``, uint8.
        """
        image = np.asarray(super().visualize(preds))
        image = np.ascontiguousarray(image[:, ::-1] if image.ndim == 2 else image)
        if result_out_dir:
            Path(result_out_dir).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(result_out_dir), image)
        return image
