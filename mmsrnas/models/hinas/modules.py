"""Parts that the supernet and the networks of HiNAS are made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.models.ops import Depthwise

from .decoding import num_edges
from .ops import build_activation, build_op, preactivate

__all__ = [
    "ASPP",
    "STEM_CHANNELS",
    "HiNASBase",
    "HiNASCell",
    "MixedCell",
    "Router",
    "conv_norm",
    "sep_block",
]

STEM_CHANNELS = 64
"""Channels of the features that the first convolution makes of the image."""

SKIP = HINAS_OPS.index("skip_connect")


class HiNASBase(BaseModule):
    """Task, scale and image residual, which the supernet and the networks share.

    Args:
        genotype: The network, or any one of the search space.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        min_size: Smallest height and width of an image, in pixels.
    """

    min_size = 1

    def __init__(self, genotype: HiNASGenotype, init_cfg: dict | None) -> None:
        super().__init__(init_cfg)
        self.task = genotype.task
        self.upscale_factor = genotype.upscale_factor
        self.in_channels = genotype.in_channels
        self.official = genotype.variant == "official"

    def reconstruction(self, channels: int) -> nn.Sequential:
        """The last convolution and the rearrangement to the scale."""
        scale = self.upscale_factor
        conv = nn.Conv2d(channels, self.in_channels * scale**2, 3, padding=1)
        return nn.Sequential(conv, *([nn.PixelShuffle(scale)] if scale > 1 else []))

    def add_residual(self, x: Tensor, residual: Tensor, mode: str = "bicubic") -> Tensor:
        """Joins the image ``(N, C, H, W)`` with the residual of the output's size.

        A denoiser subtracts the residual from the image; super-resolution adds it to the enlarged
        image.
        """
        if self.task == "denoise":
            return x - residual
        return residual + F.interpolate(
            x, scale_factor=self.upscale_factor, mode=mode, align_corners=False
        )

    def check_channels(self, x: Tensor) -> None:
        """Refuses images with another number of channels than the network was built for.

        Raises:
            ValueError: The images are gray and the network is not, or the other way round.
        """
        if x.size(1) != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} has in_channels={self.in_channels} but the images have "
                f"{x.size(1)} channels. Set in_channels=1 with color_type='grayscale', or "
                "in_channels=3 with color_type='color', in the config of the model and the data."
            )


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    affine: bool = True,
    activation: str | None = None,
) -> nn.Sequential:
    """Convolution of stride 1 that keeps the size, batch normalisation, and an activation."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False)
    layers = [conv, nn.BatchNorm2d(out_channels, affine=affine)]
    return nn.Sequential(*layers, *([build_activation(activation, True)] if activation else []))


def sep_block(
    in_channels: int, out_channels: int, activation: str, dilation: int = 1
) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, each normalised and activated."""
    return nn.Sequential(
        Depthwise(in_channels, 3, dilation),
        nn.BatchNorm2d(in_channels),
        build_activation(activation, inplace=True),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        build_activation(activation, inplace=True),
    )


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling without the global branch.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of every branch and of the output.
        rates: Dilations of the separable branches.
        activation: Name of the activation.
        affine: Whether the normalisations outside the separable branches have weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        rates: Sequence[int],
        activation: str,
        affine: bool = True,
    ) -> None:
        super().__init__()
        self.atrous = nn.ModuleList(
            sep_block(in_channels, out_channels, activation, rate) for rate in rates
        )
        self.conv = conv_norm(in_channels, out_channels, 1, affine, activation)
        branches = (len(rates) + 1) * out_channels
        self.fuse = conv_norm(branches, out_channels, 1, affine, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        return self.fuse(torch.cat([*(branch(x) for branch in self.atrous), self.conv(x)], dim=1))


class HiNASCell(nn.Module):
    """A derived cell: every node is the sum of two operations.

    Args:
        edges: Two ``(operation, input)`` pairs per node.
        channels: Channels of a node.
        activation: Name of the activation.
    """

    def __init__(self, edges: Sequence[tuple[str, int]], channels: int, activation: str) -> None:
        super().__init__()
        self.inputs = [source for _, source in edges]
        self.ops = nn.ModuleList(build_op(op, channels, activation, affine=True) for op, _ in edges)

    def forward(self, previous: Tensor, before_previous: Tensor) -> Tensor:
        """Runs the cell.

        Args:
            previous: Projected output of the previous cell ``(N, C, H, W)``.
            before_previous: Projected output of the cell before that one.

        Returns:
            The nodes, concatenated ``(N, nodes * C, H, W)``.
        """
        states: list[Any] = [before_previous, previous]
        for edge in range(0, len(self.ops), 2):
            states.append(sum(self.ops[e](states[self.inputs[e]]) for e in (edge, edge + 1)))
        return torch.cat(states[2:], dim=1)


class Router(nn.ModuleDict):
    """Projects the features of one level to the widths of the levels that it may go to.

    Args:
        in_channels: Channels of the features.
        widths: Target widths by level.
    """

    def __init__(self, in_channels: int, widths: dict[int, int]) -> None:
        super().__init__(
            {str(k): conv_norm(in_channels, width, 1, affine=False) for k, width in widths.items()}
        )

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The projections of ``(N, in_channels, H, W)`` by target level."""
        return {int(level): project(x) for level, project in self.items()}


