"""The search spaces of the tables, each at a size that trains in minutes on one core."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, Genotype
from mmsrnas.models import DLSRNet

from .training import Recipe

__all__ = ["SPACES", "Space"]


class Anchored(nn.Module):
    """A network whose output is added to the bicubic interpolation of its input.

    Without it a network spends most of a short training on learning to interpolate, sooner or later
    by chance: the same architecture differed by 0.65 dB between two seeds after 500 iterations.

    Args:
        net: Super-resolution network that has no such path of its own.
        scale: Its upscale factor.
    """

    def __init__(self, net: nn.Module, scale: int) -> None:
        super().__init__()
        self.net = net
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, C, H, W)`` images."""
        return self.net(x) + F.interpolate(x, scale_factor=self.scale, mode="bicubic")


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
    "dlsr": Space(
        _sample_dlsr, lambda g: Anchored(DLSRNet(g), 2), Recipe(iterations=600), count=80
    ),
}
