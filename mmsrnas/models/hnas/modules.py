"""What the supernet and the networks of HNAS have in common."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.models.ops import Conv, Depthwise

from .normalization import BatchNorm

__all__ = ["RCAB", "HNASBase", "HNASCell", "UpDownProjection", "build_op"]

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the training images of DIV2K, in [0, 1]."""

SCALES = (2, 3, 4, 8)


def check_scale(upscale_factor: int) -> None:
    """Raises ``ValueError`` for a scale that the upsampling operations do not have."""
    if upscale_factor not in SCALES:
        raise ValueError(f"upscale_factor: HNAS has {SCALES}, got {upscale_factor!r}.")


def _norm(channels: int, norm: bool, affine: bool = False) -> list[nn.Module]:
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
            *_norm(channels, norm, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            *_norm(channels, norm, affine=True),
            ChannelAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return x + self.body(x)


def _sep_conv(channels: int, norm: bool, kernel_size: int) -> nn.Module:
    def half(owns_input: bool) -> list[nn.Module]:
        depthwise = Depthwise(channels, kernel_size)
        relu = nn.ReLU(inplace=owns_input)
        return [relu, depthwise, Conv(channels, 1), *_norm(channels, norm)]

    return nn.Sequential(*half(False), *half(True))


def _dil_conv(channels: int, norm: bool, kernel_size: int) -> nn.Module:
    depthwise = Depthwise(channels, kernel_size, dilation=2)
    return nn.Sequential(nn.ReLU(), depthwise, Conv(channels, 1), *_norm(channels, norm))


class UpDownProjection(nn.Module):
    """The up-projection and the down-projection unit of DBPN (arXiv 1803.02735) in a row.

    Args:
        channels: Input and output channels.
        upscale_factor: Scale between the two.
    """

    def __init__(self, channels: int, upscale_factor: int) -> None:
        super().__init__()
        args = dict(kernel_size=upscale_factor + 4, stride=upscale_factor, padding=2)

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


def build_op(name: str, channels: int, upscale_factor: int, norm: bool) -> nn.Module:
    """Builds an operation of a normal or an upsampling cell.

    Args:
        name: Name of the operation.
        channels: Input and output channels.
        upscale_factor: For an operation of the upsampling cell, the scale of this edge; for
            ``up_and_down``, that of the network.
        norm: Normalise as the supernet does; only the operations of the normal cell can.

    Returns:
        The module.

    Raises:
        ValueError: Unknown name.
    """
    if name == "rcab":
        return RCAB(channels, norm)
    if name == "skip_connect":
        return nn.Identity()
    if name in ("sep_conv_3x3", "sep_conv_5x5"):
        return _sep_conv(channels, norm, int(name[-1]))
    if name in ("dil_conv_3x3", "dil_conv_5x5"):
        return _dil_conv(channels, norm, int(name[-1]))
    if name == "up_and_down":
        return UpDownProjection(channels, upscale_factor)
    if name == "sub_pixel":
        return SubPixel(channels, upscale_factor)
    if name == "deconvolution":
        return Deconvolution(channels, upscale_factor)
    # For whole factors `area` averages over the one pixel that `nearest` takes.
    if name in ("bilinear", "nearest", "area"):
        return Interpolate("bilinear" if name == "bilinear" else "nearest", upscale_factor)
    raise ValueError(f"unknown operation of HNAS: {name!r}.")


class HNASCell(nn.Module):
    """Preprocessing of the two inputs of a cell, and its graph.

    Args:
        channels: Channels ``C`` of a node.
        num_nodes: Number of intermediate nodes ``B``; inputs and output have ``B * C`` channels.
        norm: Normalise the preprocessed inputs.
    """

    def __init__(self, channels: int, num_nodes: int, norm: bool) -> None:
        super().__init__()
        self.preprocess = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(num_nodes * channels, channels, 1, bias=False), *_norm(channels, norm)
            )
            for _ in range(2)
        )

    def run(self, inputs: Sequence[Tensor], edges: Sequence[tuple[nn.Module, int]]) -> Tensor:
        """Runs the graph.

        Args:
            inputs: Outputs of the last but one and of the last cell ``(N, B * C, H, W)``, both
                after a ReLU.
            edges: Two edges per node, as operation and source.

        Returns:
            All nodes from 2 on ``(N, B * C, s * H, s * W)``.
        """
        nodes = [conv(x) for conv, x in zip(self.preprocess, inputs, strict=True)]
        for (left, i), (right, j) in zip(edges[::2], edges[1::2], strict=True):
            first = left(nodes[i])
            # One operation chosen twice in a supernet is one set of weights.
            second = first if left is right and i == j else right(nodes[j])
            nodes.append(first + second)
        return torch.cat(nodes[2:], dim=1)


class HNASBase(BaseModule):
    """The macro-architecture of HNAS around its cells.

    Args:
        channels: Channels ``C`` of a node.
        num_nodes: Number of intermediate nodes ``B``.
        upscale_factor: Ratio of HR to LR size.
        norm: Normalise the stem.
        img_range: The value that the network sees for 1.0 of the input.
        global_skip: Add the bicubic interpolation of the input to the output, which the network
            starts as; the published one has no such path.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: Unsupported ``upscale_factor``, or ``channels`` below 3.
    """

    def __init__(
        self,
        channels: int,
        num_nodes: int,
        upscale_factor: int,
        norm: bool,
        img_range: float = 255.0,
        global_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_scale(upscale_factor)
        if channels < 3:
            raise ValueError(f"channels: the attention of 'rcab' needs 3, got {channels!r}.")
        self.channels = channels
        self.upscale_factor = upscale_factor
        self.img_range = img_range
        self.global_skip = global_skip
        mean = torch.tensor(RGB_MEAN).view(1, 3, 1, 1) * img_range
        self.register_buffer("mean", mean, persistent=False)
        width = num_nodes * channels
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), *_norm(width, norm, affine=True)
        )
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        if global_skip:
            nn.init.zeros_(self.conv_last.weight)
            nn.init.zeros_(self.conv_last.bias)

    def run_cells(self, x: Tensor, cells: Sequence) -> Tensor:
        """Runs the network.

        Args:
            x: LR images ``(N, 3, H, W)`` in [0, 1].
            cells: Callables ``(s0, s1) -> output`` in order, and whether each upsamples.

        Returns:
            SR images ``(N, 3, s * H, s * W)``, not clamped.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        output = self.stem(x * self.img_range - self.mean)
        previous = current = F.relu(output)
        for index, (cell, upsamples) in enumerate(cells, start=1):
            output = cell(previous, current)
            if index < len(cells):  # cells read rectified features, the last convolution does not
                output = F.relu(output, inplace=True)
                previous, current = (output if upsamples else current), output
        output = self.conv_last(output)
        if self.global_skip:
            return output / self.img_range + F.interpolate(
                x, scale_factor=self.upscale_factor, mode="bicubic"
            )
        return (output + self.mean) / self.img_range
