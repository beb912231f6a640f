"""Candidate operations of the differentiable searches, and the mixed operation over them."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.registry import OPS

__all__ = ["Conv", "DilConv", "MixedOp", "SepConv"]


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
        if self.dilation == (1, 1) or x.device.type != "cpu" or not _is_bf16(x):
            return super().forward(x)
        # torch 2.13 on the CPU returns non-finite weight gradients for dilated depthwise
        # convolutions in bf16 and channels_last; the kernel with explicit zeros is right.
        return F.conv2d(
            x, _undilate(self.weight, *self.dilation), None, 1, self.padding, 1, x.size(1)
        )


class SepConv(nn.Module):
    """Twice ReLU, depthwise and pointwise convolution, without bias or normalisation.

    Args:
        channels: Input and output channels.
        kernel_size: Odd size of both depthwise kernels.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise1 = Depthwise(channels, kernel_size)
        self.pointwise1 = Conv(channels, 1)
        self.depthwise2 = Depthwise(channels, kernel_size)
        self.pointwise = Conv(channels, 1)

    def spatial(self, activated: Tensor) -> Tensor:
        """All but the first ReLU and the last pointwise convolution."""
        return self.depthwise2(F.relu(self.pointwise1(self.depthwise1(activated))))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return self.pointwise(self.spatial(F.relu(x)))


class DilConv(nn.Module):
    """ReLU, depthwise convolution with dilation 2, pointwise convolution, without bias.

    Args:
        channels: Input and output channels.
        kernel_size: Odd size of the depthwise kernel.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, kernel_size, dilation=2)
        self.pointwise = Conv(channels, 1)

    def spatial(self, activated: Tensor) -> Tensor:
        """All but the ReLU and the pointwise convolution."""
        return self.depthwise(activated)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return self.pointwise(self.spatial(F.relu(x)))


class MixedOp(nn.Module):
    """Weighted sum ``sum_o w_o * op_o(x)`` of dense and separable candidates.

    The sum is evaluated by algebra, not term by term: the kernels of the dense convolutions are
    padded to the largest size and added, so that one convolution runs; the separable candidates
    share their first ReLU, and their last pointwise convolutions run as one over the concatenated
    branches.

    Args:
        names: Candidates by their names in ``OPS``; every one is a :class:`Conv`, a
            :class:`SepConv` or a :class:`DilConv`.
        channels: Input and output channels.
    """

    def __init__(self, names: Sequence[str], channels: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(OPS.get(name)(channels) for name in names)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mixes the candidates.

        Args:
            x: Features ``(N, C, H, W)``.
            weights: One weight per candidate ``(O,)``.

        Returns:
            The weighted sum ``(N, C, H, W)``.
        """
        dense = [(w, op) for w, op in zip(weights, self.ops, strict=True) if isinstance(op, Conv)]
        separable = [
            (w, op) for w, op in zip(weights, self.ops, strict=True) if not isinstance(op, Conv)
        ]
        size = max(op.kernel_size[0] for _, op in dense)
        kernel = sum(w * _pad(op.weight, size) for w, op in dense)
        activated = F.relu(x)
        branches = torch.cat([op.spatial(activated) for _, op in separable], dim=1)
        pointwise = torch.cat([w * op.pointwise.weight for w, op in separable], dim=1)
        return F.conv2d(x, kernel, padding=size // 2) + F.conv2d(branches, pointwise)


def _pad(kernel: Tensor, size: int) -> Tensor:
    margin = (size - kernel.size(-1)) // 2
    return F.pad(kernel, (margin,) * 4)


def _undilate(kernel: Tensor, dilation_h: int, dilation_w: int) -> Tensor:
    """The same kernel at dilation 1, with zeros between its taps."""
    out, per_group, height, width = kernel.shape
    size = (dilation_h * (height - 1) + 1, dilation_w * (width - 1) + 1)
    stuffed = kernel.new_zeros(out, per_group, *size)
    stuffed[..., ::dilation_h, ::dilation_w] = kernel
    return stuffed


def _is_bf16(x: Tensor) -> bool:
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type) == torch.bfloat16
    return x.dtype == torch.bfloat16


def _register(name: str, cls: Callable[[int, int], nn.Module], kernel_size: int) -> None:
    def build(channels: int) -> nn.Module:
        return cls(channels, kernel_size)

    OPS.register_module(name=name, module=build)


for _size in (1, 3, 5, 7):
    _register(f"conv_{_size}x{_size}", Conv, _size)
for _size in (3, 5, 7):
    _register(f"sep_conv_{_size}x{_size}", SepConv, _size)
for _size in (3, 5):
    _register(f"dil_conv_{_size}x{_size}", DilConv, _size)
