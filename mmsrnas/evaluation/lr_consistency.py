"""Whether an SR image still is the LR image that it was made from."""

from typing import Any

import mmagic.evaluation
import numpy as np
import torch

from mmsrnas.datasets import imresize
from mmsrnas.registry import METRICS

__all__ = ["LRConsistency"]

Image = torch.Tensor | np.ndarray


@METRICS.register_module()
class LRConsistency(mmagic.evaluation.PSNR):
    """PSNR in dB between the LR image and the SR image brought back to its size.

    The prediction is rounded to 8 bits and down-scaled by MATLAB's bicubic, which makes the LR
    images of the usual test sets: the HR image itself scores infinity there.

    Args:
        **kwargs: As for ``mmagic.evaluation.PSNR``: ``convert_to``, ``prefix``, and
            ``crop_border`` in pixels of the LR image.
    """

    metric = "LR_PSNR"

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("gt_key", "input")
        super().__init__(**kwargs)

    def process_image(self, gt: Image, pred: Image, mask: Image) -> float:
        """Compares an LR image ``(C, H, W)`` with an SR image ``(C, s * H, s * W)``.

        Raises:
            ValueError: The size of the SR image is no multiple of that of the LR image.
        """
        lr, sr = (torch.as_tensor(image).clamp(0, 255).round() for image in (gt, pred))
        scale = sr.shape[-1] // lr.shape[-1]
        if tuple(sr.shape[-2:]) != tuple(scale * side for side in lr.shape[-2:]):
            raise ValueError(
                f"LRConsistency: the SR image is {tuple(sr.shape[-2:])}, no multiple of the LR "
                f"image {tuple(lr.shape[-2:])}."
            )
        small = imresize(sr.permute(1, 2, 0).cpu().numpy().astype(np.uint8), 1 / scale)
        small = torch.from_numpy(small).permute(2, 0, 1).float()
        return super().process_image(lr.cpu(), small, mask)
