"""Initial weights with which all architectures start as about the same function."""

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
        cells: Cells of a supernet or of a network, changed in place.
    """
    modules = [module for cell in cells for module in cell.modules()]
    for module in modules:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.weight.mul_(NOISE).add_(_identity(module))
    for block in (module for module in modules if isinstance(module, RCAB)):
        # x + body(x), with a body of zero
        last = [layer for layer in block.body if isinstance(layer, (nn.Conv2d, BatchNorm))][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.get_parameter("bias"))


def _identity(conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """The kernel that hands every channel on, to or from all pixels of its window alike."""
    weight = torch.zeros_like(conv.weight)
    inputs, outputs, stride = conv.in_channels, conv.out_channels, conv.stride[0]
    start = cast(int, conv.padding[0]) // conv.dilation[0]
    window = (slice(start, start + stride),) * 2
    channels = torch.arange(outputs)
    if isinstance(conv, nn.ConvTranspose2d):
        weight[(channels, channels, *window)] = 1
    elif conv.groups > 1:
        weight[(channels, 0, *window)] = 1
    elif outputs >= inputs:  # before a pixel shuffle, neighbours become one channel
        weight[(channels, channels * inputs // outputs, *window)] = 1 / stride**2
    else:  # the nodes of a cell stand one behind the other
        nodes = torch.arange(inputs)
        weight[(nodes % outputs, nodes, *window)] = outputs / inputs
    return weight
