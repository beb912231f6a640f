"""Genotype of HiNAS: the operations and inputs of each cell, and the path through the widths."""

from dataclasses import dataclass
from typing import ClassVar

from .base import Genotype, GenotypeError

__all__ = ["HINAS_ACTIVATIONS", "HINAS_OPS", "HiNASGenotype"]

HINAS_OPS = (
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "skip_connect",
    "none",
)
"""Candidate operations in the order of the columns of alpha; ``none`` is never derived."""

HINAS_ACTIVATIONS = ("leaky_relu", "relu", "prelu")
"""Activations of the candidate sets."""


@dataclass(frozen=True)
class HiNASGenotype(Genotype):
    """A HiNAS network up to its task and scale (arXiv 2012.13212).

    Args:
        cells: For each cell, two ``(operation, input)`` pairs per node, node by node. Input 0 is
            the cell before the previous one, input 1 the previous cell, input ``i + 2`` node ``i``.
        path: For each cell, its level, an index into ``width_multipliers``. The first cell is at
            level 0 or 1, and neighbours differ by at most one level.
        base_channels: Channels of a node at multiplier 1.
        width_multipliers: Widths of the levels in units of ``base_channels``.
        activation: Activation of the operations, ``'leaky_relu'``, ``'relu'`` or ``'prelu'``.
    """

    method: ClassVar[str] = "hinas"

    cells: tuple[tuple[tuple[str, int], ...], ...]
    path: tuple[int, ...]
    base_channels: int
    width_multipliers: tuple[float, ...] = (1, 1.5, 2)
    activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        if self.activation not in HINAS_ACTIVATIONS:
            raise GenotypeError(
                f"genotype field 'activation': expected one of {', '.join(HINAS_ACTIVATIONS)}, "
                f"got {self.activation!r}."
            )
        if self.base_channels < 1 or min(self.widths, default=0) < 1:
            raise GenotypeError(
                "genotype fields 'base_channels' and 'width_multipliers': every width must be at "
                f"least 1, got {self.base_channels!r} and {self.width_multipliers!r}."
            )
        self._check_cells()
        self._check_path()

    def _check_cells(self) -> None:
        if not self.cells or any(len(c) != len(self.cells[0]) or len(c) % 2 for c in self.cells):
            raise GenotypeError(
                "genotype field 'cells': every cell needs two (operation, input) pairs per node, "
                f"and all cells the same number; got {[len(c) for c in self.cells]} pairs."
            )
        for index, cell in enumerate(self.cells):
            for node in range(len(cell) // 2):
                self._check_node(index, node, cell[2 * node : 2 * node + 2])

    def _check_node(self, cell: int, node: int, edges: tuple[tuple[str, int], ...]) -> None:
        where = f"genotype field 'cells': node {node} of cell {cell}"
        if any(len(edge) != 2 for edge in edges):
            raise GenotypeError(f"{where} needs (operation, input) pairs, got {edges!r}.")
        inputs = {source for _, source in edges}
        if len(inputs) != 2 or not inputs <= set(range(node + 2)):
            raise GenotypeError(
                f"{where} needs two different inputs out of 0..{node + 1}, got {edges!r}."
            )
        for op, _ in edges:
            if op not in HINAS_OPS[:-1]:
                raise GenotypeError(
                    f"{where}: unknown operation {op!r}; known: {', '.join(HINAS_OPS[:-1])}."
                )

    def _check_path(self) -> None:
        if len(self.path) != len(self.cells):
            raise GenotypeError(
                f"genotype field 'path': expected {len(self.cells)} levels, one per cell, "
                f"got {self.path!r}."
            )
        levels = len(self.width_multipliers)
        previous = 0
        for cell, level in enumerate(self.path):
            if level not in range(levels):
                raise GenotypeError(
                    f"genotype field 'path': unknown level {level!r} of cell {cell}; "
                    f"'width_multipliers' has the levels 0..{levels - 1}."
                )
            if abs(level - previous) > 1:
                raise GenotypeError(
                    f"genotype field 'path': cell {cell} goes from level {previous} to {level}; "
                    "neighbours differ by at most one, and the network starts at level 0."
                )
            previous = level

    @property
    def num_nodes(self) -> int:
        """Nodes of a cell."""
        return len(self.cells[0]) // 2

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of a node at each level."""
        return tuple(int(self.base_channels * m) for m in self.width_multipliers)

    @property
    def low_level_cell(self) -> int | None:
        """The last cell at level 0, unless there is none or it is the last cell of all.

        The decoder reads its output beside that of the last cell, or else the stem's.
        """
        narrow = [cell for cell, level in enumerate(self.path) if level == 0]
        return narrow[-1] if narrow and narrow[-1] != len(self.path) - 1 else None

    @property
    def skip_counts(self) -> tuple[int, ...]:
        """Number of identity operations in each cell."""
        return tuple(sum(op == "skip_connect" for op, _ in cell) for cell in self.cells)
