"""The supernet of DLSR: all cells and connections at once, weighted by alpha and beta."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import BudgetError, Cost, absolute_budget, build_cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.models.supernet import Preference
from mmsrnas.registry import MODELS

from .cost import OFFICIAL_OP_PARAMS, DLSRCost
from .modules import DLSRBase, DLSRCell
from .network import DLSRNet
from .ops import MixedOp

__all__ = ["DLSRSupernet"]

VARIANTS = ("default", "official")


@MODELS.register_module()
class DLSRSupernet(DLSRBase):
    """Relaxed search space of DLSR at cell and network level (arXiv 2105.03939).

    ``alpha`` (3, 9) mixes the candidates of the three operations and is shared by all cells.
    ``beta[i]`` weighs the cells that a cell may read. The variants differ in the two that it keeps:

    * ``default``: the cell before it always, with weight 1, and the best of the cells before that
      (the rule that the published network obeys);
    * ``official``: the best two of all cells before it (the rule of the released search), and the
      released costs of the candidates.

    Args:
        upscale_factor: Ratio of HR to LR size.
        mid_channels: Channels of the features.
        num_cells: Number of cells, at least 2.
        variant: ``'default'`` or ``'official'``.
        cost: Unit of :meth:`expected_cost`: ``'params'``, ``'multi_adds'`` for a 1280x720 HR image,
            ``dict(type='latency', target=...)`` for milliseconds (:class:`~mmsrnas.costs.Cost`), or
            nine numbers, the costs of the candidates in a unit of the user's own, in which the rest
            of the network counts as 0.
        budget: The most that the derived network may cost, in the unit of ``cost``. The genotype
            is then the likeliest of those within it, and a complexity loss penalises the excess.
        budget_share: In its place, a share of the dearest network's cost.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        global_skip: Add the bicubic interpolation of the input to the output, as the networks that
            are derived then do.
        kwargs: ``img_range`` and ``init_cfg`` of
            :class:`~mmsrnas.models.dlsr.modules.DLSRBase`.

    Attributes:
        cost: Costs of the networks in parts.
        budget: The budget in absolute units, None without one.
        op_costs: Cost of each candidate ``(9,)`` in one cell.

    Raises:
        GenotypeError: A width, depth, scale or number of channels that no genotype has.
        ValueError: Unknown ``variant``, unusable ``cost``, or a budget out of reach.
    """

    op_costs: Tensor

    def __init__(
        self,
        upscale_factor: int = 2,
        mid_channels: int = 48,
        num_cells: int = 6,
        variant: str = "default",
        cost: str | Mapping[str, Any] | Sequence[float] = "params",
        budget: float | None = None,
        budget_share: float | None = None,
        in_channels: int = 3,
        global_skip: bool = False,
        **kwargs: Any,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"DLSRSupernet.variant: expected one of {VARIANTS}, got {variant!r}.")
        if not isinstance(num_cells, int) or num_cells < 2:
            raise ValueError(f"DLSRSupernet.num_cells: expected at least 2, got {num_cells!r}.")
        # Any genotype of the space: it checks the sizes, and says what all of them cost.
        simplest = DLSRGenotype(
            ("conv_1x1", "conv_1x1", "conv_1x1"),
            ((0, 1),) * (num_cells - 2),
            mid_channels,
            upscale_factor,
            in_channels,
            global_skip,
        )
        cells = [
            DLSRCell(mid_channels, [MixedOp(DLSR_OPS, mid_channels) for _ in range(3)])
            for _ in range(num_cells)
        ]
        fan_in = range(2, num_cells)
        super().__init__(
            cells,
            fan_in,
            mid_channels,
            upscale_factor,
            in_channels,
            global_skip=global_skip,
            **kwargs,
        )
        self.mid_channels = mid_channels
        self.variant = variant
        self.alpha = nn.Parameter(1e-3 * torch.randn(3, len(DLSR_OPS)))
        # In the default variant the third cell has one candidate only: nothing to learn.
        sizes = fan_in if variant == "official" else range(2, num_cells - 1)
        self.beta = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(size)) for size in sizes)
        self.template = simplest
        self.cost = self._build_cost(cost)
        ops = torch.tensor(self.cost.ops, dtype=torch.float)
        self.register_buffer("op_costs", ops, persistent=False)
        self.budget = absolute_budget(budget, budget_share, self.cost.unit, self.cost.most)
        if self.budget is not None:
            self._preferred(self.cost, self.budget)

    def _build_cost(self, cost: Any) -> DLSRCost:
        if isinstance(cost, str | Mapping | Cost):
            built = build_cost(cost)
            if self.variant == "official" and built.type == "params":
                return DLSRCost(0.0, OFFICIAL_OP_PARAMS, len(self.cells), built.unit)
            return DLSRCost.build(built, self.template)
        is_list = isinstance(cost, Sequence) and len(cost) == len(DLSR_OPS)
        if not is_list or min(cost) < 0 or not sum(cost):
            raise ValueError(
                f"DLSRSupernet.cost: expected 'params', 'multi_adds', dict(type='latency', "
                f"target=...), or {len(DLSR_OPS)} numbers >= 0 for {', '.join(DLSR_OPS)}; "
                f"got {cost!r}."
            )
        return DLSRCost(0.0, tuple(map(float, cost)), len(self.cells), "units of 'cost'")

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields alpha and beta with their names."""
        yield "alpha", self.alpha
        yield from ((f"beta.{i}", beta) for i, beta in enumerate(self.beta))

    def expected_cost(self) -> Tensor:
        """Expected cost of the derived network where alpha gives the odds of the candidates.

        Returns:
            Differentiable scalar in the unit of ``cost``:
            ``fixed + num_cells * sum_l sum_o softmax(alpha_l)_o * op_costs_o``.
        """
        searched = (self.alpha.softmax(dim=1) @ self.op_costs).sum()
        return self.cost.fixed + len(self.cells) * searched

    @property
    def reference_cost(self) -> float:
        """Cost of all candidates of one operation in all cells, the scale of a complexity loss.

        The released loss is a share of it.
        """
        return len(self.cells) * self.op_costs.sum().item()

    def run_cell(self, index: int, x: Tensor) -> Tensor:
        """Runs a cell with the softmax of alpha."""
        return self.cells[index](x, self.alpha.softmax(dim=1))

    def connect(self, index: int, features: list[Tensor]) -> Tensor:
        """Concatenates the outputs of all earlier cells, weighted by the softmax of beta."""
        weights = self.connection_weights(index)
        return torch.cat([w * f for w, f in zip(weights, features, strict=True)], dim=1)

    def connection_weights(self, index: int) -> Tensor:
        """Weights ``(index,)`` of the cells that cell ``index`` may read."""
        if self.variant == "official":
            return self.beta[index - 2].softmax(dim=0)
        if index == 2:
            return self.alpha.new_ones(2)
        weights = self.beta[index - 3].softmax(dim=0)
        return torch.cat([weights, weights.new_ones(1)])

    def genotype(self) -> DLSRGenotype:
        """Decodes alpha and beta: the best candidates, and the best connections of the variant.

        With a budget, the likeliest candidates within it.
        """
        if self.budget is None:
            return self._decode(self.alpha.argmax(dim=1).tolist())
        return self._preferred(self.cost, self.budget).genotype

    @staticmethod
    def build_network(genotype: DLSRGenotype) -> DLSRNet:
        """The network of a genotype, freshly initialised."""
        return DLSRNet(genotype)

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The likeliest operations within a budget, out of all; connections cost the same.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`.
        """
        template = self.template.replace(mid_channels=mid_channels)
        found = self._preferred(DLSRCost.build(cost, template), budget, least, mid_channels)
        return Preference(found.genotype.replace(mid_channels=mid_channels), found.loss)

    def _preferred(
        self,
        cost: DLSRCost,
        budget: float,
        least: float = 0.0,
        mid_channels: int | None = None,
    ) -> Preference:
        if cost.least() > budget:
            cheapest = f"the cheapest network with {mid_channels or self.mid_channels} channels"
            raise BudgetError(budget, cost.least(), cost.unit, cheapest)
        scores = self.alpha.detach().double().cpu().log_softmax(dim=1)
        losses = (scores.max(dim=1, keepdim=True).values - scores).tolist()
        options = list(itertools.product(range(len(DLSR_OPS)), repeat=3))
        within = [choices for choices in options if cost.of(choices) <= budget]
        dear = [choices for choices in within if cost.of(choices) >= least]
        loss, choices = min(
            (sum(losses[layer][i] for layer, i in enumerate(choices)), choices)
            for choices in dear or within
        )
        return Preference(self._decode(choices), loss)

    def _decode(self, choices: Sequence[int]) -> DLSRGenotype:
        ops: Any = tuple(DLSR_OPS[i] for i in choices)
        connections: Any = tuple(self._connection(index) for index in range(2, len(self.cells)))
        return self.template.replace(ops=ops, connections=connections)

    def _connection(self, index: int) -> tuple[int, ...]:
        weights = self.connection_weights(index)
        if self.variant == "official":
            return tuple(weights.topk(2).indices.tolist())
        return int(weights[:-1].argmax()), index - 1
