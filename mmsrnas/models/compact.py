"""Compact: a plain chain of convolutions, the hand-made network that a search has to beat."""

from typing import Literal

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.models.elastic.modules import LinearAnchor, interpolate
from mmsrnas.registry import MODELS

__all__ = ["CompactNet"]


@MODELS.register_module()
class CompactNet(BaseModule):
    """Convolutions with PReLU, added to the nearest interpolation of the image.

    That of Real-ESRGAN, by whose names its weights are called. At scale 1 it is
    a DnCNN without normalisation.

    Args:
        upscale_factor: Ratio of HR to LR size, 1 for denoising.
        in_channels: Channels of the images.
        mid_channels: Channels of the features.
        num_convs: Convolutions between the first and the last.
        anchor: Interpolation that the output is added to: ``'nearest'`` as published, or
            ``'linear'``, a learned one that spares a short training to learn interpolation.
        init_cfg: Initialisation config of mmengine.

    Source: arXiv 2107.10833, https://github.com/xinntao/Real-ESRGAN.
    """

    min_size = 1

    def __init__(
        self,
        upscale_factor: int = 2,
        in_channels: int = 3,
        mid_channels: int = 64,
        num_convs: int = 16,
        anchor: Literal["nearest", "linear"] = "nearest",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        layers: list[nn.Module] = []
        for source in (in_channels, *(mid_channels,) * num_convs):
            layers += [nn.Conv2d(source, mid_channels, 3, padding=1), nn.PReLU(mid_channels)]
        outputs = in_channels * upscale_factor**2
        self.body = nn.ModuleList([*layers, nn.Conv2d(mid_channels, outputs, 3, padding=1)])
        linear = anchor == "linear" and upscale_factor > 1
        self.anchor = LinearAnchor(in_channels, upscale_factor) if linear else None

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolves or denoises.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.
        """
        scale = self.upscale_factor
        features = x.contiguous(memory_format=torch.channels_last)
        for layer in self.body:
            features = layer(features)
        if self.anchor is not None:
            return F.pixel_shuffle(features + self.anchor(x), scale)
        return F.pixel_shuffle(features, scale) + interpolate(x, "nearest", scale)
