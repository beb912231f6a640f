"""Decoding of HiNAS: the edges of a cell, and the path through the levels of width."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsrnas.genotypes import HINAS_OPS

__all__ = ["Trellis", "best_path", "decode_cell", "num_edges", "one_hot_cell"]

TIE = 1e-12
"""Difference of log probabilities below which two paths are equally probable."""


def num_edges(num_nodes: int) -> int:
    """Edges of a cell in which node i reads the two inputs and all nodes before it."""
    return num_nodes * (num_nodes + 3) // 2


@dataclass(frozen=True)
class Trellis:
    """The moves between levels that a search space has.

    The stem is at level 0, and every layer moves by one level at most, so that the first layers
    do not reach all levels.

    Args:
        num_cells: Number of layers, each of which gives one cell of the derived network.
        num_levels: Number of widths.
    """

    num_cells: int
    num_levels: int

    @property
    def levels(self) -> list[int]:
        """Number of levels with features before the first layer, after it, and so on."""
        return [min(n + 1, self.num_levels) for n in range(self.num_cells + 1)]

    def targets(self, layer: int, level: int) -> range:
        """Levels to which a layer may take what it reads at a level."""
        return range(max(level - 1, 0), min(level + 2, self.levels[layer + 1]))

    def sources(self, layer: int, target: int) -> list[int]:
        """Levels that a layer reads for what it writes at a level."""
        return [i for i in range(self.levels[layer]) if target in self.targets(layer, i)]

    def possible_moves(self) -> Tensor:
        """Which of the moves to the narrower, the same and the wider level exist ``(R, 3)``.

        There is a row for each layer and level that it reads.
        """
        return torch.tensor(
            [
                [level + move in self.targets(layer, level) for move in (-1, 0, 1)]
                for layer in range(self.num_cells)
                for level in range(self.levels[layer])
            ]
        )

    def path_moves(self, path: Sequence[int]) -> Tensor:
        """The moves ``(R, 3)`` with 1 for those of a path, and 0 elsewhere."""
        moves = torch.zeros(sum(self.levels[:-1]), 3)
        for rows, source, target in zip(self.split(moves), (0, *path), path, strict=False):
            rows[source, target - source + 1] = 1
        return moves

    def split(self, moves: Tensor) -> tuple[Tensor, ...]:
        """The rows ``(S, 3)`` of each layer of all rows ``(R, 3)``."""
        return moves.split(self.levels[:-1])

    def transitions(self, moves: Tensor) -> list[Tensor]:
        """For each layer, the matrix ``(S, T)`` from each level it reads to each it writes."""
        matrices = []
        for rows, columns in zip(self.split(moves), self.levels[1:], strict=True):
            # The three moves of row i belong in columns i - 1 to i + 1.
            padded = [F.pad(row, (i, len(rows) - 1 - i)) for i, row in enumerate(rows)]
            matrices.append(torch.stack(padded)[:, 1 : columns + 1])
        return matrices


def decode_cell(weights: Tensor) -> tuple[tuple[str, int], ...]:
    """Keeps the two strongest edges of each node, with their strongest operations.

    The strength of an edge is the weight of its strongest operation besides ``none``. Of equal
    edges the one from the older input comes first, of equal operations the one listed first.

    Args:
        weights: Weight of each operation on each edge ``(E, O)``, edges ordered by node.

    Returns:
        Two ``(operation, input)`` pairs per node, the stronger one first.
    """
    strength, op = (values.tolist() for values in weights[:, :-1].max(dim=1))
    cell: list[tuple[str, int]] = []
    node = 0
    while num_edges(node) < len(weights):
        edges = range(num_edges(node), num_edges(node + 1))
        kept = sorted(edges, key=lambda edge: -strength[edge])[:2]
        cell += [(HINAS_OPS[op[edge]], edge - edges.start) for edge in kept]
        node += 1
    return tuple(cell)


def one_hot_cell(weights: Tensor) -> Tensor:
    """The weights ``(E, O)`` with 1 for what :func:`decode_cell` keeps, and 0 elsewhere."""
    hard = torch.zeros_like(weights)
    for index, (op, source) in enumerate(decode_cell(weights)):
        hard[num_edges(index // 2) + source, HINAS_OPS.index(op)] = 1
    return hard


def best_path(transitions: Sequence[Tensor]) -> tuple[int, ...]:
    """Finds the most probable path through the levels (Viterbi in log space).

    Paths whose log probabilities differ by less than 1e-12 are ties, of which each step keeps the
    narrowest predecessor, and the end the narrowest level.

    Args:
        transitions: For each layer, the log probabilities to go from each level that it may read
            to the narrower, the same and the wider level ``(S, 3)``, ``-inf`` where there is none.
            The path starts at level 0, so that the first layer has one row.

    Returns:
        The level of each layer.
    """
    score = np.zeros(1)
    sources = []
    for layer in transitions:
        moves = layer.detach().double().cpu().numpy()
        score, source = _step(score, moves)
        sources.append(source)
    path = [int(np.flatnonzero(score >= score.max() - TIE)[0])]
    for source in reversed(sources[1:]):
        path.append(source[path[-1]])
    return tuple(reversed(path))


def _step(score: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Best log probability of each level after one more layer, and where it comes from."""
    reached = np.full(len(moves) + 1, -np.inf)
    source = [0] * len(reached)
    for level, row in enumerate(moves):
        for target in range(max(level - 1, 0), level + 2):
            candidate = score[level] + row[target - level + 1]
            if candidate > reached[target] + TIE:
                reached[target], source[target] = candidate, level
    return reached, source
