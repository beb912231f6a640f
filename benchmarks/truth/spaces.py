"""The search spaces of the tables, each at a size that trains in minutes on one core."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, Genotype
from mmsrnas.models import DLSRNet

from .training import Recipe

__all__ = ["SPACES", "Space"]


@dataclass(frozen=True)
class Space:
    """A search space at a reduced size.

    Attributes:
        sample: Draws a genotype uniformly.
        build: Makes the network of a genotype.
        recipe: How the networks are trained.
        count: Architectures that the table is to have.
        scale: Ratio of HR to LR size, 1 for denoising.
        gray: Whether the images are gray.
    """

    sample: Callable[[np.random.Generator], Genotype]
    build: Callable[[Any], nn.Module]
    recipe: Recipe
    count: int
    scale: int = 2
    gray: bool = False


def _sample_dlsr(rng: np.random.Generator) -> DLSRGenotype:
    """Any three operations; every cell from the third on reads its predecessor and another one."""
    ops = tuple(str(op) for op in rng.choice(DLSR_OPS, 3))
    connections = tuple((int(rng.integers(cell - 1)), cell - 1) for cell in range(2, 6))
    return DLSRGenotype(ops=ops, connections=connections, mid_channels=16)


SPACES = {
    "dlsr": Space(_sample_dlsr, DLSRNet, Recipe(iterations=1000), count=80),
}
