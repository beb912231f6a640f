"""The supernet of DLSR: all cells and connections at once, weighted by alpha and beta."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.models.ops import MixedOp
from mmsrnas.registry import MODELS

from .modules import DLSRBase, DLSRCell

__all__ = ["DLSRSupernet"]

OFFICIAL_COSTS = (2.5, 22.5, 62.5, 122.5, 5.9, 7.5, 9.9, 2.95, 3.75)
"""Costs of the candidates in the released code: thousands of parameters at 50 channels."""

RULES = ("predecessor", "top2")


@MODELS.register_module()
class DLSRSupernet(DLSRBase):
    """Relaxed search space of DLSR at cell and network level (arXiv 2105.03939).

    ``alpha`` (3, 9) mixes the candidates of the three operations and is shared by all cells.
    ``beta[i]`` weighs the cells that cell ``i + 2`` may read, with the rule

    * ``predecessor``: the cell before it always, with weight 1, and one of the cells before that
      (the rule that the published network obeys);
    * ``top2``: the best two of all cells before it (the rule of the released search).

    Args:
        upscale_factor: Ratio of HR to LR size.
        mid_channels: Channels of the features.
        num_cells: Number of cells, at least 2.
        connection_rule: ``'predecessor'`` or ``'top2'``.
        op_costs: Cost of each candidate: ``'params'`` counts its weights (which are also its
            multiply-accumulates per LR pixel), ``'official'`` takes the numbers of the released
            code, nine numbers (say, measured latencies) are taken as they are.
        kwargs: ``in_channels``, ``img_range`` and ``init_cfg`` of
            :class:`~mmsrnas.models.dlsr.modules.DLSRBase`.

    Raises:
        ValueError: Unknown ``connection_rule`` or unusable ``op_costs``.
    """

    def __init__(
        self,
        upscale_factor: int = 2,
        mid_channels: int = 48,
        num_cells: int = 6,
        connection_rule: str = "predecessor",
        op_costs: str | Sequence[float] = "params",
        **kwargs: Any,
    ) -> None:
        if connection_rule not in RULES:
            raise ValueError(f"connection_rule: expected one of {RULES}, got {connection_rule!r}.")
        cells = [
            DLSRCell(mid_channels, [MixedOp(DLSR_OPS, mid_channels) for _ in range(3)])
            for _ in range(num_cells)
        ]
        fan_in = range(2, num_cells)
        super().__init__(cells, fan_in, mid_channels, upscale_factor, **kwargs)
        self.mid_channels = mid_channels
        self.connection_rule = connection_rule
        self.alpha = nn.Parameter(1e-3 * torch.randn(3, len(DLSR_OPS)))
        # With the rule `predecessor` the third cell has one candidate only: nothing to learn.
        sizes = fan_in if connection_rule == "top2" else range(2, num_cells - 1)
        self.beta = nn.ParameterList(nn.Parameter(1e-3 * torch.randn(size)) for size in sizes)
        self.register_buffer("op_costs", self._op_costs(op_costs), persistent=False)

    def _op_costs(self, source: str | Sequence[float]) -> Tensor:
        if source == "params":
            ops = self.cells[0].ops[0].ops
            source = [sum(p.numel() for p in op.parameters()) for op in ops]
        elif source == "official":
            source = OFFICIAL_COSTS
        if isinstance(source, str) or len(source) != len(DLSR_OPS) or min(source) < 0:
            raise ValueError(
                "op_costs: expected 'params', 'official' or "
                f"{len(DLSR_OPS)} numbers >= 0, got {source!r}."
            )
        costs = torch.tensor(source, dtype=torch.float)
        return costs / costs.sum()

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields alpha and beta with their names."""
        yield "alpha", self.alpha
        yield from ((f"beta.{i}", beta) for i, beta in enumerate(self.beta))

    def expected_cost(self) -> Tensor:
        """Expected cost of the three operations of a cell, as a share of all candidates' cost.

        Returns:
            Differentiable scalar: ``sum_l sum_o softmax(alpha_l)_o * cost_o / sum_c cost_c``,
            1/3 where alpha is uniform.
        """
        return (self.alpha.softmax(dim=1) @ self.op_costs).sum()

    def run_cell(self, index: int, x: Tensor) -> Tensor:
        """Runs a cell with the softmax of alpha."""
        return self.cells[index](x, self.alpha.softmax(dim=1))

    def connect(self, index: int, features: list[Tensor]) -> Tensor:
        """Concatenates the outputs of all earlier cells, weighted by the softmax of beta."""
        weights = self.connection_weights(index)
        return torch.cat([w * f for w, f in zip(weights, features, strict=True)], dim=1)

    def connection_weights(self, index: int) -> Tensor:
        """Weights ``(index,)`` of the cells that cell ``index`` may read."""
        if self.connection_rule == "top2":
            return self.beta[index - 2].softmax(dim=0)
        if index == 2:
            return self.alpha.new_ones(2)
        weights = self.beta[index - 3].softmax(dim=0)
        return torch.cat([weights, weights.new_ones(1)])

    def genotype(self) -> DLSRGenotype:
        """Decodes alpha and beta: the best candidates, and the best connections by the rule."""
        ops = tuple(DLSR_OPS[i] for i in self.alpha.argmax(dim=1).tolist())
        connections = tuple(self._connection(index) for index in range(2, len(self.cells)))
        return DLSRGenotype(
            ops, connections, self.mid_channels, self.upscale_factor, self.in_channels
        )

    def _connection(self, index: int) -> tuple[int, int]:
        weights = self.connection_weights(index)
        if self.connection_rule == "top2":
            return tuple(weights.topk(2).indices.tolist())
        return int(weights[:-1].argmax()), index - 1
