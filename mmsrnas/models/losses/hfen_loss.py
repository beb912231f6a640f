"""High-frequency error norm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["HFENLoss"]


@MODELS.register_module()
class HFENLoss(nn.Module):
    """Mean absolute difference of the edges of two batches, as DLSR uses it beside L1.

    The edges are the Laplacian of the smoothed image summed over the colours, divided by their
    maximum over the whole batch. They do not depend on the value range, L1 does: the loss is
    multiplied by ``data_range / 255``, so that a weight beside L1 means the same for every range.

    Args:
        loss_weight: Weight for images in 0..255; 0.2 in DLSR.
        data_range: Maximum pixel value of the images.
    """

    gauss: Tensor
    laplace: Tensor

    def __init__(self, loss_weight: float = 0.2, data_range: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.data_range = data_range
        offset = torch.arange(5, dtype=torch.double) - 2
        gauss = torch.exp(-offset.square() / (2 * 1.5**2))
        kernel = torch.outer(gauss, gauss) / gauss.sum() ** 2
        laplace = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("gauss", kernel[None, None].float(), persistent=False)
        self.register_buffer("laplace", laplace[None, None], persistent=False)

    def edges(self, image: Tensor) -> Tensor:
        """Normalised edges ``(N, 1, H - 4, W - 4)`` of images ``(N, C, H, W)``."""
        channels = image.size(1)
        gauss = self.gauss.to(image.dtype).expand(channels, -1, -1, -1)
        smooth = F.conv2d(image, gauss, groups=channels).sum(dim=1, keepdim=True)
        edges = F.conv2d(smooth, self.laplace.to(image.dtype), padding=1)
        peak = edges.max()
        # A flat batch has no edge to normalise by.
        return edges / torch.where(peak > 1e-6 * self.data_range, peak, torch.ones_like(peak))

    @full_precision
    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compares two batches ``(N, C, H, W)`` of at least 5 x 5 pixels.

        Returns:
            Scalar loss.
        """
        error = F.l1_loss(self.edges(pred), self.edges(target))
        return self.loss_weight * self.data_range / 255 * error
