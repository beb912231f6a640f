"""PSNR and SSIM on predictions rounded to 8 bits, otherwise exactly mmagic's."""

from typing import Any

import mmagic.evaluation
import numpy as np
import torch
from mmagic.evaluation.metrics.base_sample_wise_metric import BaseSampleWiseMetric

from mmsrnas.registry import METRICS

__all__ = ["PSNR", "SSIM"]

Image = torch.Tensor | np.ndarray


class _Quantized(BaseSampleWiseMetric):
    """Mixin that adds ``quantize`` to a metric of mmagic."""

    def __init__(self, quantize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.quantize = quantize

    def process_image(self, gt: Image, pred: Image, mask: Image) -> float:
        # Half precision has not even the integers up to 255 * 255 that errors are made of.
        pred = torch.as_tensor(pred).float()
        if self.quantize:
            pred = pred.clamp(0, 255).round()
        return super().process_image(gt, pred, mask)


@METRICS.register_module()
class PSNR(_Quantized, mmagic.evaluation.PSNR):
    """Peak signal-to-noise ratio in dB.

    The papers compare 8-bit images.  mmagic compares the unrounded prediction: with the official
    weights of DLSR that is worth 0.014 dB on Set5 at scale 2.  The published tables use
    ``convert_to='Y'`` (BT.601 luma as in MATLAB's ``rgb2ycbcr``, not rounded) and ``crop_border``
    equal to the scale.

    Args:
        quantize: Clamp the prediction to [0, 255] and round it before comparing.
        **kwargs: As for ``mmagic.evaluation.PSNR``: ``crop_border``, ``convert_to``, ``prefix``...
    """


@METRICS.register_module()
class SSIM(_Quantized, mmagic.evaluation.SSIM):
    """Structural similarity (11x11 Gaussian window, sigma 1.5, as in the authors' MATLAB code).

    Args:
        quantize: Clamp the prediction to [0, 255] and round it before comparing.
        **kwargs: As for ``mmagic.evaluation.SSIM``: ``crop_border``, ``convert_to``, ``prefix``...
    """
