"""The elastic supernet: the weights of all depths, widths and operations."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.costs import BudgetError, Cost
from mmsrnas.genotypes import ELASTIC_OPS, ElasticGenotype
from mmsrnas.models.supernet import Preference
from mmsrnas.registry import MODELS

from .cost import ChainCost
from .decoding import ElasticSpace
from .modules import LinearAnchor, RepConv, run_chain, start_silent
from .network import ElasticNet
from .ops import KERNEL_SIZES, NEGATIVE_SLOPE

__all__ = ["ElasticSupernet"]

MAX_RANKED = 128
"""Most genotypes that a supernet remembers as its preferences."""
NEAR = 0.88
"""Share of a budget from which on networks are preferred by their quality alone."""


@MODELS.register_module()
class ElasticSupernet(BaseModule):
    """Weights that all networks of the elastic space share.

    A narrower network has the first channels of every convolution, a shallower one the first
    blocks; the operations of a block share one convolution for each kernel size, re-parameterised
    by linear branches. A call names the architecture to run. There are no architecture parameters:
    the networks train together (:class:`~mmsrnas.models.editors.SandwichEditor`), are judged with
    their shared weights, and taken out with them by :meth:`extract`.

    Args:
        num_cells: Numbers of blocks to choose from, rising.
        mid_channels: Widths to choose from, rising.
        ops: Operations to choose from.
        activations: Activations to choose from.
        cells_per_stage: Successive blocks of the same width.
        anchor: Interpolation that the output is added to, ``'linear'``, ``'nearest'`` or
            ``'bicubic'``.
        upscale_factor: Ratio of HR to LR size, 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        space: The search space.
        ranking: Tokens of the preferred genotypes ``(128, T)``, the best first; -1 where there
            are less. A selection fills it, checkpoints keep it.

    Raises:
        ValueError: A choice is empty, repeats itself, falls, or is unknown.
    """

    min_size = 1
    ranking: Tensor

    def __init__(
        self,
        num_cells: Sequence[int] = (4, 6, 8, 10, 12, 14, 16),
        mid_channels: Sequence[int] = (16, 24, 32, 48),
        ops: Sequence[str] = ELASTIC_OPS,
        activations: Sequence[str] = ("silu", "gelu"),
        cells_per_stage: int = 4,
        anchor: str = "linear",
        upscale_factor: int = 2,
        in_channels: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.space = ElasticSpace(
            tuple(num_cells),
            tuple(mid_channels),
            tuple(ops),
            tuple(activations),
            cells_per_stage,
            anchor,
            upscale_factor,
            in_channels,
        )
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
        self.register_buffer("ranking", torch.full((MAX_RANKED, len(self.space.sizes)), -1))

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

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields nothing: architectures are sampled, not learned."""
        yield from ()

    def genotype(self) -> ElasticGenotype:
        """The preferred genotype; the largest before a selection."""
        return self.ranked()[0]

    def ranked(self) -> list[ElasticGenotype]:
        """The genotypes of the ranking, the best first; the largest alone before a selection."""
        rows = [row for row in self.ranking.tolist() if row[0] >= 0]
        return [self.space.decode(row) for row in rows] or [self.space.largest()]

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The best genotype of the ranking within a budget.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`.
        """
        if mid_channels:
            raise ValueError("mid_channels: the widths are part of this search.")
        ranked = self.ranked()
        costs = dict(zip(ranked, map(ChainCost(cost), ranked), strict=True))
        within = [genotype for genotype in ranked if costs[genotype] <= budget]
        if not within:
            cheapest = f"the cheapest of {len(ranked)} networks of the ranking"
            raise BudgetError(budget, min(costs.values()), cost.unit, cheapest)
        # A short training underrates large networks: those that use the budget are compared.
        least = max(least, NEAR * budget)
        dear = [genotype for genotype in within if costs[genotype] >= least]
        return Preference((dear or within)[0], 0.0)

    @torch.no_grad()
    def rank(self, genotypes: Sequence[ElasticGenotype]) -> None:
        """Remembers genotypes as preferences, the best first; at most 128 of them."""
        self.ranking.fill_(-1)
        for row, genotype in zip(self.ranking, genotypes, strict=False):
            row.copy_(torch.tensor(self.space.encode(genotype)))

    @staticmethod
    def build_network(genotype: ElasticGenotype) -> ElasticNet:
        """The network of a genotype, freshly initialised."""
        return ElasticNet(genotype)

    @staticmethod
    def genotype_cost(cost: Callable[[nn.Module], float]) -> ChainCost:
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
