"""What the supernet and the networks of the elastic space have in common."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.genotypes import ElasticGenotype

from .ops import activate, finish

__all__ = ["LinearAnchor", "RepConv", "plain_conv", "run_chain", "start_silent"]

EXPANSION = 2
"""Inner channels of the expanding branch, in channels of the input."""
Conv = TypeVar("Conv", bound=nn.Conv2d)

TAPS = 5
"""Kernel size of the learned interpolation; bicubic has four taps."""
SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
LAPLACE = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def plain_conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


class RepConv(nn.Conv2d):
    """Convolution whose kernel is a sum of linear branches, and whose widths can be cut.

    The branches are those of ECBSR (ACM MM 2021): a plain kernel, a 1x1 that expands before a
    kernel, a 1x1, and 1x1 before fixed Sobel and Laplacian filters; all but the first start at
    zero. They are summed before they meet the image, so that a training step costs one convolution,
    and exactly also at the borders, because the sum has the only bias.

    Args:
        in_channels: Most input channels.
        out_channels: Most output channels.
        kernel_size: Odd kernel size, at least 3.
    """

    filters: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        inner, margin = EXPANSION * in_channels, kernel_size // 2 - 1
        point = torch.zeros(3, 3)
        point[1, 1] = 1
        sobel, laplace = torch.tensor(SOBEL) / 8, torch.tensor(LAPLACE) / 8
        filters = [F.pad(f, (margin,) * 4) for f in (point, sobel, sobel.T, laplace)]
        self.register_buffer("filters", torch.stack(filters), persistent=False)
        self.points = nn.Parameter(torch.zeros(len(filters), out_channels, in_channels))
        self.expand = nn.Parameter(torch.randn(inner, in_channels) / in_channels**0.5)
        self.contract = nn.Parameter(torch.zeros(out_channels, inner, kernel_size, kernel_size))

    def parts(self, in_channels: int, out_channels: int) -> tuple[Tensor, Tensor]:
        """Kernel and bias between the first channels."""
        kernel = self.weight[:out_channels, :in_channels]
        expand, contract = self.expand[:, :in_channels], self.contract[:out_channels]
        points = self.points[:, :out_channels, :in_channels]
        kernel = kernel + torch.einsum("omhw,mi->oihw", contract, expand)
        kernel = kernel + torch.einsum("foi,fhw->oihw", points, self.filters)
        assert self.bias is not None
        return kernel, self.bias[:out_channels]

    def forward(self, x: Tensor, out_channels: int | None = None) -> Tensor:
        """Convolves.

        Args:
            x: Features ``(N, C, H, W)`` of at most ``in_channels`` channels.
            out_channels: How many of the first output channels to make; all if None.
        """
        kernel, bias = self.parts(x.shape[1], out_channels or self.out_channels)
        return F.conv2d(x, kernel, bias, padding="same")

    def folded(self) -> nn.Conv2d:
        """A plain convolution that does the same."""
        plain = plain_conv(self.in_channels, self.out_channels, self.kernel_size[0])
        plain = plain.to(self.weight).train(self.training)
        self.fold_into(plain)
        return plain

    @torch.no_grad()
    def fold_into(self, conv: nn.Conv2d) -> None:
        """Gives a plain convolution of at most the same widths the summed kernel."""
        kernel, bias = self.parts(conv.in_channels, conv.out_channels)
        conv.weight.copy_(kernel)
        assert conv.bias is not None
        conv.bias.copy_(bias)


def start_silent(conv: Conv) -> Conv:
    """Makes a new convolution give zero: a network then starts as its anchor."""
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


class LinearAnchor(nn.Conv2d):
    """Learned interpolation of an image: one convolution that starts as the bicubic one.

    Args:
        channels: Channels of the images.
        upscale_factor: Ratio of the sizes.
    """

    initialised = True  # `init_unit_variance` leaves it as it is

    def __init__(self, channels: int, upscale_factor: int) -> None:
        super().__init__(channels, channels * upscale_factor**2, TAPS)
        middle = slice(TAPS // 2 * upscale_factor, (TAPS // 2 + 1) * upscale_factor)
        impulses = torch.eye(TAPS**2).view(-1, 1, TAPS, TAPS)
        enlarged = interpolate(impulses, "bicubic", upscale_factor)[:, 0, middle, middle]
        taps = enlarged.flatten(1).T.reshape(-1, TAPS, TAPS)  # of each output pixel
        nn.init.zeros_(self.weight)
        for channel, kernels in enumerate(self.weight.data.chunk(channels)):
            kernels[:, channel] = taps
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, C, H, W)`` to ``(N, C * s ** 2, H, W)``, which is yet to be shuffled."""
        return super().forward(F.pad(x, (TAPS // 2,) * 4, mode="replicate"))


def interpolate(x: Tensor, mode: str, upscale_factor: int) -> Tensor:
    """Enlarges an image; at scale 1 it is its own interpolation."""
    if upscale_factor == 1:
        return x
    return F.interpolate(x, scale_factor=float(upscale_factor), mode=mode)


def run_chain(
    genotype: ElasticGenotype,
    x: Tensor,
    convs: Sequence[Callable[[Tensor], Tensor]],
    slopes: Sequence[Tensor | None],
    anchor: LinearAnchor | None,
) -> Tensor:
    """Runs the network of a genotype.

    Args:
        genotype: The genotype.
        x: Images ``(N, in_channels, H, W)`` in [0, 1].
        convs: Stem, convolutions of the blocks, head.
        slopes: Negative slopes of the activations behind stem and blocks, for ``'prelu'``.
        anchor: The learned interpolation, if the output is added to it.

    Returns:
        Images ``(N, in_channels, s * H, s * W)``, not clamped.
    """
    scale = genotype.upscale_factor
    x = x.contiguous(memory_format=torch.channels_last)
    features = activate(genotype.activation, convs[0](x), slopes[0])
    for op, conv, slope in zip(genotype.ops, convs[1:], slopes[1:], strict=False):
        features = finish(op, features, conv(features), genotype.activation, slope)
    y = convs[-1](features)
    if anchor is not None:
        return F.pixel_shuffle(y + anchor(x), scale)
    return F.pixel_shuffle(y, scale) + interpolate(x, genotype.anchor, scale)
