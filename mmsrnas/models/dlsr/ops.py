"""Candidate operations of DLSR, and the mixed operation over them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmsrnas.models.ops import Conv, Depthwise, split_phases

__all__ = ["OPS", "DilConv", "MixedConv", "MixedOp", "SepConv", "build_op"]


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

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        x = self.pointwise1(self.depthwise1(F.relu(x)))
        return self.pointwise(self.depthwise2(F.relu(x)))

    def spatial(self, activated: Tensor) -> Tensor:
        """All but the first ReLU and the last pointwise convolution, for a mixture."""
        x = _pointwise(self.depthwise1(activated), self.pointwise1.weight)
        return self.depthwise2(F.relu(x))


class DilConv(nn.Module):
    """ReLU, depthwise convolution with dilation 2, pointwise convolution, without bias.

    Args:
        channels: Input and output channels.
        kernel_size: Odd size of the depthwise kernel.
    """

    DILATION = 2

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, kernel_size, dilation=self.DILATION)
        self.pointwise = Conv(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` to the same shape."""
        return self.pointwise(self.depthwise(F.relu(x)))


OPS: dict[str, Callable[[int], nn.Module]] = {
    "conv_1x1": partial(Conv, kernel_size=1),
    "conv_3x3": partial(Conv, kernel_size=3),
    "conv_5x5": partial(Conv, kernel_size=5),
    "conv_7x7": partial(Conv, kernel_size=7),
    "sep_conv_3x3": partial(SepConv, kernel_size=3),
    "sep_conv_5x5": partial(SepConv, kernel_size=5),
    "sep_conv_7x7": partial(SepConv, kernel_size=7),
    "dil_conv_3x3": partial(DilConv, kernel_size=3),
    "dil_conv_5x5": partial(DilConv, kernel_size=5),
}
"""Builders of the candidates from the number of channels, in the order of the columns of alpha."""


def build_op(name: str, channels: int) -> nn.Module:
    """Builds a candidate operation.

    Args:
        name: Name of the operation, a key of :data:`OPS`.
        channels: Input and output channels.

    Returns:
        The module, which maps ``(N, C, H, W)`` to the same shape.

    Raises:
        ValueError: Unknown name.
    """
    if name not in OPS:
        raise ValueError(f"operation of DLSR: expected one of {', '.join(OPS)}, got {name!r}.")
    return OPS[name](channels)


