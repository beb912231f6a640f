"""The search space of DLSR as a sequence of choices."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, GenotypeError
from mmsrnas.models.paths import TokenSpace, check_tokens
from mmsrnas.registry import TASK_UTILS

__all__ = ["DLSRSpace"]

FIRST_FREE = 3
"""The first cell that has a choice between the cells before its predecessor."""


@TASK_UTILS.register_module()
@dataclass(frozen=True)
class DLSRSpace(TokenSpace):
    """All DLSR genotypes of one size, and their tokens.

    A genotype is one row of tokens: the three operations, and for each cell from the fourth on
    which cell it reads beside its predecessor.

    Args:
        num_cells: Number of cells, at least 2.
        mid_channels: Channels of the features.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images.
        global_skip: Whether the networks add the bicubic interpolation of their input.

    Raises:
        GenotypeError: A width, depth, scale or number of channels that no genotype has.
    """

    num_cells: int = 6
    mid_channels: int = 48
    upscale_factor: int = 2
    in_channels: int = 3
    global_skip: bool = False

    def __post_init__(self) -> None:
        self.decode([0] * len(self.sizes)).with_num_cells(self.num_cells)

    @property
    def sizes(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of values of every token."""
        return (len(DLSR_OPS),) * 3 + tuple(cell - 1 for cell in range(FIRST_FREE, self.num_cells))

    def size(self) -> int:
        """Number of genotypes."""
        return math.prod(self.sizes)

    def decode(self, tokens: Sequence[int] | Tensor) -> DLSRGenotype:
        """The genotype of one row of tokens.

        Raises:
            GenotypeError: A wrong number of tokens, or a token out of its range.
        """
        found = check_tokens(tokens, self.sizes, "a DLSR genotype")
        ops: Any = tuple(DLSR_OPS[token] for token in found[:3])
        sources = [0, *found[3:]][: max(self.num_cells - 2, 0)]
        connections = tuple((source, cell + 1) for cell, source in enumerate(sources))
        return DLSRGenotype(
            ops,
            connections,
            self.mid_channels,
            self.upscale_factor,
            self.in_channels,
            self.global_skip,
        )

    def encode(self, genotype: DLSRGenotype) -> list[int]:
        """The tokens of a genotype.

        Raises:
            GenotypeError: The genotype is not in this space.
        """
        tokens = [DLSR_OPS.index(op) for op in genotype.ops]
        tokens += [source for source, _ in genotype.connections[1:]]
        try:
            if self.decode(tokens) == genotype:
                return tokens
        except GenotypeError:
            pass
        raise GenotypeError(f"{genotype} is not in the search space {self}.")

    def cover(self) -> Iterator[DLSRGenotype]:
        """Genotypes that together have every operation and connection; the first has 3x3."""
        values = max(self.sizes)
        for value in (1, 0, *range(2, values)):
            yield self.decode([value % size for size in self.sizes])

    def parts(self, genotype: DLSRGenotype) -> dict[str, str]:
        """Modules of the network that depend on the genotype, and names of their weights."""
        ops = {
            f"cells.{cell}.ops.{index}": f"cells.{cell}.ops.{index}.{op}"
            for cell in range(genotype.num_cells)
            for index, op in enumerate(genotype.ops)
        }
        return ops | {
            f"connections.{index}": f"connections.{index}.from_{first}_{second}"
            for index, (first, second) in enumerate(genotype.connections)
        }
