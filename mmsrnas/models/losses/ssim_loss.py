"""Structural similarity as a loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["SSIMLoss"]

MODES = ("log", "negative")

MIN_SSIM = 0.01
"""SSIM below which ``-log10`` is continued by its tangent."""


@MODELS.register_module()
class SSIMLoss(nn.Module):
    """Structural similarity (Wang et al., 2004), as HiNAS uses it beside MSE or L1.

    The window is 11 x 11, Gaussian with sigma 1.5, and the images are padded with zeros.

    Args:
        loss_weight: Weight of the loss.
        mode: ``'log'`` for ``-log10(SSIM)``, ``'negative'`` for ``1 - SSIM``; the SSIM is the mean
            over batch, channels and pixels. An untrained network may have a mean SSIM of zero or
            less, where the logarithm is undefined: below 0.01 its tangent at 0.01 is taken, whose
            gradient still increases the SSIM.
        data_range: Maximum pixel value of the images.

    Raises:
        ValueError: Unknown ``mode``.
    """

    gauss: Tensor

    def __init__(
        self, loss_weight: float = 1.0, mode: str = "log", data_range: float = 1.0
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode of SSIMLoss: expected one of {MODES}, got {mode!r}.")
        self.loss_weight = loss_weight
        self.mode = mode
        self.constants = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        offset = torch.arange(11, dtype=torch.double) - 5
        gauss = torch.exp(-offset.square() / (2 * 1.5**2))
        self.register_buffer("gauss", (gauss / gauss.sum()).float(), persistent=False)

    def _blur(self, x: Tensor) -> Tensor:
        channels = x.size(1)
        row = self.gauss.to(x.dtype).expand(channels, 1, 1, -1)
        x = F.conv2d(x, row, padding=(0, 5), groups=channels)
        return F.conv2d(x, row.transpose(2, 3), padding=(5, 0), groups=channels)

    def similarity(self, pred: Tensor, target: Tensor) -> Tensor:
        """Structural similarity of two batches ``(N, C, H, W)`` at each pixel."""
        c1, c2 = self.constants
        products = torch.cat([pred, target, pred * pred, target * target, pred * target], dim=1)
        mean1, mean2, square1, square2, product = self._blur(products).chunk(5, dim=1)
        variances = square1 - mean1.square() + square2 - mean2.square()
        covariance = product - mean1 * mean2
        luminance = (2 * mean1 * mean2 + c1) / (mean1.square() + mean2.square() + c1)
        return luminance * (2 * covariance + c2) / (variances + c2)

    @full_precision
    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compares two batches ``(N, C, H, W)``.

        Returns:
            Scalar loss.
        """
        similarity = self.similarity(pred, target).mean()
        loss = -_log10(similarity) if self.mode == "log" else 1 - similarity
        return self.loss_weight * loss


def _log10(x: Tensor) -> Tensor:
    tangent = math.log10(MIN_SSIM) + (x - MIN_SSIM) / (MIN_SSIM * math.log(10))
    return torch.where(x > MIN_SSIM, x.clamp(min=MIN_SSIM).log10(), tangent)
