"""Expected cost of the networks of a HiNAS search space."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.sizes import HR_SIZE, lr_size_of

from .modules import STEM_CHANNELS, conv_norm
from .network import HiNASNet, build_context
from .ops import build_op

__all__ = ["COSTS", "ExpectedCost"]

COSTS = ("params", "multi_adds")


@dataclass(frozen=True)
class ExpectedCost:
    """Expected parameters or Multi-Adds of the derived network.

    A network is drawn as follows: the path by the moves, two edges of each node with equal
    probability, the operation of an edge by its weights without ``none``. Where alpha and beta are
    decided and the edges of a node agree, this is the cost of the derived network.

    Attributes:
        num_nodes: Nodes of a cell.
        ops: For each level, the cost of each operation.
        from_stem: For each level, the cost of projecting the features of the stem to it.
        from_cell: The same for each level of a cell that is projected, and each target level.
        context: For each level, the cost of what the decoder does to a last cell there.
        reduce: Cost of the convolution that makes low-level features where no cell does.
        fixed: Cost of all else.
    """

    num_nodes: int
    ops: list[list[int]]
    from_stem: list[int]
    from_cell: list[list[int]]
    context: list[int]
    reduce: int
    fixed: int

    @classmethod
    def build(cls, metric: str, genotype: HiNASGenotype) -> "ExpectedCost":
        """Counts the parts of the networks of a search space.

        Args:
            metric: ``'params'``, or ``'multi_adds'`` for the multiply-accumulates of all
                convolutions for an output of 1280x720 pixels.
            genotype: Any network of the search space.

        Raises:
            ValueError: Unknown ``metric``.
        """
        if metric not in COSTS:
            raise ValueError(f"cost: expected one of {COSTS}, got {metric!r}.")
        height, width = lr_size_of(HR_SIZE, genotype.upscale_factor)

        def count(*modules: nn.Module) -> int:
            if metric == "params":
                return sum(p.numel() for module in modules for p in module.parameters())
            convs = (m for module in modules for m in module.modules() if isinstance(m, nn.Conv2d))
            return height * width * sum(conv.weight.numel() for conv in convs)

        widths, activation = genotype.widths, genotype.activation
        outputs = [genotype.num_nodes * width for width in widths]
        cell = (("skip_connect", 0), ("skip_connect", 1)) * genotype.num_nodes
        with torch.device("meta"):
            net = HiNASNet(genotype.replace(cells=(cell,), path=(0,)))
            return cls(
                num_nodes=genotype.num_nodes,
                ops=[
                    [count(build_op(op, width, activation, affine=True)) for op in HINAS_OPS[:-1]]
                    for width in widths
                ],
                from_stem=[count(conv_norm(STEM_CHANNELS, width, 1)) for width in widths],
                from_cell=[[count(conv_norm(c, w, 1)) for w in widths] for c in outputs],
                context=[count(build_context(net.task, c, activation)) for c in outputs],
                reduce=count(net.reduce),
                fixed=count(net.act, net.stem1, net.stem2, net.low_level, net.decoder, net.last),
            )

    def __call__(
        self, transitions: Sequence[Tensor], weights: Sequence[Sequence[Tensor]]
    ) -> Tensor:
        """Averages over the networks of the search space.

        Args:
            transitions: For each layer, the probabilities ``(S, T)`` to go from each level that it
                reads to each level that it writes.
            weights: For each layer and level, the weights of the operations ``(E, 7)``.

        Returns:
            Differentiable scalar, a count.
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
        """Expected cost of the operations of a cell at each level."""
        costs = []
        for edges, ops in zip(weights, self.ops, strict=False):
            edges = edges[:, :-1] / edges[:, :-1].sum(dim=1, keepdim=True)
            fan_in = list(range(2, self.num_nodes + 2))
            nodes = (edges @ edges.new_tensor(ops)).split(fan_in)
            costs.append(sum(2 * node.mean() for node in nodes))
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
