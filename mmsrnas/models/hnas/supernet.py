"""The supernet of HNAS: the weights of every architecture, of which one runs at a time."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import BudgetError, Cost, absolute_budget
from mmsrnas.genotypes import HNAS_PAPER_NORMAL_OPS, HNAS_UPSAMPLING_OPS, HNASGenotype
from mmsrnas.models.bn_calibration import estimate_statistics
from mmsrnas.models.supernet import Preference
from mmsrnas.registry import MODELS

from .alignment import align
from .controller import check_variant
from .cost import HNASCost
from .decoding import HNASSpace
from .modules import HNASBase, HNASCell, edge_scale
from .network import HNASNet
from .normalization import batch_statistics
from .ops import build_op
from .reward import HNASReward

__all__ = ["HNASSupernet"]


class SharedCell(HNASCell):
    """All operations on all possible edges of a cell.

    Args:
        channels: Channels of a node.
        num_nodes: Number of intermediate nodes.
        ops: Names of the operations.
        upscale_factor: Scale of the network.
        upsamples: Whether this is an upsampling cell.
    """

    def __init__(
        self,
        channels: int,
        num_nodes: int,
        ops: Sequence[str],
        upscale_factor: int,
        upsamples: bool,
    ) -> None:
        super().__init__(channels, num_nodes, norm=True)
        self.edges: Any = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: build_op(
                        name,
                        channels,
                        edge_scale(upsamples, source, upscale_factor),
                        norm=not upsamples,
                    )
                    for name in ops
                }
            )
            for node in range(num_nodes)
            for source in range(node + 2)
        )

    def forward(
        self, previous: Tensor, before_previous: Tensor, edges: Sequence[tuple[str, int]]
    ) -> Tensor:
        """Runs the cell that ``edges`` describes on the rectified outputs of two cells."""
        chosen = []
        for index, (op, source) in enumerate(edges):
            node = index // 2
            first = node * (node + 3) // 2  # the nodes before it have 2, 3, ... edges
            chosen.append((self.edges[first + source][op], source))
        return self.run(previous, before_previous, chosen)


@MODELS.register_module()
class HNASSupernet(HNASBase):
    """Shared weights of the search space of HNAS, and the policy over it (arXiv 2003.04619).

    A call names the architecture to run; without one, the architecture that the policy finds most
    likely runs. Nothing is sampled inside. Searched by
    :class:`~mmsrnas.engine.runner.RLSearchLoop`.

    Every position has an upsampling cell of its own, so that its weights fit the depth.

    Args:
        upscale_factor: Ratio of HR to LR size: 2, 3, 4 or 8.
        num_cells: Number of cells, the upsampling cell included.
        mid_channels: Channels of a node.
        num_nodes: Number of intermediate nodes of a cell.
        normal_ops: Operations of the normal cell: by default those of the paper; the released
            code has ``HNAS_NORMAL_OPS``, without the up- and down-projection block.
        upsampling_ops: Operations of the upsampling cell.
        policy: Config of the policy, an ``HNASController`` by default.
        variant: ``'default'``; ``'paper'`` takes the reward of the paper; ``'official'`` takes
            reward, policy and loss of the released code. In both, operations of the upsampling
            cell that compute the same count as different, see :class:`HNASSpace`.
        in_channels: Channels of the images, 1 for gray and 3 for RGB.
        img_range: The value that the network sees for 1.0 of the input.
        global_skip: Add the bicubic interpolation of the input to the output. Normalised features
            have lost the brightness of the image, so that without it the shared weights stay far
            below interpolation.
        aligned: Start all operations near the identity, see
            :func:`~mmsrnas.models.hnas.alignment.align`; otherwise at random, as the released
            code does.
        cost: What the reward charges: ``'multi_adds'`` for an output of 1280x720 pixels,
            ``'params'``, or ``dict(type='latency', target=...)`` for milliseconds
            (:class:`~mmsrnas.costs.Cost`). ``'paper'`` and ``'official'`` have a rule of their own.
        budget: The most that the derived network may cost, in the unit of ``cost``. The reward
            then charges the excess alone, and the genotype is the likeliest sample within it.
        budget_share: In its place, a share of the dearest network's cost.
        derived_mid_channels: Width of the networks that the search is for, whose costs count;
            ``mid_channels`` if None.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        cost: Costs of the architectures.
        budget: The budget in absolute units, None without one.

    Raises:
        ValueError: Unsupported ``upscale_factor``, ``mid_channels``, ``in_channels`` or
            ``variant``, unknown operations, or a budget out of reach.
    """

    def __init__(
        self,
        upscale_factor: int = 2,
        num_cells: int = 12,
        mid_channels: int = 8,
        num_nodes: int = 4,
        normal_ops: Sequence[str] = HNAS_PAPER_NORMAL_OPS,
        upsampling_ops: Sequence[str] = HNAS_UPSAMPLING_OPS,
        policy: Mapping[str, Any] | None = None,
        variant: str = "default",
        in_channels: int = 3,
        img_range: float = 255.0,
        global_skip: bool = False,
        aligned: bool = True,
        cost: str | Mapping[str, Any] = "multi_adds",
        budget: float | None = None,
        budget_share: float | None = None,
        derived_mid_channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check_variant(variant)
        super().__init__(
            mid_channels,
            num_nodes,
            upscale_factor,
            in_channels,
            norm=True,
            img_range=img_range,
            global_skip=global_skip,
            init_cfg=init_cfg,
        )
        self.variant = variant
        self.space = HNASSpace(
            num_cells,
            num_nodes,
            tuple(normal_ops),
            tuple(upsampling_ops),
            mid_channels=mid_channels,
            global_skip=global_skip,
            upscale_factor=upscale_factor,
            in_channels=in_channels,
            deduplicate=variant == "default",
        )
        self.cells, self.upsampling_cells = (
            nn.ModuleList(
                SharedCell(mid_channels, num_nodes, ops, upscale_factor, upsamples)
                for _ in range(num_cells)
            )
            for ops, upsamples in (
                (self.space.normal_ops, False),
                (self.space.upsampling_ops, True),
            )
        )
        if aligned:
            align([*self.cells, *self.upsampling_cells])
        cfg = {"type": "mmsrnas.HNASController", **(policy or {})}
        self.policy = MODELS.build(cfg | {"space": self.space, "variant": variant})
        self.cost = HNASCost(self.space, cost, derived_mid_channels)
        self.budget = absolute_budget(
            budget, budget_share, self.cost.unit, lambda: self.cost(self.cost.extremes()[1])
        )
        if self.budget is not None:
            if variant != "default":
                raise ValueError(f"budget: variant={variant!r} has a cost term of its own.")
            _check_reach(self.cost, self.budget)

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the parameters of the policy with their names."""
        for name, parameter in self.policy.named_parameters():
            yield f"policy.{name}", parameter

    @torch.no_grad()
    def genotype(self) -> HNASGenotype:
        """The architecture that the policy finds most likely, decision by decision.

        With a budget, the likeliest within it, see :meth:`preferred`.
        """
        if self.budget is None:
            return self.space.decode(self.policy.argmax().tokens[0])
        return self._preferred(self.cost, self.budget).genotype

    @staticmethod
    def build_network(genotype: HNASGenotype) -> HNASNet:
        """The network of a genotype, freshly initialised."""
        return HNASNet(genotype)

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The likeliest architecture within a budget, of the argmax and 256 samples of the policy.

        Where none of them is, the cheapest of the space.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`.
        """
        width = mid_channels or self.cost.mid_channels
        found = self._preferred(HNASCost(self.space, cost, width), budget, least)
        return Preference(found.genotype.replace(mid_channels=width), found.loss)

    def _preferred(self, cost: HNASCost, budget: float, least: float = 0.0) -> Preference:
        _check_reach(cost, budget)
        first = None
        for preference in self._ranked():
            spent = cost(preference.genotype)
            if least <= spent <= budget:
                return preference
            if first is None and spent <= budget:
                first = preference
        if first:
            return first
        cheapest = cost.extremes()[0].replace(mid_channels=self.mid_channels)
        return Preference(cheapest, math.inf)

    @torch.no_grad()
    def _ranked(self, count: int = 256) -> Iterator[Preference]:
        """Architectures by falling probability: the likeliest decisions, then samples.

        Args:
            count: Number of samples, drawn with a seed of their own.
        """
        favourite = self.space.decode(self.policy.argmax().tokens[0])
        sample = self.policy.sample(count, torch.Generator().manual_seed(0))
        log_probs = sample.log_probs.sum(dim=1).double()
        losses = log_probs.max() - log_probs
        known, rows = {favourite}, sample.tokens.tolist()
        yield Preference(favourite, 0.0)
        for index in losses.sort(stable=True).indices.tolist():
            genotype = self.space.decode(rows[index])
            if genotype not in known:
                known.add(genotype)
                yield Preference(genotype, losses[index].item())

    def forward(self, x: Tensor, architecture: HNASGenotype | None = None) -> Tensor:
        """Super-resolves with one architecture.

        Args:
            x: LR images ``(N, in_channels, H, W)`` in [0, 1].
            architecture: The architecture to run; :meth:`genotype` where it is None.

        Returns:
            SR images ``(N, in_channels, s * H, s * W)``, not clamped.

        Raises:
            GenotypeError: The architecture is not in the search space.
        """
        architecture = architecture or self.genotype()
        self.space.check(architecture)
        cells = [(partial(cell, edges=architecture.normal), False) for cell in self.cells]
        position = architecture.upsampling_position
        upsampling = self.upsampling_cells[position]
        cells[position] = (partial(upsampling, edges=architecture.upsampling), True)
        return self.run_cells(x, cells)

    def build_reward(self, performance_weight: float = 0.6) -> HNASReward:
        """The reward of a search.

        Args:
            performance_weight: lambda, the weight of image quality against cost, in [0, 1].

        Raises:
            ValueError: It is out of its range.
        """
        return HNASReward(
            performance_weight, self.cost, self.policy.psnr_std, self.variant, self.budget
        )

    def batch_statistics(self) -> AbstractContextManager[None]:
        """Inside, normalisation uses the statistics of the batch and changes nothing."""
        return batch_statistics()

    def calibrate(self, architecture: HNASGenotype, batches: Iterable[Tensor]) -> None:
        """Replaces the running statistics by those of the activations of an architecture.

        The mode of the supernet stays as it is.

        Args:
            architecture: The architecture; what it does not use is reset.
            batches: LR images ``(N, in_channels, H, W)`` in [0, 1]; statistics are averaged over
                the batches.
        """
        estimate_statistics(self, partial(self, architecture=architecture), batches)


def _check_reach(cost: HNASCost, budget: float) -> None:
    """Refuses a budget that even the cheapest architecture exceeds."""
    least = cost(cost.extremes()[0])
    if least > budget:
        cheapest = f"the cheapest architecture with {cost.mid_channels} channels"
        raise BudgetError(budget, least, cost.unit, cheapest)
