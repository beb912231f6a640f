"""Genotype of DLSR: the operations of the cell, and the inputs of each cell."""

from dataclasses import dataclass
from typing import ClassVar

from .base import Genotype, GenotypeError

__all__ = ["DLSR_OPS", "DLSRGenotype"]

DLSR_OPS = (
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "conv_7x7",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Candidate operations in the order of the columns of alpha."""


@dataclass(frozen=True)
class DLSRGenotype(Genotype):
    """A DLSR network up to its scale (arXiv 2105.03939).

    Args:
        ops: Names of the three operations of the cell, the same in all cells.
        connections: For each cell from the third on, the two cells it reads, counted from 0 and in
            the order in which they are concatenated. Six cells have four pairs.
        mid_channels: Channels of the features, an even number of at least 4.
    """

    method: ClassVar[str] = "dlsr"

    ops: tuple[str, str, str]
    connections: tuple[tuple[int, int], ...]
    mid_channels: int = 48

    def __post_init__(self) -> None:
        if len(self.ops) != 3:
            raise GenotypeError(f"genotype field 'ops': expected 3 operations, got {self.ops!r}.")
        for op in self.ops:
            if op not in DLSR_OPS:
                raise GenotypeError(
                    f"genotype field 'ops': unknown operation {op!r}; known: {', '.join(DLSR_OPS)}."
                )
        for cell, pair in enumerate(self.connections, start=2):
            valid = len(pair) == 2 and pair[0] != pair[1] and all(0 <= i < cell for i in pair)
            if not valid:
                raise GenotypeError(
                    f"genotype field 'connections': cell {cell} needs two different cells "
                    f"out of 0..{cell - 1}, got {pair!r}."
                )
        if self.mid_channels < 4 or self.mid_channels % 2:
            raise GenotypeError(
                "genotype field 'mid_channels': expected an even number >= 4, "
                f"got {self.mid_channels!r}."
            )

    @property
    def num_cells(self) -> int:
        """Number of cells of the network."""
        return len(self.connections) + 2
