"""The mixed cell of the HiNAS supernet."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import reduce

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmsrnas.genotypes import HINAS_OPS

from .modules import build_candidate, preactivate
from .path import num_edges

__all__ = ["MixedCell"]

SKIP = HINAS_OPS.index("skip_connect")


class MixedCell(nn.Module):
    """A cell with all operations on all edges, weighted by alpha.

    The weighted sum ``sum_o w_o * op_o(x_j)`` over all edges is evaluated by algebra: all that
    leaves a state runs together, with one activation, one convolution per kind of operation, and
    the weights as the affine part of one batch normalisation; ``none`` is not computed.

    Args:
        channels: Channels of a node.
        num_nodes: Number of nodes.
        activation: Name of the activation.
        literal: Evaluate every term on its own instead, as the formula is written.
        with_cp: Keep only the inputs for the backward pass, and compute the cell again there.
    """

    def __init__(
        self,
        channels: int,
        num_nodes: int,
        activation: str,
        literal: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.num_nodes = num_nodes
        self.activation = activation
        self.literal = literal
        self.with_cp = with_cp
        self.edges = nn.ModuleList(
            nn.ModuleList(
                build_candidate(op, channels, activation, affine=False) for op in HINAS_OPS[:SKIP]
            )
            for _ in range(num_edges(num_nodes))
        )

    def forward(self, previous: Tensor, before: Tensor, weights: Tensor) -> Tensor:
        """Runs the cell.

        Args:
            previous: Features of the previous layer ``(N, C, H, W)``.
            before: Features of the layer before that one.
            weights: Weight of each operation on each edge ``(E, O)``.

        Returns:
            The nodes, concatenated ``(N, nodes * C, H, W)``.
        """
        run = self._literal if self.literal else self._fused
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(
                run,
                previous,
                before,
                weights,
                use_reentrant=False,
                preserve_rng_state=False,
                context_fn=lambda: (nullcontext(), self._unchanged_buffers()),
            )
        return run(previous, before, weights)

    def _literal(self, previous: Tensor, before: Tensor, weights: Tensor) -> Tensor:
        states = [before, previous]
        edges = iter(zip(self.edges, weights, strict=True))
        for _ in range(self.num_nodes):
            node = 0
            for state, (ops, weight) in zip(list(states), edges, strict=False):
                results = [*(op(state) for op in ops), state, state * 0]
                node = node + sum(w * y for w, y in zip(weight, results, strict=True))
            states.append(node)
        return torch.cat(states[2:], dim=1)

    def _fused(self, previous: Tensor, before: Tensor, weights: Tensor) -> Tensor:
        states: list[Tensor | None] = [before, previous] + [None] * self.num_nodes
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
