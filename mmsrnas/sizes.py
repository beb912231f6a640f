"""Sizes of the images that a network reads and makes."""

import copy
import math
from typing import Any

import torch
from torch import nn
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = [
    "HR_SIZE",
    "ShapesAlone",
    "dtype_of",
    "in_channels_of",
    "lr_size_of",
    "min_size_of",
    "output_shape",
    "upscale_factor_of",
]

HR_SIZE = (720, 1280)
"""``(height, width)`` of the HR image for which papers count Multi-Adds."""

PROBE = 64


def lr_size_of(hr_size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Size of the LR image for an HR image, rounded up: 240 x 427 for 720 x 1280 at scale 3.

    Args:
        hr_size: ``(height, width)`` of the HR image.
        scale: Upscale factor.

    Returns:
        ``(height, width)`` of the LR image.
    """
    return math.ceil(hr_size[0] / scale), math.ceil(hr_size[1] / scale)


def in_channels_of(network: nn.Module) -> int:
    """Channels of the images that a network reads.

    Args:
        network: A network that says so by ``in_channels``, as all of ours do, or one of mmagic,
            which is tried on colour and then on gray.

    Returns:
        The number of channels.

    Raises:
        ValueError: The network does not say it, and reads neither colour nor gray images.
    """
    channels = getattr(network, "in_channels", None)
    if isinstance(channels, int):
        return channels
    errors = []
    for channels in (3, 1):
        try:
            output_shape(network, (channels, PROBE, PROBE))
        except (RuntimeError, ValueError) as error:
            errors.append(f"{channels} channels: {error}")
        else:
            return channels
    raise ValueError(
        f"{type(network).__name__} has no attribute `in_channels`, and neither colour nor gray "
        f"images of {PROBE} x {PROBE} pixels suit it. " + " ".join(errors)
    )


def min_size_of(network: nn.Module) -> int:
    """Smallest height and width that a network reads: its ``min_size``, 1 where it has none."""
    return getattr(network, "min_size", 1)


def upscale_factor_of(network: nn.Module) -> int:
    """Ratio of output to input size of a network, 1 for denoising."""
    said = getattr(network, "upscale_factor", None)
    if isinstance(said, int):
        return said
    return output_shape(network, (in_channels_of(network), PROBE, PROBE))[-1] // PROBE


class ShapesAlone(TorchDispatchMode):
    """Passes of meta or fake tensors, in which interpolation and PReLU are one operator each.

    torch finds their shapes by way of their arithmetic, which takes as long as the rest of a
    network.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        aten = torch.ops.aten
        if func is aten._prelu_kernel.default:
            return torch.empty_like(args[0])
        if func in (aten.upsample_bicubic2d.default, aten.upsample_bilinear2d.default):
            image, size = args[:2]
            return torch.empty(
                (*image.shape[:2], *size),
                dtype=image.dtype,
                device=image.device,
                memory_format=suggest_memory_format(image),
            )
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def output_shape(network: nn.Module, input_size: tuple[int, int, int]) -> torch.Size:
    """Shape of what a network makes of one image.

    The network is run on a copy without data (torch's ``meta`` device), which takes neither the
    time nor the memory of a real pass, and is left as it was.

    Args:
        network: A network that maps ``(N, C, H, W)`` images.
        input_size: ``(C, H, W)`` of the input.

    Returns:
        The shape ``(1, C', H', W')``.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    with ShapesAlone():
        return shadow(torch.empty(1, *input_size, device="meta", dtype=dtype_of(network))).shape


def dtype_of(network: nn.Module) -> torch.dtype:
    """Floating-point type of the weights of a network."""
    types = (param.dtype for param in network.parameters())
    return next((dtype for dtype in types if dtype.is_floating_point), torch.float32)
