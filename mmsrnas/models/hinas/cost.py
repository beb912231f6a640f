"""What HiNAS networks cost: a sum of parts, of which a supernet makes an expectation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import Cost
from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.sizes import lr_size_of

from .modules import STEM_CHANNELS, HiNASCell, conv_norm
from .network import HiNASNet, build_context
from .ops import build_activation, build_op

__all__ = ["HiNASCost"]

Count = Callable[[nn.Module, int], float]
"""Cost of a part of a network, from the part and the channels that it reads."""


@dataclass(frozen=True)
class HiNASCost:
    """What the networks of a HiNAS search space cost, in parts that add up.

    Attributes:
        num_nodes: Nodes of a cell.
        ops: For each level, the cost of each operation.
        cells: For each level, the cost of a cell beside its operations and projections.
        from_stem: For each level, the cost of projecting the features of the stem to it.
        from_cell: The same for each level of a cell that is projected, and each target level.
        context: For each level, the cost of what the decoder does to a last cell there.
        reduce: Cost of the convolution that makes low-level features where no cell does.
        fixed: Cost of all else.
        unit: What the numbers are.
    """

    num_nodes: int
    ops: list[list[float]]
    cells: list[float]
    from_stem: list[float]
    from_cell: list[list[float]]
    context: list[float]
    reduce: float
    fixed: float
    unit: str

    @classmethod
    def build(cls, cost: Cost, genotype: HiNASGenotype) -> "HiNASCost":
        """Counts or predicts the parts of the networks of a search space.

        Latencies of the parts add up to that of a network exactly on torch, nearly on onnxruntime.

        Args:
            cost: The cost.
            genotype: Any network of the search space.
        """
        make = cls._predicted if cost.type == "latency" else cls._counted
        return cost.once((cls, genotype), lambda: make(cost, genotype))

    @classmethod
    def _counted(cls, cost: Cost, genotype: HiNASGenotype) -> "HiNASCost":
        height, width = lr_size_of(cost.hr_size, genotype.upscale_factor)

        def count(module: nn.Module, channels: int) -> float:
            if cost.type == "params":
                return sum(p.numel() for p in module.parameters())
            convs = (m for m in module.modules() if isinstance(m, nn.Conv2d))
            return height * width * sum(conv.weight.numel() for conv in convs)

        with torch.device("meta"):
            net = HiNASNet(_simplest(genotype))
            ends = (net.act, net.stem1, net.stem2, net.low_level, net.decoder, net.last)
            levels = range(len(genotype.widths))
            ops = [
                [count(_op(genotype, level, op), 0) for op in HINAS_OPS[:-1]] for level in levels
            ]
            fixed = sum(count(part, 0) for part in ends)
            # The activation in front of projections and context is one module, counted above.
            parts = _parts(genotype, count, nn.Identity, net.reduce)
            return cls(
                genotype.num_nodes, ops, [0.0] * len(levels), **parts, fixed=fixed, unit=cost.unit
            )

    @classmethod
    def _predicted(cls, cost: Cost, genotype: HiNASGenotype) -> "HiNASCost":
        def count(module: nn.Module, channels: int) -> float:
            return cost(module, (channels, *cost.target.input_size))

        levels = range(len(genotype.widths))
        edges = 2 * genotype.num_nodes
        cells = [count(_Cell(genotype, n, "skip_connect"), genotype.widths[n]) for n in levels]
        ops = [
            [
                (count(_Cell(genotype, n, op), genotype.widths[n]) - cells[n]) / edges
                for op in HINAS_OPS[:-2]
            ]
            + [0.0]
            for n in levels
        ]
        net = HiNASNet(_simplest(genotype))
        activation = genotype.activation
        parts = _parts(genotype, count, lambda: build_activation(activation), net.reduce)
        found = cls(genotype.num_nodes, ops, cells, **parts, fixed=0.0, unit=cost.unit)
        return replace(found, fixed=cost(net) - found.of(net.genotype))

    def of(self, genotype: HiNASGenotype) -> float:
        """Cost of a network of the search space."""
        path = genotype.path
        total = self.fixed + self.context[path[-1]]
        total += self.reduce * (genotype.low_level_cell is None)
        for index, (edges, level) in enumerate(zip(genotype.cells, path, strict=True)):
            total += sum(self.ops[level][HINAS_OPS.index(op)] for op, _ in edges)
            total += self.entry(path[:index], level)
        return total

    def entry(self, before: Sequence[int], level: int) -> float:
        """Cost of a cell at a level but for its operations, after cells at the levels before it."""
        cost = self.cells[level]
        for back in (1, 2):
            stem = len(before) < back
            cost += self.from_stem[level] if stem else self.from_cell[before[-back]][level]
        return cost

    def expected(
        self, transitions: Sequence[Tensor], weights: Sequence[Sequence[Tensor]]
    ) -> Tensor:
        """Average over the networks of the search space.

        A network is drawn as follows: the path by the moves, two edges of each node with equal
        probability, the operation of an edge by its weights without ``none``. Where alpha and beta
        are decided and the edges of a node agree, this is the cost of the derived network.

        Args:
            transitions: For each layer, the probabilities ``(S, T)`` to go from each level that it
                reads to each level that it writes.
            weights: For each layer and level, the weights of the operations ``(E, 7)``.

        Returns:
            Differentiable scalar.
        """
        levels = [transitions[0].new_ones(1)]
        wide = levels[0]  # paths that have not been at level 0
        cost = levels[0].new_tensor(self.fixed)
        for layer, move in enumerate(transitions):
            levels.append(levels[-1] @ move)
            wide = move[0, 1:] if layer == 0 else wide @ move[1:, 1:]
            cost = cost + levels[-1] @ self._cells(weights[layer])
            cost = cost + self._projections(layer, transitions, levels)
        last = levels[-1]
        cost = cost + last @ last.new_tensor(self.context[: len(last)])
        return cost + (last[0] + wide.sum()) * self.reduce

    def _cells(self, weights: Sequence[Tensor]) -> Tensor:
        """Expected cost of a cell without its projections at each level."""
        costs = []
        for edges, ops, fixed in zip(weights, self.ops, self.cells, strict=False):
            edges = edges[:, :-1] / edges[:, :-1].sum(dim=1, keepdim=True)
            fan_in = list(range(2, self.num_nodes + 2))
            nodes = (edges @ edges.new_tensor(ops)).split(fan_in)
            costs.append(fixed + sum(2 * node.mean() for node in nodes))
        return torch.stack(costs)

    def _projections(
        self, layer: int, transitions: Sequence[Tensor], levels: Sequence[Tensor]
    ) -> Tensor:
        """Expected cost of the projections of the two inputs of a cell."""
        now = levels[layer + 1]
        cost = now.new_zeros(())
        for back in (1, 2):
            if layer < back:
                cost = cost + now @ now.new_tensor(self.from_stem[: len(now)])
            else:
                move = transitions[layer]
                if back == 2:
                    move = transitions[layer - 1] @ move
                before = levels[layer + 1 - back]
                pair = before[:, None] * move
                from_cell = now.new_tensor(self.from_cell)[: len(before), : len(now)]
                cost = cost + (pair * from_cell).sum()
        return cost


def _simplest(genotype: HiNASGenotype) -> HiNASGenotype:
    """One cell of identities at the first level."""
    cell = (("skip_connect", 0), ("skip_connect", 1)) * genotype.num_nodes
    return genotype.replace(cells=(cell,), path=(0,))


def _op(genotype: HiNASGenotype, level: int, op: str) -> nn.Module:
    return build_op(op, genotype.widths[level], genotype.activation, affine=True)


def _parts(
    genotype: HiNASGenotype, count: Count, activate: Callable[[], nn.Module], reduce: nn.Module
) -> dict[str, Any]:
    """Costs of the projections from the stem and from cells, of the contexts, and of ``reduce``."""
    widths, nodes = genotype.widths, genotype.num_nodes

    def project(channels: int, width: int) -> float:
        return count(nn.Sequential(activate(), conv_norm(channels, width, 1)), channels)

    def context(channels: int) -> float:
        built = build_context(genotype.task, channels, genotype.activation)
        return count(nn.Sequential(activate(), built), channels)

    return dict(
        from_stem=[project(STEM_CHANNELS, width) for width in widths],
        from_cell=[[project(nodes * source, width) for width in widths] for source in widths],
        context=[context(nodes * width) for width in widths],
        reduce=count(reduce, STEM_CHANNELS),
    )


class _Cell(nn.Module):
    """A cell with one operation on all edges, both inputs being the same."""

    def __init__(self, genotype: HiNASGenotype, level: int, op: str) -> None:
        super().__init__()
        edges = [(op, 0), (op, 1)] * genotype.num_nodes
        self.cell = HiNASCell(edges, genotype.widths[level], genotype.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x, x)
