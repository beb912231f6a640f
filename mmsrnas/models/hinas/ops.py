"""Candidate operations of HiNAS, alone and evaluated together."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmsrnas.models.ops import Conv, Depthwise

__all__ = [
    "OPS",
    "NormConv",
    "SepConv",
    "build_activation",
    "build_op",
    "preactivate",
]

LEAKY_SLOPE = 0.2


def build_activation(name: str, inplace: bool = False) -> nn.Module:
    """The activation ``'leaky_relu'`` (slope 0.2), ``'relu'`` or ``'prelu'`` (one slope).

    Behind a normalisation it may work in place, where it can: that one keeps its input only.
    """
    if name == "leaky_relu":
        return nn.LeakyReLU(LEAKY_SLOPE, inplace)
    return nn.PReLU() if name == "prelu" else nn.ReLU(inplace)


def joint_batch_norm(
    x: Tensor, norms: Sequence[nn.BatchNorm2d], scales: Tensor | None = None
) -> Tensor:
    """Applies one batch normalisation without affine part to each group of channels, in one call.

    Args:
        x: Features ``(N, G * C, H, W)``.
        norms: The normalisation of each of the G groups.
        scales: Factor of each group ``(G,)``. As the affine part of the joint normalisation it
            costs no feature map, neither forward nor for its own gradient.

    Returns:
        Features ``(N, G * C, H, W)``.
    """
    first: Any = norms[0]
    channels = first.num_features
    means: list[Any] = [norm.running_mean for norm in norms]
    variances: list[Any] = [norm.running_var for norm in norms]
    mean, var = torch.cat(means), torch.cat(variances)
    weight = None if scales is None else scales.repeat_interleave(channels)
    out = F.batch_norm(x, mean, var, weight, None, first.training, first.momentum, first.eps)
    if first.training:
        torch._foreach_copy_(means, mean.split(channels))
        torch._foreach_copy_(variances, var.split(channels))
        torch._foreach_add_([norm.get_buffer("num_batches_tracked") for norm in norms], 1)
    return out


def preactivate(x: Tensor, activation: str) -> Tensor:
    """What all candidates convolve, computed once for all of them.

    Args:
        x: Features ``(N, C, H, W)``.
        activation: Name of the activation.

    Returns:
        The activated features; for PReLU, whose slopes differ between candidates, the positive and
        the negative part ``(N, 2 * C, H, W)``.
    """
    if activation == "prelu":
        return torch.cat([x.clamp(min=0), x.clamp(max=0)], dim=1)
    return F.leaky_relu(x, LEAKY_SLOPE) if activation == "leaky_relu" else F.relu(x)


def _input_kernel(kernel: Tensor, activation: nn.Module) -> Tensor:
    """The kernel for what :func:`preactivate` returns: PReLU's slope belongs to the kernel."""
    if isinstance(activation, nn.PReLU):
        return torch.cat([kernel, activation.weight * kernel], dim=1)
    return kernel


def _repeat_activated(activated: Tensor, activations: Sequence[Any]) -> Tensor:
    """One copy for each activation of what :func:`preactivate` returns."""
    if isinstance(activations[0], nn.PReLU):
        positive, negative = activated.chunk(2, dim=1)
        return torch.cat([positive + act.weight * negative for act in activations], dim=1)
    return activated.repeat(1, len(activations), 1, 1)


