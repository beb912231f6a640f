"""The elastic supernet: the weights of all depths, widths and operations."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import Cost
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models.paths import RankedPaths
from mmsrnas.registry import MODELS

from .cost import ChainCost
from .decoding import ElasticSpace
from .modules import LinearAnchor, RepConv, run_chain, start_silent
from .network import ElasticNet
from .ops import KERNEL_SIZES, NEGATIVE_SLOPE

__all__ = ["ElasticSupernet"]


@MODELS.register_module()
class ElasticSupernet(RankedPaths):
    """Weights that all networks of the elastic space share.

    A narrower network has the first channels of every convolution, a shallower one the first
    blocks; the operations of a block share one convolution for each kernel size, re-parameterised
    by linear branches. A call names the architecture to run. There are no architecture parameters:
    the networks train together (:class:`~mmsrnas.models.editors.SandwichEditor`), are judged with
    their shared weights, and taken out with them by :meth:`extract`.

    Args:
        num_cells: Numbers of blocks to choose from, rising.
        mid_channels: Widths to choose from, rising.
        ops: Operations to choose from. Several of them share badly: in the chains that are drawn,
            every mixture of operations makes other features of the same weights.
        activations: Activations to choose from.
        cells_per_stage: Successive blocks of the same width.
        anchor: Interpolation that the output is added to, ``'linear'``, ``'nearest'`` or
            ``'bicubic'``.
        upscale_factor: Ratio of HR to LR size, 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: A choice is empty, repeats itself, falls, or is unknown.
    """

    min_size = 1

    def __init__(
        self,
        num_cells: Sequence[int] = (4, 6, 8, 10, 12, 14, 16),
        mid_channels: Sequence[int] = (16, 24, 32, 48),
        ops: Sequence[str] = ("conv_3x3",),
        activations: Sequence[str] = ("leaky_relu",),
        cells_per_stage: int = 4,
        anchor: str = "linear",
        upscale_factor: int = 2,
        in_channels: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        space = ElasticSpace(
            tuple(num_cells),
            tuple(mid_channels),
            tuple(ops),
            tuple(activations),
            cells_per_stage,
            anchor,
            upscale_factor,
            in_channels,
        )
        super().__init__(space, init_cfg)
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        width, depth = self.space.mid_channels[-1], self.space.num_cells[-1]
        sizes = sorted({KERNEL_SIZES[op] for op in self.space.ops})
        self.stem = RepConv(in_channels, width)
        self.cells = nn.ModuleList(
            nn.ModuleDict({str(size): RepConv(width, width, size) for size in sizes})
            for _ in range(depth)
        )
        self.head = start_silent(RepConv(width, in_channels * upscale_factor**2))
        self.anchor = LinearAnchor(in_channels, upscale_factor) if anchor == "linear" else None
        self.slopes: Any = None
        if "prelu" in self.space.activations:
            self.slopes = nn.Parameter(torch.full((1 + depth, width), NEGATIVE_SLOPE))

    def forward(self, x: Tensor, architecture: ElasticGenotype | None = None) -> Tensor:
        """Super-resolves or denoises with one architecture.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].
            architecture: The architecture to run; :meth:`genotype` where it is None.

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.
        """
        genotype = architecture or self.genotype()
        widths = (genotype.widths[0], *genotype.widths, self.head.out_channels)
        convs = [
            partial(conv, out_channels=width)
            for conv, width in zip(self.convolutions(genotype), widths, strict=True)
        ]
        slopes = [None] * len(convs) if self.slopes is None else self.slopes
        return run_chain(genotype, x, convs, slopes, self.anchor)

    def convolutions(self, genotype: ElasticGenotype) -> list[RepConv]:
        """Shared stem, convolutions of the blocks and head of a genotype."""
        cells: Any = self.cells
        sizes = [str(KERNEL_SIZES[op]) for op in genotype.ops]
        return [self.stem, *(cells[i][size] for i, size in enumerate(sizes)), self.head]

    def genotype_cost(self, cost: Cost) -> ChainCost:
        """The cost of genotypes from that of a few small networks."""
        return ChainCost(cost)

    @torch.no_grad()
    def extract(self, genotype: ElasticGenotype) -> ElasticNet:
        """The network of a genotype with the shared weights, as plain convolutions."""
        network = ElasticNet(genotype).to(self.stem.weight)
        for conv, target in zip(self.convolutions(genotype), network.convolutions(), strict=True):
            conv.fold_into(target)
        if network.anchor is not None and self.anchor is not None:
            network.anchor.load_state_dict(self.anchor.state_dict())
        for index, slopes in network.slopes.items():
            slopes.copy_(self.slopes[int(index), : len(slopes)])
        return network.train(self.training)