class MixedCell(nn.Module):
    """A cell with all operations on all edges, weighted by alpha.

    The weighted sum ``sum_o w_o * op_o(x_j)`` over all edges is evaluated by algebra: all that
    leaves a state runs together, with one activation, one convolution per kind of operation, and
    the weights as the affine part of one batch normalisation; ``none`` is not computed.

    Args:
        channels: Channels of a node.
        num_nodes: Number of nodes.
        activation: Name of the activation.
        reference: Evaluate every term on its own instead, as the formula is written.
        with_cp: Keep only the inputs for the backward pass, and compute the cell again there.
    """

    def __init__(
        self,
        channels: int,
        num_nodes: int,
        activation: str,
        reference: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.num_nodes = num_nodes
        self.activation = activation
        self.reference = reference
        self.with_cp = with_cp
        self.edges: Any = nn.ModuleList(
            nn.ModuleList(
                build_op(op, channels, activation, affine=False) for op in HINAS_OPS[:SKIP]
            )
            for _ in range(num_edges(num_nodes))
        )

    def forward(self, previous: Tensor, before_previous: Tensor, weights: Tensor) -> Tensor:
        """Runs the cell.

        Args:
            previous: Features of the previous layer ``(N, C, H, W)``.
            before_previous: Features of the layer before that one.
            weights: Weight of each operation on each edge ``(E, O)``.

        Returns:
            The nodes, concatenated ``(N, nodes * C, H, W)``.
        """
        run = self._reference if self.reference else self._fused
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(
                run,
                previous,
                before_previous,
                weights,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=lambda: (nullcontext(), self._unchanged_buffers()),
            )
        return run(previous, before_previous, weights)

    def _reference(self, previous: Tensor, before_previous: Tensor, weights: Tensor) -> Tensor:
        states: list[Any] = [before_previous, previous]
        edges = iter(zip(self.edges, weights, strict=True))
        for _ in range(self.num_nodes):
            node = 0
            for state, (ops, weight) in zip(list(states), edges, strict=False):
                results = [*(op(state) for op in ops), state, state * 0]
                node = node + sum(w * y for w, y in zip(weight, results, strict=True))
            states.append(node)
        return torch.cat(states[2:], dim=1)

    def _fused(self, previous: Tensor, before_previous: Tensor, weights: Tensor) -> Tensor:
        states: list[Any] = [before_previous, previous] + [None] * self.num_nodes
        for source in range(self.num_nodes + 1):
            first = max(source - 1, 0)
            edges = [num_edges(node) + source for node in range(first, self.num_nodes)]
            outputs = self._fan_out(states[source], edges, weights[edges])
            for node, (edge, y) in enumerate(zip(edges, outputs, strict=True), first):
                y = torch.addcmul(y, weights[edge, SKIP], states[source])
                states[node + 2] = y if states[node + 2] is None else states[node + 2] + y
        return torch.cat(states[2:], dim=1)

    def _fan_out(self, x: Tensor, edges: list[int], weights: Tensor) -> tuple[Tensor, ...]:
        """What a state ``(N, C, H, W)`` sends along each of its edges, but for the identity."""
        activated = preactivate(x, self.activation)
        kinds = zip(*(self.edges[edge] for edge in edges), strict=True)
        results = (
            ops[0].joint(ops, activated, weight)
            for ops, weight in zip(kinds, weights[:, :SKIP].T, strict=True)
        )
        return reduce(Tensor.add_, results).chunk(len(edges), dim=1)

    @contextmanager
    def _unchanged_buffers(self) -> Iterator[None]:
        """Keeps the second computation from moving the running statistics again."""
        buffers = list(self.buffers())
        saved = [buffer.clone() for buffer in buffers]
        try:
            yield
        finally:
            torch._foreach_copy_(buffers, saved)
