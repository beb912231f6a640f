"""Operations that several methods share: convolutions that keep size and channels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conv", "Depthwise", "join_phases", "split_phases"]


class Conv(nn.Conv2d):
    """Dense convolution that keeps size and channels, without bias or activation.

    Args:
        channels: Input and output channels.
        kernel_size: Odd kernel size.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, bias=False)


class Depthwise(nn.Conv2d):
    """Depthwise convolution that keeps size and channels, without bias.

    Args:
        channels: Input and output channels.
        kernel_size: Odd kernel size.
        dilation: Dilation of the kernel.
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int = 1) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(
            channels,
            channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolves ``(N, C, H, W)``."""
        if self.dilation == (1, 1) or x.is_cuda or not torch.is_grad_enabled():
            return super().forward(x)
        # On the CPU, the backward pass of dilated depthwise convolutions is several times slower
        # than this, and in bf16 and channels_last its weight gradients are not finite (torch 2.13).
        return self.forward_phases(split_phases(x, self.dilation[0]), x)

    def forward_phases(self, phases: Tensor, x: Tensor) -> Tensor:
        """The dilated convolution of ``x`` as an undilated one of the phases of its pixel grid."""
        phases = F.conv2d(phases, self.weight, padding="same", groups=self.groups)
        return join_phases(phases, self.dilation[0], x)


def split_phases(x: Tensor, step: int) -> Tensor:
    """Every ``step``-th pixel of ``(N, C, H, W)``, all ``step ** 2`` phases in the batch."""
    x = F.pad(x, (0, -x.size(3) % step, 0, -x.size(2) % step))
    grid = x.permute(0, 2, 3, 1).unflatten(2, (-1, step)).unflatten(1, (-1, step))
    return grid.permute(2, 4, 0, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def join_phases(phases: Tensor, step: int, like: Tensor) -> Tensor:
    """The inverse of :func:`split_phases`, in the size of ``like``."""
    grid = phases.permute(0, 2, 3, 1).unflatten(0, (step, step, -1))
    x = grid.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
    return x[..., : like.size(2), : like.size(3)]
