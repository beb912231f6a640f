"""Parameters and Multi-Adds of a network."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["CONVENTION", "Complexity", "count_complexity", "lr_size_of", "upscale_factor_of"]

CONVENTION = (
    "Multi-Adds are the multiply-accumulates of convolutions and matrix products for one image; "
    "bias, activation, pooling and interpolation are not counted."
)


@dataclass(frozen=True)
class Complexity:
    """Cost of a network.

    Attributes:
        params: Number of parameters.
        multi_adds: Multiply-accumulates for one image, counted as :data:`CONVENTION` says.
    """

    params: int
    multi_adds: int


def count_complexity(network: nn.Module, input_size: tuple[int, int, int]) -> Complexity:
    """Counts parameters and Multi-Adds.

    The network is run on a copy without data (torch's ``meta`` device), so that the count takes
    neither the time nor the memory of a real pass. It is left as it was.

    Args:
        network: A network that maps ``(N, C, H, W)`` images.
        input_size: ``(C, H, W)`` of the input.

    Returns:
        The counts.
    """
    multi_adds = FlopCounterMode(display=False)
    with multi_adds:
        _shape_out(network, input_size)
    params = sum(param.numel() for param in network.parameters())
    return Complexity(params, multi_adds.get_total_flops() // 2)


def upscale_factor_of(network: nn.Module, in_channels: int = 3) -> int:
    """Ratio of output to input size of a network, 1 for denoising.

    Args:
        network: A network that maps ``(N, C, H, W)`` images of 64 x 64 pixels.
        in_channels: Channels of its input.

    Returns:
        The upscale factor.
    """
    return _shape_out(network, (in_channels, 64, 64))[-1] // 64


def lr_size_of(hr_size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Size of the LR image for an HR image, rounded up: 427 x 240 for 1280 x 720 at scale 3.

    Args:
        hr_size: ``(width, height)`` of the HR image.
        scale: Upscale factor.

    Returns:
        ``(width, height)`` of the LR image.
    """
    return math.ceil(hr_size[0] / scale), math.ceil(hr_size[1] / scale)


@torch.no_grad()
def _shape_out(network: nn.Module, input_size: tuple[int, int, int]) -> torch.Size:
    shadow = copy.deepcopy(network).to("meta").eval()
    return shadow(torch.empty(1, *input_size, device="meta")).shape