def _activate_groups(x: Tensor, activations: Sequence[Any]) -> Tensor:
    """Activates each group of channels, in place where the gradient allows it."""
    if isinstance(activations[0], nn.PReLU):
        slopes = torch.cat([act.weight for act in activations])
        return F.prelu(x, slopes.repeat_interleave(x.size(1) // len(slopes)))
    if isinstance(activations[0], nn.LeakyReLU):
        return F.leaky_relu(x, LEAKY_SLOPE, inplace=True)
    return F.relu(x, inplace=True)


class NormConv(nn.Module):
    """Activation, dense convolution, batch normalisation.

    Args:
        channels: Input and output channels.
        activation: Name of the activation.
        affine: Whether the normalisation has weights.
        kernel_size: Odd kernel size.
        dilation: Dilation of the kernel.
    """

    def __init__(
        self, channels: int, activation: str, affine: bool, kernel_size: int, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.act = build_activation(activation)
        self.conv = nn.Conv2d(
            channels, channels, kernel_size, padding=padding, dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return self.norm(self.conv(self.act(x)))

    @staticmethod
    def joint(ops: Sequence["NormConv"], activated: Tensor, weights: Tensor) -> Tensor:
        """Evaluates G such operations on one input with one convolution.

        Args:
            ops: Operations of equal size, without affine part.
            activated: Their common input after :func:`preactivate`.
            weights: Factor of each result ``(G,)``.

        Returns:
            ``weights[g] * ops[g](x)`` of all g, concatenated ``(N, G * C, H, W)``.
        """
        kernel = torch.cat([_input_kernel(op.conv.weight, op.act) for op in ops])
        conv = ops[0].conv
        out = F.conv2d(activated, kernel, padding=conv.padding, dilation=conv.dilation)
        return joint_batch_norm(out, [op.norm for op in ops], weights)


class SepConv(nn.Module):
    """Twice activation, depthwise and pointwise convolution, batch normalisation.

    Args:
        channels: Input and output channels.
        activation: Name of the activation.
        affine: Whether the normalisations have weights.
        kernel_size: Odd size of the depthwise kernels.
    """

    def __init__(self, channels: int, activation: str, affine: bool, kernel_size: int) -> None:
        super().__init__()
        self.act1 = build_activation(activation)
        self.depthwise1 = Depthwise(channels, kernel_size)
        self.pointwise1 = Conv(channels, 1)
        self.norm1 = nn.BatchNorm2d(channels, affine=affine)
        self.act2 = build_activation(activation)
        self.depthwise2 = Depthwise(channels, kernel_size)
        self.pointwise2 = Conv(channels, 1)
        self.norm2 = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = self.norm1(self.pointwise1(self.depthwise1(self.act1(x))))
        return self.norm2(self.pointwise2(self.depthwise2(self.act2(x))))

    @staticmethod
    def joint(ops: Sequence["SepConv"], activated: Tensor, weights: Tensor) -> Tensor:
        """Evaluates G such operations on one input, as :meth:`NormConv.joint`."""
        x = checkpoint(
            _first_stage,
            ops,
            activated,
            torch.cat([op.depthwise1.weight for op in ops]),
            _block_diagonal([op.pointwise1.weight for op in ops]),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        x = joint_batch_norm(x, [op.norm1 for op in ops])
        x = _activate_groups(x, [op.act2 for op in ops])
        depthwise = torch.cat([op.depthwise2.weight for op in ops])
        x = F.conv2d(x, depthwise, padding=ops[0].depthwise2.padding, groups=x.size(1))
        x = F.conv2d(x, _block_diagonal([op.pointwise2.weight for op in ops]))
        return joint_batch_norm(x, [op.norm2 for op in ops], weights)


def _first_stage(
    ops: Sequence[SepConv], activated: Tensor, depthwise: Tensor, pointwise: Tensor
) -> Tensor:
    """The first convolutions, with a copy of the input for each operation.

    Copies and depthwise results are not kept for the backward pass: they are computed again in a
    fraction of the time that the gradients take.
    """
    x = _repeat_activated(activated, [op.act1 for op in ops])
    x = F.conv2d(x, depthwise, padding=ops[0].depthwise1.padding, groups=x.size(1))
    return F.conv2d(x, pointwise)


def _block_diagonal(kernels: Sequence[Tensor]) -> Tensor:
    """One 1x1 kernel for all groups; with so few channels it is faster than a grouped one."""
    return torch.block_diag(*(kernel.flatten(1) for kernel in kernels))[..., None, None]


OPS: dict[str, Callable[[int, str, bool], nn.Module]] = {
    "conv_3x3": partial(NormConv, kernel_size=3),
    "sep_conv_3x3": partial(SepConv, kernel_size=3),
    "sep_conv_5x5": partial(SepConv, kernel_size=5),
    "dil_conv_3x3": partial(NormConv, kernel_size=3, dilation=2),
    "dil_conv_5x5": partial(NormConv, kernel_size=5, dilation=2),
    "skip_connect": nn.Identity,
}
"""Builders of the operations, called with channels, name of the activation, and ``affine``."""


def build_op(name: str, channels: int, activation: str, affine: bool) -> nn.Module:
    """Builds an operation.

    Args:
        name: Name of the operation in :data:`OPS`; ``none`` is never built.
        channels: Input and output channels.
        activation: Name of the activation in front of the convolutions.
        affine: Whether the normalisations have weights.

    Returns:
        A module that maps ``(N, C, H, W)`` to the same shape.
    """
    return OPS[name](channels, activation, affine)
