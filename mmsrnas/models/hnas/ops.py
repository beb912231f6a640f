"""The operations of HNAS."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.models.ops import Conv, Depthwise

from .normalization import BatchNorm

__all__ = ["OPS", "RCAB", "UpDownProjection", "build_op", "norm_layers"]


def norm_layers(channels: int, norm: bool, affine: bool = False) -> list[nn.Module]:
    """A normalisation of ``channels``, or nothing, as a list of layers."""
    return [BatchNorm(channels, affine=affine)] if norm else []


class ChannelAttention(nn.Module):
    """Weighs every channel by a mask from its mean.

    Args:
        channels: Channels, at least 3; the mask passes a third of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 3, 1)
        self.expand = nn.Conv2d(channels // 3, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        pooled = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(pooled))))


class RCAB(nn.Module):
    """Residual block with channel attention.

    Args:
        channels: Input and output channels.
        norm: Normalise after both convolutions.
    """

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            *norm_layers(channels, norm, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            *norm_layers(channels, norm, affine=True),
            ChannelAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return x + self.body(x)


def _sep_conv(channels: int, norm: bool, kernel_size: int) -> nn.Module:
    def half(owns_input: bool) -> list[nn.Module]:
        depthwise = Depthwise(channels, kernel_size)
        relu = nn.ReLU(inplace=owns_input)
        return [relu, depthwise, Conv(channels, 1), *norm_layers(channels, norm)]

    return nn.Sequential(*half(False), *half(True))


def _dil_conv(channels: int, norm: bool, kernel_size: int) -> nn.Module:
    depthwise = Depthwise(channels, kernel_size, dilation=2)
    return nn.Sequential(nn.ReLU(), depthwise, Conv(channels, 1), *norm_layers(channels, norm))


class UpDownProjection(nn.Module):
    """The up-projection and the down-projection unit of DBPN (arXiv 1803.02735) in a row.

    Args:
        channels: Input and output channels.
        upscale_factor: Scale between the two.
    """

    def __init__(self, channels: int, upscale_factor: int) -> None:
        super().__init__()
        size = upscale_factor + 4
        args: dict[str, Any] = dict(kernel_size=size, stride=upscale_factor, padding=2)

        def up() -> nn.Module:
            return nn.Sequential(nn.ConvTranspose2d(channels, channels, **args), nn.PReLU())

        def down() -> nn.Module:
            return nn.Sequential(nn.Conv2d(channels, channels, **args), nn.PReLU())

        self.up = nn.ModuleList([up(), down(), up()])
        self.down = nn.ModuleList([down(), up(), down()])

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        first, back, residual = self.up
        high = first(x)
        high = residual(back(high) - x) + high
        first, back, residual = self.down
        low = first(high)
        return residual(back(low) - high) + low


class SubPixel(nn.Sequential):
    """Convolutions and pixel shuffles, one of each for every prime factor of the scale.

    Args:
        channels: Input and output channels.
        upscale_factor: Scale; 1 is the identity, as in the released code.
    """

    def __init__(self, channels: int, upscale_factor: int) -> None:
        steps = [3] if upscale_factor == 3 else [2] * round(math.log2(upscale_factor))
        super().__init__(
            *(
                layer
                for step in steps
                for layer in (
                    nn.Conv2d(channels, channels * step**2, 3, padding=1),
                    nn.PixelShuffle(step),
                )
            )
        )


class Deconvolution(nn.ConvTranspose2d):
    """Transposed convolution; a learned 3x3 convolution where the scale is 1.

    The kernels of x2 and x4 are the released code's, which fails for x3 and x8.

    Args:
        channels: Input and output channels.
        upscale_factor: Scale.
    """

    def __init__(self, channels: int, upscale_factor: int) -> None:
        kernel_size, padding = {1: (3, 1), 2: (3, 1), 3: (3, 0), 4: (5, 1), 8: (9, 1)}[
            upscale_factor
        ]
        super().__init__(
            channels,
            channels,
            kernel_size,
            stride=upscale_factor,
            padding=padding,
            output_padding=upscale_factor - kernel_size + 2 * padding,
        )


class Interpolate(nn.Module):
    """Interpolation without parameters; the identity where the scale is 1.

    Args:
        mode: Mode of ``torch.nn.functional.interpolate``.
        upscale_factor: Scale.
    """

    def __init__(self, mode: str, upscale_factor: int) -> None:
        super().__init__()
        self.mode = mode
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to ``(N, C, s * H, s * W)``."""
        if self.upscale_factor == 1:
            return x
        return F.interpolate(x, scale_factor=self.upscale_factor, mode=self.mode)


Build = Callable[[int, int, bool], nn.Module]

OPS: dict[str, Build] = {
    "rcab": lambda channels, scale, norm: RCAB(channels, norm),
    "skip_connect": lambda channels, scale, norm: nn.Identity(),
    "sep_conv_3x3": lambda channels, scale, norm: _sep_conv(channels, norm, 3),
    "sep_conv_5x5": lambda channels, scale, norm: _sep_conv(channels, norm, 5),
    "dil_conv_3x3": lambda channels, scale, norm: _dil_conv(channels, norm, 3),
    "dil_conv_5x5": lambda channels, scale, norm: _dil_conv(channels, norm, 5),
    "up_and_down": lambda channels, scale, norm: UpDownProjection(channels, scale),
    "sub_pixel": lambda channels, scale, norm: SubPixel(channels, scale),
    "deconvolution": lambda channels, scale, norm: Deconvolution(channels, scale),
    "bilinear": lambda channels, scale, norm: Interpolate("bilinear", scale),
    "nearest": lambda channels, scale, norm: Interpolate("nearest", scale),
    # For whole factors `area` averages over the one pixel that `nearest` takes.
    "area": lambda channels, scale, norm: Interpolate("nearest", scale),
}
"""Builders of all operations, of the normal cell first, as ``(channels, scale, norm)``."""


def build_op(name: str, channels: int, upscale_factor: int, norm: bool) -> nn.Module:
    """Builds an operation of a normal or an upsampling cell.

    Args:
        name: Name of the operation, a key of :data:`OPS`.
        channels: Input and output channels.
        upscale_factor: For an operation of the upsampling cell, the scale of this edge; for
            ``up_and_down``, that of the network.
        norm: Normalise as the supernet does; only the operations of the normal cell can.

    Returns:
        The module, which maps ``(N, C, H, W)`` to ``(N, C, s * H, s * W)``.

    Raises:
        ValueError: Unknown name.
    """
    if name not in OPS:
        raise ValueError(f"operation of HNAS: expected one of {', '.join(OPS)}, got {name!r}.")
    return OPS[name](channels, upscale_factor, norm)
