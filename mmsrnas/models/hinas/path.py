"""Decoding of HiNAS: the edges of a cell, and the path through the widths."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmsrnas.genotypes import HINAS_OPS

__all__ = ["best_path", "decode_cell", "num_edges", "one_hot_cell", "reached_levels"]


TIE = 1e-12
"""Difference of log probabilities below which two paths are equally probable."""


def num_edges(num_nodes: int) -> int:
    """Edges of a cell in which node i reads the two inputs and all nodes before it."""
    return num_nodes * (num_nodes + 3) // 2


def reached_levels(layers: int, num_levels: int) -> int:
    """Number of levels with features after so many layers, which may widen by one level each."""
    return min(layers + 1, num_levels)


def decode_cell(weights: Tensor) -> tuple[tuple[str, int], ...]:
    """Keeps the two strongest edges of each node, with their strongest operations.

    The strength of an edge is the weight of its strongest operation besides ``none``. Of equal
    edges the one with the lower input comes first, of equal operations the one listed first.

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
