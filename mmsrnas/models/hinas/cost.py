"""What the networks of a HiNAS search space cost on average."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype

from .modules import build_candidate, conv_norm
from .network import STEM_CHANNELS, HiNASNet, build_context

__all__ = ["COSTS", "ExpectedCost"]

COSTS = ("params", "macs")


class ExpectedCost(nn.Module):
    """Expected parameters or multiply-accumulates of the derived network.

    A network is drawn as follows: the path by the transitions, two edges of each node with equal
    probability, the operation of an edge by its weights without ``none``. Where alpha and beta are
    decided and the edges of a node agree, this is the cost of the derived network.

    Args:
        cost: ``'params'``, or ``'macs'`` for multiply-accumulates of all convolutions per pixel of
            the input.
        widths: Channels of a node at each level.
        num_nodes: Nodes of a cell.
        activation: Activation of the candidates.
        network: Arguments of ``HiNASNet`` besides its genotype.

    Raises:
        ValueError: Unknown ``cost``.
    """

    def __init__(
        self, cost: str, widths: Sequence[int], num_nodes: int, activation: str, **network: object
    ) -> None:
        super().__init__()
        if cost not in COSTS:
            raise ValueError(f"cost: expected one of {COSTS}, got {cost!r}.")
        self.num_nodes = num_nodes
        size = _params if cost == "params" else _macs
        outputs = [num_nodes * width for width in widths]
        with torch.device("meta"):
            self._tables(size, widths, outputs, activation, network)

    def _tables(
        self,
        size: Callable[[nn.Module], int],
        widths: Sequence[int],
        outputs: Sequence[int],
        activation: str,
        network: dict,
    ) -> None:
        def table(name: str, values: object) -> None:
            tensor = torch.tensor(values, dtype=torch.double, device="cpu")
            self.register_buffer(name, tensor.float(), persistent=False)

        def project(channels: int, width: int) -> int:
            return size(conv_norm(channels, width, 1))

        table(
            "ops",
            [
                [size(build_candidate(op, width, activation, True)) for op in HINAS_OPS[:-1]]
                for width in widths
            ],
        )
        table("from_stem", [project(STEM_CHANNELS, width) for width in widths])
        table("from_cell", [[project(out, width) for width in widths] for out in outputs])
        table("context", [size(build_context(network["task"], o, activation)) for o in outputs])
        cell = (("skip_connect", 0), ("skip_connect", 1)) * self.num_nodes
        genotype = HiNASGenotype((cell,), (0,), widths[0], (1,), activation)
        net = HiNASNet(genotype, **network)
        table("reduce", size(net.reduce))
        fixed = (net.act, net.stem1, net.stem2, net.low_level, net.decoder, net.last)
        table("fixed", sum(map(size, fixed)))

    def forward(self, transitions: Sequence[Tensor], weights: Sequence[Sequence[Tensor]]) -> Tensor:
        """Averages over the networks of the search space.

        Args:
            transitions: For each layer, the probabilities ``(S, T)`` to go from each level that it
                reads to each level that it writes.
            weights: For each layer and level, the weights of the operations ``(E, 7)``.

        Returns:
            Differentiable scalar, in millions.
        """
        levels = [transitions[0].new_ones(1)]
        wide = levels[0]  # paths that have not been at level 0
        cost = self.fixed
        for layer, move in enumerate(transitions):
            levels.append(levels[-1] @ move)
            wide = move[0, 1:] if layer == 0 else wide @ move[1:, 1:]
            cost = cost + levels[-1] @ self._cells(weights[layer])
            cost = cost + self._projections(layer, transitions, levels)
        last = levels[-1]
        cost = cost + last @ self.context[: len(last)] + (last[0] + wide.sum()) * self.reduce
        return cost / 1e6

    def _cells(self, weights: Sequence[Tensor]) -> Tensor:
        """Expected cost of the operations of a cell at each level."""
        costs = []
        for level, edges in enumerate(weights):
            edges = edges[:, :-1] / edges[:, :-1].sum(dim=1, keepdim=True)
            fan_in = range(2, self.num_nodes + 2)
            nodes = (edges @ self.ops[level]).split(list(fan_in))
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
                cost = cost + now @ self.from_stem[: len(now)]
            else:
                move = transitions[layer]
                if back == 2:
                    move = transitions[layer - 1] @ move
                before = levels[layer + 1 - back]
                pair = before[:, None] * move
                cost = cost + (pair * self.from_cell[: len(before), : len(now)]).sum()
        return cost


def _params(module: nn.Module) -> int:
    return sum(param.numel() for param in module.parameters())


def _macs(module: nn.Module) -> int:
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))
