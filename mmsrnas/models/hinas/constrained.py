"""The HiNAS network that a search prefers among those within a budget."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from torch import Tensor

from mmsrnas.costs import BudgetError
from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.models.choices import Choices
from mmsrnas.models.supernet import Preference

from .cost import HiNASCost
from .decoding import Trellis, num_edges

__all__ = ["Constrained"]

Edges = tuple[tuple[str, int], ...]
State = tuple[tuple[int, ...], bool]
"""Levels of the last two cells, and whether the network has low-level features from a cell."""


@dataclass(frozen=True)
class _Node:
    """The ways to make one node of a cell, the likeliest first.

    Attributes:
        edges: The two edges of each.
        ops: Indices of their operations ``(K, 2)``.
        losses: How much less likely than the first ``(K,)``, in nats.
    """

    edges: list[Edges]
    ops: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True)
class Constrained:
    """Decoding of HiNAS under a budget, by dynamic programming over the trellis.

    A network's loss is how much less likely it is than the favourite: its path by the moves, and
    its edges by the weights of their operations, node by node. The cost is a sum over the cells
    that depends on the levels of the two cells before each, which are the states of the trellis.

    Attributes:
        favourite: What the search prefers without a budget.
        trellis: The moves that exist.
        log_moves: Log-probabilities of the moves of each layer ``(S, 3)``.
        weights: For each layer and level, the weights of the operations ``(E, 7)``.
        cost: Costs of the networks.
    """

    favourite: HiNASGenotype
    trellis: Trellis
    log_moves: Sequence[Tensor]
    weights: Sequence[Sequence[Tensor]]
    cost: HiNASCost

    def preferred(self, budget: float, least: float = 0.0) -> Preference:
        """The network with the least loss among those within a budget.

        Args:
            budget: The most that it may cost.
            least: Networks that cost at least so much are taken where there are any.

        Raises:
            BudgetError: All networks cost more.
        """
        if least <= self.cost.of(self.favourite) <= budget:
            return Preference(self.favourite, 0.0)
        found = self._networks(budget)
        if not len(found):
            where = f"the cheapest network with mid_channels={self.favourite.mid_channels}"
            raise BudgetError(budget, self._extreme(min), self.cost.unit, where)
        index = found.best(least)
        index = found.best() if index is None else index
        genotype = self._decode(found.picks[index].tolist())
        # What the probability of a path adds is known up to that of the favourite's.
        loss = float(found.losses[index]) + self._log_probability(self.favourite.path)
        return Preference(genotype, max(0.0, loss))

    def most(self) -> float:
        """Cost of the dearest network."""
        return self._extreme(max)

    def _extreme(self, choose: Callable[..., float]) -> float:
        """Cost of the cheapest or dearest network."""
        nodes = 2 * self.favourite.num_nodes
        cells = [nodes * choose(ops) for ops in self.cost.ops]
        states: dict[State, float] = {((), False): self.cost.fixed}
        for layer in range(self.trellis.num_cells):
            following: dict[State, float] = {}
            for (before, low), total in states.items():
                for level in self.trellis.targets(layer, before[-1] if before else 0):
                    spent = total + cells[level] + self.cost.entry(before, level)
                    spent += self._end(layer, level, low)
                    state = self._after(layer, before, low, level)
                    following[state] = choose(following.get(state, spent), spent)
            states = following
        return choose(states.values())

    def _networks(self, budget: float) -> Choices:
        """All networks within a budget, for every cost the one with the least loss."""
        states = {((), False): Choices.nothing(budget, self.cost.fixed)}
        for layer in range(self.trellis.num_cells):
            following: dict[State, list[Choices]] = {}
            for (before, low), choices in states.items():
                source = before[-1] if before else 0
                for level in self.trellis.targets(layer, source):
                    loss = -self.log_moves[layer][source, level - source + 1].item()
                    entry = self.cost.entry(before, level) + self._end(layer, level, low)
                    chosen = choices.and_pick(level, entry, loss)
                    state = self._after(layer, before, low, level)
                    following.setdefault(state, []).append(chosen)
            states = {
                (before, low): self._with_cell(layer, before[-1], Choices.any_of(branches))
                for (before, low), branches in following.items()
            }
        return Choices.any_of(list(states.values()))

    def _with_cell(self, layer: int, level: int, choices: Choices) -> Choices:
        """With the operations of the cell of a layer."""
        costs = np.array(self.cost.ops[level])
        for node in self._nodes(layer, level):
            choices = choices.and_one_of(costs[node.ops].sum(axis=1), node.losses)
        return choices

    def _end(self, layer: int, level: int, low: bool) -> float:
        """What the decoder costs for a last cell at a level."""
        if layer < self.trellis.num_cells - 1:
            return 0.0
        # The last cell itself does not serve as low-level features.
        return self.cost.context[level] + (0.0 if low and level else self.cost.reduce)

    def _after(self, layer: int, before: tuple[int, ...], low: bool, level: int) -> State:
        is_last = layer == self.trellis.num_cells - 1
        return (*before[-1:], level), low or (level == 0 and not is_last)

    def _nodes(self, layer: int, level: int) -> Iterator[_Node]:
        """The ways to make each node of a cell."""
        logs = self.weights[layer][level].detach().double().cpu().log().numpy()
        for node in range(self.favourite.num_nodes):
            rows = logs[num_edges(node) : num_edges(node + 1), :-1]
            ways = [
                (rows[a, op] + rows[b, other], ((a, op), (b, other)))
                for a, b in combinations(range(len(rows)), 2)
                for op, other in product(range(len(HINAS_OPS) - 1), repeat=2)
            ]
            ways.sort(key=lambda way: -way[0])
            # Of the ways with the same two operations, which cost the same, the likeliest.
            first = {
                tuple(sorted(op for _, op in pair)): (score, pair) for score, pair in ways[::-1]
            }
            kept = sorted(first.values(), key=lambda way: -way[0])
            scores = np.array([score for score, _ in kept])
            yield _Node(
                [_named(pair, rows) for _, pair in kept],
                np.array([[op for _, op in pair] for _, pair in kept]),
                scores[0] - scores,
            )

    def _decode(self, picks: list[int]) -> HiNASGenotype:
        """The genotype of the choices that led to it: a level, and a way for each node."""
        size = 1 + self.favourite.num_nodes
        path, cells = [], []
        for layer in range(self.trellis.num_cells):
            level, *ways = picks[layer * size : (layer + 1) * size]
            nodes = zip(self._nodes(layer, level), ways, strict=True)
            path.append(level)
            cells.append(tuple(edge for node, way in nodes for edge in node.edges[way]))
        return self.favourite.replace(cells=tuple(cells), path=tuple(path))

    def _log_probability(self, path: Sequence[int]) -> float:
        steps = zip(self.log_moves, (0, *path), path, strict=False)
        return sum(rows[a, b - a + 1].item() for rows, a, b in steps)


def _named(pair: Sequence[tuple[int, int]], rows: np.ndarray) -> Edges:
    """Two edges as a genotype has them, the stronger one first."""
    ordered = sorted(pair, key=lambda edge: -rows[edge])
    return tuple((HINAS_OPS[op], source) for source, op in ordered)
