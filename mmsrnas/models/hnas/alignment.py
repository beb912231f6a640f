"""Initial weights with which all architectures of a supernet start as about the same function."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from .normalization import BatchNorm
from .ops import RCAB

__all__ = ["align"]

NOISE = 0.3
"""Share of the random initial weights that stays."""


@torch.no_grad()
def align(cells: Iterable[nn.Module]) -> None:
    """Initialises all operations near the identity, or near interpolation where they resample.

    Random operations contradict each other: what a channel means depends on the architecture, so
    that gradients of the weights behind it cancel out.  From here, a channel means the same in
    every cell and behind every operation, and each operation learns how to differ.

    Args:
        cells: Cells of a supernet, changed in place.
    """
    for cell in cells:
        for module in cell.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.mul_(NOISE).add_(_identity(module))
            elif isinstance(module, RCAB):  # x + body(x), with a body of zero
                norms = [layer for layer in module.body if isinstance(layer, BatchNorm)]
                nn.init.zeros_(norms[-1].weight)


def _identity(conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """The kernel that hands every channel on, to or from all pixels of its window alike."""
    weight = torch.zeros_like(conv.weight)
    inputs, outputs, stride = conv.in_channels, conv.out_channels, conv.stride[0]
    start = cast(int, conv.padding[0]) // conv.dilation[0]
    window = (slice(start, start + stride),) * 2
    for output in range(outputs):
        if isinstance(conv, nn.ConvTranspose2d):
            weight[(output, output, *window)] = 1
        elif conv.groups > 1:
            weight[(output, 0, *window)] = 1
        elif outputs >= inputs:  # before a pixel shuffle, neighbours become one channel
            weight[(output, output * inputs // outputs, *window)] = 1 / stride**2
        else:  # the nodes of a cell stand one behind the other
            weight[(output, slice(output, None, outputs), *window)] = outputs / inputs
    return weight