class MixedOp(nn.Module):
    """Weighted sum ``sum_o w_o * op_o(x)`` of dense and separable candidates.

    The sum is evaluated by algebra, not term by term: one convolution runs for all dense
    candidates (:class:`MixedConv`), the separable ones share their first ReLU, and their last
    pointwise convolutions run as one over the concatenated branches.

    Args:
        names: Names of the candidates, at least one of them a :class:`Conv` and one not.
        channels: Input and output channels.

    Raises:
        ValueError: An unknown name, or candidates of one kind only.
    """

    def __init__(self, names: Sequence[str], channels: int) -> None:
        super().__init__()
        self.ops: Any = nn.ModuleList(build_op(name, channels) for name in names)
        # MixedConv takes the kernels in the order of their sizes.
        self.dense = sorted(self._indices(Conv), key=lambda i: self.ops[i].kernel_size)
        self.separable = self._indices(SepConv)
        self.dilated = self._indices(DilConv)
        if not self.dense or len(self.dense) == len(self.ops):
            raise ValueError(
                "MixedOp: expected at least one dense and one separable candidate, "
                f"got {', '.join(names)}."
            )

    def _indices(self, kind: type[nn.Module]) -> list[int]:
        return [index for index, op in enumerate(self.ops) if isinstance(op, kind)]

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mixes the candidates.

        Args:
            x: Features ``(N, C, H, W)``.
            weights: One positive weight per candidate ``(O,)``.

        Returns:
            The weighted sum ``(N, C, H, W)``.
        """
        kernels = [self.ops[i].weight for i in self.dense]
        mixed = MixedConv.apply(x, weights[self.dense], *kernels)
        activated = F.relu(x)
        phases = split_phases(activated, DilConv.DILATION)
        branches = [self.ops[i].spatial(activated) for i in self.separable]
        branches += [self.ops[i].depthwise.forward_phases(phases, x) for i in self.dilated]
        pointwise = [
            weights[i] * self.ops[i].pointwise.weight for i in self.separable + self.dilated
        ]
        return mixed + _pointwise(torch.cat(branches, dim=1), torch.cat(pointwise, dim=1))


class MixedConv(torch.autograd.Function):
    """``sum_o w_o * conv(x, kernel_o)`` as one convolution with the sum of the centred kernels.

    The gradient of the mixing weights comes for free with that of the kernels. Where the kernels
    need none, as in the architecture step, it is cheaper to convolve with all kernels but the
    largest: ``<g, conv_o>`` is the gradient of ``w_o``, and ``<g, output>`` is their weighted sum.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, *kernels: Tensor) -> Tensor:
        """Convolves ``x`` (N, C, H, W); ``weights`` (O,), kernels of rising odd sizes."""
        output = F.conv2d(x, _merge(weights, kernels), padding="same")
        keep = ctx.needs_input_grad[1] and not any(ctx.needs_input_grad[2:])
        # Under autocast the convolution ran in another type than its inputs have.
        saved = [t.to(output.dtype) for t in (x, *kernels)]
        ctx.save_for_backward(weights, output if keep else None, *saved)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the input, the mixing weights and the kernels."""
        weights, output, x, *kernels = ctx.saved_tensors
        merged = _merge(weights, kernels)
        needs_x, needs_weights, *needs_kernel = ctx.needs_input_grad
        padding = (merged.size(-1) // 2,) * 2
        mask = (needs_x, any(needs_kernel), False)
        grad_x, grad_merged, _ = torch.ops.aten.convolution_backward(
            grad, x, merged, None, (1, 1), padding, (1, 1), False, (0, 0), 1, mask
        )
        if not any(needs_kernel):
            grad_weights = (
                _weights_grad(grad, x, output, weights, kernels) if needs_weights else None
            )
            return grad_x, grad_weights, *(None for _ in kernels)
        parts = [_centre(grad_merged, kernel) for kernel in kernels]
        grad_weights = torch.stack([(p * k).sum() for p, k in zip(parts, kernels, strict=True)])
        return grad_x, grad_weights, *(w * p for w, p in zip(weights, parts, strict=True))


def _merge(weights: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """Weighted sum of centred kernels, in the size of the last."""
    merged = torch.zeros_like(kernels[-1])
    for weight, kernel in zip(weights, kernels, strict=True):
        _centre(merged, kernel).add_(weight * kernel)
    return merged


def _weights_grad(
    grad: Tensor, x: Tensor, output: Tensor, weights: Tensor, kernels: Sequence[Tensor]
) -> Tensor:
    """Gradient of the mixing weights from the outputs of all kernels but the largest.

    The division by the last weight does no harm: softmax multiplies its gradient by it again.
    """
    products = [(grad * F.conv2d(x, k, padding="same")).sum() for k in kernels[:-1]]
    others = torch.stack(products).to(weights.dtype)
    last = (grad * output).sum().to(weights.dtype) - weights[:-1] @ others
    return torch.cat([others, (last / weights[-1].clamp_min(1e-30))[None]])


def _centre(large: Tensor, small: Tensor) -> Tensor:
    """The centre of a kernel, in the size of a smaller one."""
    margin = (large.size(-1) - small.size(-1)) // 2
    return large[..., margin : margin + small.size(-1), margin : margin + small.size(-1)]


def _pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """A 1x1 convolution of ``(N, C, H, W)`` as a matrix product.

    Unlike a convolution, a matrix product does not keep its input where the weights are frozen:
    less memory in the architecture step.
    """
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)
