"""Operations of an elastic block: one convolution each, and what follows it."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["KERNEL_SIZES", "NEGATIVE_SLOPE", "activate", "finish", "starts_as_identity"]

KERNEL_SIZES = {"conv_3x3": 3, "conv_5x5": 5, "gate_3x3": 3}
"""Kernel size of the convolution of each operation."""
NEGATIVE_SLOPE = 0.1


def starts_as_identity(op: str) -> bool:
    """Whether the convolution of an operation begins as the identity: a gate adds its input."""
    return op != "gate_3x3"


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

    ``gate_3x3`` is the parameter-free attention of SPAN (arXiv 2311.12770) on the sum of input and
    convolution, ``sum * (sigmoid(y) - 0.5)``, with the sum added once more: a chain of masks around
    zero fades, one of masks around one does not. Where the input has another number of channels,
    the sum is the convolution alone.

    Args:
        op: Name of the operation.
        x: Input of the convolution ``(N, C, H, W)``.
        y: Output of the convolution ``(N, C', H, W)``.
        activation: Name of the activation of the network.
        slopes: Its negative slopes, for ``'prelu'``.

    Returns:
        Features ``(N, C', H, W)``.
    """
    if op != "gate_3x3":
        return activate(activation, y, slopes)
    features = y + x if x.shape[1] == y.shape[1] else y
    return features * (torch.sigmoid(y) + 0.5)
