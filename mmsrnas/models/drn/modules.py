"""Blocks of DRN, and the dual network that closes the loop of dual regression."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.registry import MODELS

__all__ = ["RCAB", "DownBlock", "DualNet", "MeanShift", "UpBlock"]

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of the colours of DIV2K, in [0, 1]."""


def activate(x: Tensor) -> Tensor:
    """The activation of the strided convolutions, LeakyReLU with slope 0.2."""
    return F.leaky_relu(x, 0.2)


class MeanShift(nn.Conv2d):
    """Mean colour, subtracted or added by a 1x1 convolution that released weights fit.

    Args:
        img_range: Maximum pixel value of the images.
        sign: -1 subtracts, 1 adds.
        trainable: Whether the 12 values are trained, as they are by mistake in the released code.
    """

    bias: nn.Parameter

    def __init__(self, img_range: float, sign: int, trainable: bool) -> None:
        super().__init__(3, 3, 1)
        with torch.no_grad():
            self.weight.copy_(torch.eye(3)[:, :, None, None])
            self.bias.copy_(sign * img_range * torch.tensor(RGB_MEAN))
        self.requires_grad_(trainable)


class DownBlock(nn.Module):
    """Block that halves the resolution: strided convolution, LeakyReLU, convolution, no biases.

    Args:
        in_channels: Channels of the input.
        inner_channels: Channels between the two convolutions.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, inner_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner_channels, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(inner_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to ``(N, C', H / 2, W / 2)``."""
        return self.conv2(activate(self.conv1(x)))


class ChannelAttention(nn.Module):
    """Weights of the channels from their means, by squeeze and excitation.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 16, 1)
        self.excite = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scales ``(N, C, H, W)``."""
        mean = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))


class RCAB(nn.Module):
    """Residual channel attention block.

    Args:
        channels: Channels in and out, at least 16.
        inner_channels: Channels between the two convolutions.
    """

    def __init__(self, channels: int, inner_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(inner_channels, channels, 3, padding=1)
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return x + self.attention(self.conv2(F.relu(self.conv1(x))))


class UpBlock(nn.Module):
    """Residual blocks, then twice the resolution by pixel shuffle.

    Args:
        channels: Channels of the input and of the residual blocks.
        inner_channels: Inner channels of every residual block, then of the up-sampling.
        out_channels: Channels of the output.
    """

    def __init__(self, channels: int, inner_channels: list[int], out_channels: int) -> None:
        super().__init__()
        *block_channels, shuffled = inner_channels
        self.blocks = nn.Sequential(*(RCAB(channels, inner) for inner in block_channels))
        self.upsample = nn.Conv2d(channels, 4 * shuffled, 3, padding=1)
        self.reduce = nn.Conv2d(shuffled, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to ``(N, C', 2 * H, 2 * W)``."""
        return self.reduce(F.pixel_shuffle(self.upsample(self.blocks(x)), 2))


@MODELS.register_module()
class DualNet(BaseModule):
    """Dual regression network, which learns the down-scaling that made the LR image.

    Strided convolutions with LeakyReLU, then one more convolution, all 3x3 and without bias. It is
    positively homogeneous, so that its weights do not depend on the value range of the images.

    Args:
        upscale_factor: Ratio of HR to LR size; a product of twos and threes.
        mid_channels: Channels between the convolutions.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: Another ``upscale_factor``.
    """

    def __init__(
        self,
        upscale_factor: int,
        mid_channels: int = 16,
        in_channels: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        channels, convs = in_channels, []
        for stride in _strides(upscale_factor):
            convs.append(nn.Conv2d(channels, mid_channels, 3, stride=stride, padding=1, bias=False))
            channels = mid_channels
        self.convs = nn.ModuleList(convs)
        self.conv_last = nn.Conv2d(channels, in_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Down-scales.

        Args:
            x: Images ``(N, C, s * H, s * W)``.

        Returns:
            Images ``(N, C, H, W)``, not clamped.
        """
        for conv in self.convs:
            x = activate(conv(x))
        return self.conv_last(x)


def _strides(factor: int) -> list[int]:
    strides = []
    for stride in (2, 3):
        while factor > 1 and factor % stride == 0:
            strides.append(stride)
            factor //= stride
    if factor != 1 or not strides:
        raise ValueError(
            "DualNet.upscale_factor: expected a product of twos and threes, at least 2; "
            f"{factor} is left."
        )
    return strides
