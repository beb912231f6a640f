"""Decoding of HiNAS: the edges of a cell, and the path through the levels of width."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsrnas.genotypes import HINAS_OPS, GenotypeError, HiNASGenotype
from mmsrnas.models.paths import TokenSpace, check_tokens
from mmsrnas.registry import TASK_UTILS

__all__ = ["HiNASSpace", "Trellis", "best_path", "decode_cell", "num_edges", "one_hot_cell"]

OPS = HINAS_OPS[:-1]
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


@TASK_UTILS.register_module()
@dataclass(frozen=True)
class HiNASSpace(TokenSpace):
    """All HiNAS genotypes of one size, and their tokens.

    A genotype is one row of tokens: for each cell its level, and for each of its nodes the pair of
    inputs and the two operations. A level that the cell before does not reach means the nearest
    one that it does.

    Args:
        task: ``'denoise'`` or ``'sr'``.
        upscale_factor: Ratio of HR to LR size; 1 for denoising.
        in_channels: Channels of the images.
        num_cells: Number of cells.
        num_nodes: Number of nodes of a cell.
        mid_channels: Channels of a node at multiplier 1.
        width_multipliers: Widths of the levels in units of ``mid_channels``.
        activation: Activation of the operations.

    Raises:
        GenotypeError: An argument is out of its range.
    """

    task: str = "sr"
    upscale_factor: int = 4
    in_channels: int = 3
    num_cells: int = 2
    num_nodes: int = 3
    mid_channels: int = 8
    width_multipliers: tuple[float, ...] = (1, 1.5, 2)
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "width_multipliers", tuple(self.width_multipliers))
        self.decode([0] * len(self.sizes))

    @property
    def trellis(self) -> Trellis:
        """The moves between levels."""
        return Trellis(self.num_cells, len(self.width_multipliers))

    @property
    def sizes(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of values of every token."""
        nodes = [(len(_pairs(node)), len(OPS), len(OPS)) for node in range(self.num_nodes)]
        return (len(self.width_multipliers), *itertools.chain(*nodes)) * self.num_cells

    def size(self) -> int:
        """Number of genotypes."""
        per_cell = math.prod(self.sizes[1 : 1 + 3 * self.num_nodes])
        paths = torch.ones(1)
        for matrix in self.trellis.transitions(self.trellis.possible_moves().float()):
            paths = paths @ matrix
        return int(paths.sum()) * per_cell**self.num_cells

    def decode(self, tokens: Sequence[int] | Tensor) -> HiNASGenotype:
        """The genotype of one row of tokens.

        Raises:
            GenotypeError: A wrong number of tokens, or a token out of its range.
        """
        found = check_tokens(tokens, self.sizes, "a HiNAS genotype")
        path: list[int] = []
        cells: list[Any] = []
        size = 1 + 3 * self.num_nodes
        for layer in range(self.num_cells):
            level, *nodes = found[layer * size : (layer + 1) * size]
            reached = self.trellis.targets(layer, path[-1] if path else 0)
            path.append(min(max(level, reached[0]), reached[-1]))
            cell: list[tuple[str, int]] = []
            for node, pair in enumerate(nodes[::3]):
                (i, j), (left, right) = _pairs(node)[pair], nodes[3 * node + 1 : 3 * node + 3]
                cell += [(OPS[left], i), (OPS[right], j)]
            cells.append(tuple(cell))
        fields: dict[str, Any] = dict(activation=self.activation, task=self.task)
        return HiNASGenotype(
            tuple(cells),
            tuple(path),
            self.mid_channels,
            self.width_multipliers,
            upscale_factor=self.upscale_factor,
            in_channels=self.in_channels,
            **fields,
        )

    def encode(self, genotype: HiNASGenotype) -> list[int]:
        """The tokens of a genotype, whatever the order of the two edges of its nodes.

        Raises:
            GenotypeError: The genotype is not in this space.
        """
        tokens: list[int] = []
        cells = [_sorted_edges(cell) for cell in genotype.cells]
        try:
            for level, cell in zip(genotype.path, cells, strict=True):
                tokens.append(level)
                pairs = zip(cell[::2], cell[1::2], strict=True)
                for node, ((left, i), (right, j)) in enumerate(pairs):
                    tokens += [_pairs(node).index((i, j)), OPS.index(left), OPS.index(right)]
            if self.decode(tokens) == genotype.replace(cells=tuple(cells)):
                return tokens
        except ValueError:
            pass
        raise GenotypeError(f"{genotype} is not in the search space {self}.")

    def cover(self) -> Iterator[HiNASGenotype]:
        """Genotypes that together have every path, and every operation at every level."""
        levels = range(len(self.width_multipliers))
        paths = list(itertools.product(levels, repeat=self.num_cells))
        choices = [(path, index % len(OPS)) for index, path in enumerate(paths)]
        # A path that rises to a level at once is at it in every cell that can be.
        choices += itertools.product(
            [(level,) * self.num_cells for level in levels], range(len(OPS))
        )
        seen = set()
        for path, op in choices:
            cell = (0, op, op) * self.num_nodes
            genotype = self.decode([token for level in path for token in (level, *cell)])
            if genotype not in seen:
                seen.add(genotype)
                yield genotype

    def parts(self, genotype: HiNASGenotype) -> dict[str, str]:
        """Modules of the network that depend on the genotype, and names of their weights.

        The weights of an operation belong to its place in the cell and to the level, whatever it
        reads; those of a projection to the levels that it joins.
        """
        names = {"context": f"context.{genotype.path[-1]}"}
        before: list[Any] = ["stem", "stem", *genotype.path]
        for cell, level in enumerate(genotype.path):
            for index, source in enumerate((before[cell + 1], before[cell])):
                projection = f"projections.{cell}.{index}"
                names[projection] = f"{projection}.{source}_{level}"
            for edge, (op, _) in enumerate(genotype.cells[cell]):
                names[f"cells.{cell}.ops.{edge}"] = f"cells.{cell}.{level}.{edge}.{op}"
        return names


def _pairs(node: int) -> list[tuple[int, int]]:
    """The pairs of different inputs that a node may have."""
    return list(itertools.combinations(range(node + 2), 2))


def _sorted_edges(cell: Sequence[tuple[str, int]]) -> tuple[tuple[Any, int], ...]:
    """The edges of a cell, those of each node by their inputs."""
    nodes = (sorted(cell[i : i + 2], key=lambda edge: edge[1]) for i in range(0, len(cell), 2))
    return tuple(itertools.chain(*nodes))
