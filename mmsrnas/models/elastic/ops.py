"""Operations of an elastic block: one convolution each, and what follows it."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["KERNEL_SIZES", "NEGATIVE_SLOPE", "activate", "finish"]

KERNEL_SIZES = {"conv_3x3": 3, "conv_5x5": 5, "gate_3x3": 3}
"""Kernel size of the convolution of each operation."""
NEGATIVE_SLOPE = 0.1


def activate(name: str, x: Tensor, slopes: Tensor | None) -> Tensor:
    """Runs an activation.

    Args:
        name: Name of the activation.
        x: Features ``(N, C, H, W)``.
        slopes: Negative slopes of at least C channels, for ``'prelu'``.
    """
    if name == "prelu":
        assert slopes is not None
        return F.prelu(x, slopes[: x.shape[1]])
    if name == "leaky_relu":
        return F.leaky_relu(x, NEGATIVE_SLOPE)
    return {"silu": F.silu, "gelu": F.gelu}[name](x)


def finish(op: str, x: Tensor, y: Tensor, activation: str, slopes: Tensor | None) -> Tensor:
    """What an operation does behind its convolution.

    Both kinds add the input of the block, cut or filled with zeros to the width of the output:
    without that path the features of a long chain fade or grow, and networks of different depth
    could not share a head.

    * convolutions: ``x + activation(y)``;
    * ``gate_3x3``: ``(x + y) * (sigmoid(y) + 0.5)``, the parameter-free attention of SPAN (arXiv
      2311.12770), ``(x + y) * (sigmoid(y) - 0.5)``, with what it weighs added once more.

    Args:
        op: Name of the operation.
        x: Input of the convolution ``(N, C, H, W)``.
        y: Output of the convolution ``(N, C', H, W)``.
        activation: Name of the activation of the network.
        slopes: Its negative slopes, for ``'prelu'``.

    Returns:
        Features ``(N, C', H, W)``.
    """
    missing = y.shape[1] - x.shape[1]
    if missing:
        x = F.pad(x, (0, 0, 0, 0, 0, missing)) if missing > 0 else x[:, :missing]
    if op == "gate_3x3":
        return (x + y) * (torch.sigmoid(y) + 0.5)
    return x + activate(activation, y, slopes)
