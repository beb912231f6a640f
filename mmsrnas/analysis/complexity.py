"""Parameters and Multi-Adds of a network."""

from argparse import ArgumentTypeError
from dataclasses import dataclass

from torch import nn

from mmsrnas.costs import count_multi_adds, count_params
from mmsrnas.sizes import (
    HR_SIZE,
    in_channels_of,
    lr_size_of,
    upscale_factor_of,
)

__all__ = [
    "CONVENTION",
    "HR_SIZE",
    "Complexity",
    "count_complexity",
    "input_size_of",
    "lr_size_of",
    "read_hr_size",
    "upscale_factor_of",
]

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

    Args:
        network: A network that maps ``(N, C, H, W)`` images; it is left as it was.
        input_size: ``(C, H, W)`` of the input.

    Returns:
        The counts.
    """
    return Complexity(count_params(network), count_multi_adds(network, input_size))


def input_size_of(network: nn.Module, hr_size: tuple[int, int] = HR_SIZE) -> tuple[int, int, int]:
    """Size of the image that a network makes an HR image of.

    Args:
        network: A network that maps ``(N, C, H, W)`` images.
        hr_size: ``(height, width)`` of the HR image.

    Returns:
        ``(C, H, W)`` of the input.
    """
    return in_channels_of(network), *lr_size_of(hr_size, upscale_factor_of(network))


def read_hr_size(text: str) -> tuple[int, int]:
    """Reads a size from the command line.

    Args:
        text: ``WIDTHxHEIGHT``, as papers and screens have it: ``1280x720``.

    Returns:
        ``(height, width)``.

    Raises:
        argparse.ArgumentTypeError: The text is no size.
    """
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ArgumentTypeError(f"expected WIDTHxHEIGHT, e.g. 1280x720, got {text!r}")
    return int(sides[1]), int(sides[0])
