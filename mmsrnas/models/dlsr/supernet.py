"""The supernet of DLSR: all cells and connections at once, weighted by alpha and beta."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import build_cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.registry import MODELS

from .cost import COSTS, OFFICIAL_OP_PARAMS, cost_parts, fixed_cost, op_costs
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
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        kwargs: ``img_range`` and ``init_cfg`` of
            :class:`~mmsrnas.models.dlsr.modules.DLSRBase`.

    Attributes:
        fixed_cost: Cost of everything that is not searched.
        op_costs: Cost of each candidate ``(9,)`` in one cell.

    Raises:
        GenotypeError: A width, depth, scale or number of channels that no genotype has.
        ValueError: Unknown ``variant`` or unusable ``cost``.
    """

    op_costs: Tensor

    def __init__(
        self,
        upscale_factor: int = 2,
        mid_channels: int = 48,
        num_cells: int = 6,
        variant: str = "default",
        cost: str | Mapping[str, Any] | Sequence[float] = "params",
        in_channels: int = 3,
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
        )
        cells = [
            DLSRCell(mid_channels, [MixedOp(DLSR_OPS, mid_channels) for _ in range(3)])
            for _ in range(num_cells)
        ]
        fan_in = range(2, num_cells)
        super().__init__(cells, fan_in, mid_channels, upscale_factor, in_channels, **kwargs)
        self.mid_channels = mid_channels
        self.variant = variant
        self.alpha = nn.Parameter(1e-3 * torch.randn(3, len(DLSR_OPS)))
        # In the default variant the third cell has one candidate only: nothing to learn.
        sizes = fan_in if variant == "official" else range(2, num_cells - 1)
        self.beta = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(size)) for size in sizes)
        self._init_costs(cost, simplest)

    def _init_costs(
        self, cost: str | Mapping[str, Any] | Sequence[float], simplest: DLSRGenotype
    ) -> None:
        self.fixed_cost = 0.0
        if isinstance(cost, Mapping):
            self.fixed_cost, cost = cost_parts(build_cost(dict(cost)), simplest)
        if isinstance(cost, str) and cost in COSTS:
            if self.variant == "official" and cost == "params":
                cost = OFFICIAL_OP_PARAMS
            else:
                self.fixed_cost = fixed_cost(cost, simplest)
                cost = op_costs(cost, simplest)
        if isinstance(cost, str) or len(cost) != len(DLSR_OPS) or min(cost) < 0 or not sum(cost):
            raise ValueError(
                f"DLSRSupernet.cost: expected {' or '.join(map(repr, COSTS))}, or {len(DLSR_OPS)} "
                f"numbers >= 0 for {', '.join(DLSR_OPS)}; got {cost!r}."
            )
        self.register_buffer("op_costs", torch.tensor(cost, dtype=torch.float), persistent=False)

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields alpha and beta with their names."""
        yield "alpha", self.alpha
        yield from ((f"beta.{i}", beta) for i, beta in enumerate(self.beta))

    def expected_cost(self) -> Tensor:
        """Expected cost of the derived network where alpha gives the odds of the candidates.

        Returns:
            Differentiable scalar in the unit of ``cost``:
            ``fixed_cost + num_cells * sum_l sum_o softmax(alpha_l)_o * op_costs_o``.
        """
        searched = (self.alpha.softmax(dim=1) @ self.op_costs).sum()
        return self.fixed_cost + len(self.cells) * searched

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
        """Decodes alpha and beta: the best candidates, and the best connections of the variant."""
        return self._decode(self.alpha.argmax(dim=1).tolist())

    @staticmethod
    def build_network(genotype: DLSRGenotype) -> DLSRNet:
        """The network of a genotype, freshly initialised."""
        return DLSRNet(genotype)

    def preferences(self) -> Iterator[DLSRGenotype]:
        """All choices of the three operations by falling probability, with the best connections.

        The connections cost the same whichever they are.
        """
        scores = self.alpha.detach().double().log_softmax(dim=1)
        joint = scores[0][:, None, None] + scores[1][:, None] + scores[2]
        for index in joint.flatten().sort(descending=True, stable=True).indices.tolist():
            size = len(DLSR_OPS)
            yield self._decode([index // size**2, index // size % size, index % size])

    def _decode(self, choices: Sequence[int]) -> DLSRGenotype:
        ops: Any = tuple(DLSR_OPS[i] for i in choices)
        connections: Any = tuple(self._connection(index) for index in range(2, len(self.cells)))
        return DLSRGenotype(
            ops, connections, self.mid_channels, self.upscale_factor, self.in_channels
        )

    def _connection(self, index: int) -> tuple[int, ...]:
        weights = self.connection_weights(index)
        if self.variant == "official":
            return tuple(weights.topk(2).indices.tolist())
        return int(weights[:-1].argmax()), index - 1
