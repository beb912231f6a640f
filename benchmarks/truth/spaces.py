"""The search spaces of the tables, each at a size that trains in minutes on one core."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.genotypes import (
    DLSR_OPS,
    HINAS_OPS,
    DLSRGenotype,
    DRCGenotype,
    Genotype,
    HiNASGenotype,
    HNASGenotype,
)
from mmsrnas.models import DLSRNet, HiNASNet, HNASNet, init_unit_variance
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.pruning import PrunedNet

from .images import Images
from .training import Recipe, batches

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
        self.net, self.scale = net, scale

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, C, H, W)`` images."""
        return self.net(x) + F.interpolate(x, scale_factor=self.scale, mode="bicubic")


class Centered(nn.Module):
    """A network that sees a brightness as zero, and gives it back.

    Detail does not depend on brightness: a network that sees brightness has to unlearn it first.

    Args:
        net: Restores images.
        mean: The brightness.
    """

    def __init__(self, net: nn.Module, mean: float) -> None:
        super().__init__()
        self.net, self.mean = net, mean

    def forward(self, x: Tensor) -> Tensor:
        """Restores ``(N, C, H, W)`` images."""
        return self.net(x - self.mean) + self.mean


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
        anchored: Whether the networks have no path for the interpolated image of their own.
    """

    sample: Callable[[np.random.Generator], Genotype]
    build: Callable[[Any], nn.Module]
    recipe: Recipe
    count: int = 40
    scale: int = 2
    gray: bool = False
    anchored: bool = False

    def wrap(self, net: nn.Module) -> nn.Module:
        """What is trained: a network or supernet of the space with what the recipe puts around."""
        return Centered(Anchored(net, self.scale) if self.anchored else net, self.recipe.mean)

    def start(self, genotype: Any, seed: int, images: Images) -> nn.Module:
        """The network of a genotype at the start of the training with a seed."""
        torch.manual_seed(seed)
        net = self.wrap(self.build(genotype))
        if self.recipe.unit_variance:
            init_unit_variance(net, next(batches(images, self.recipe, self.scale, seed))[0])
        return net


def _sample_dlsr(rng: np.random.Generator) -> DLSRGenotype:
    """Any three operations; every cell from the third on reads its predecessor and another one."""
    ops = tuple(str(op) for op in rng.choice(DLSR_OPS, 3))
    connections = tuple((int(rng.integers(cell - 1)), cell - 1) for cell in range(2, 6))
    return DLSRGenotype(ops=ops, connections=connections, mid_channels=16, global_skip=True)


HNAS = HNASSpace(
    num_cells=6,
    upsampling_ops=("sub_pixel", "deconvolution", "bilinear", "nearest"),
    mid_channels=8,
    global_skip=True,
    deduplicate=True,
)

# What a network of features of unit variance makes is divided by this: by 255, the residual of an
# image is hundreds of steps away, and by 1, the first steps overshoot.
RANGE = 16.0
HNAS_START = {"aligned": True}


def _sample_hnas(rng: np.random.Generator) -> HNASGenotype:
    """Any cells and any position of the upsampling, as the policy draws before it has learnt."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    return HNAS.decode(HNAS.random(1, generator)[0])


def _sample_hinas(task: str, rng: np.random.Generator) -> HiNASGenotype:
    """Any operations and inputs of three nodes in three cells, any path through the widths."""

    def node(index: int) -> list[tuple[str, int]]:
        sources = sorted(rng.choice(index + 2, 2, replace=False))
        return [(str(rng.choice(HINAS_OPS[:-1])), int(source)) for source in sources]

    path: list[int] = []
    for _ in range(3):
        level = path[-1] if path else 0
        path.append(int(rng.integers(max(level - 1, 0), min(level + 1, 2) + 1)))
    cells = tuple(tuple(edge for index in range(3) for edge in node(index)) for _ in path)
    scale, channels = (1, 1) if task == "denoise" else (2, 3)
    return HiNASGenotype(
        cells, tuple(path), 8, task=task, upscale_factor=scale, in_channels=channels
    )


EDSR_ARGUMENTS = {
    "in_channels": 3, "mid_channels": 24, "num_blocks": 8, "out_channels": 3,
    "rgb_mean": (0.0, 0.0, 0.0),
    "upscale_factor": 2,
}  # fmt: skip


def _sample_widths(rng: np.random.Generator) -> DRCGenotype:
    """Widths of the blocks of a small EDSR in steps of four, each for itself."""
    blocks, full = EDSR_ARGUMENTS["num_blocks"], EDSR_ARGUMENTS["mid_channels"]
    widths = tuple(4 * int(rng.integers(1, full // 4 + 1)) for _ in range(blocks))
    return DRCGenotype("EDSRNet", (full,) * blocks, widths, tuple(EDSR_ARGUMENTS.items()))


STEADY = Recipe(iterations=600, unit_variance=True, warm_up=100, clip=0.02, mean=0.45, ends=1 / 16)
# For networks that add the interpolation, take the brightness away and divide what they make.
GLOBAL_SKIP = replace(STEADY, mean=0.0, ends=1.0)
SPACES = {
    "dlsr": Space(_sample_dlsr, partial(DLSRNet, img_range=RANGE), GLOBAL_SKIP, count=80),
    "hnas": Space(_sample_hnas, partial(HNASNet, img_range=RANGE, **HNAS_START), GLOBAL_SKIP),
    "hinas_sr": Space(partial(_sample_hinas, "sr"), HiNASNet, STEADY),
    "hinas_denoise": Space(
        partial(_sample_hinas, "denoise"),
        HiNASNet,
        replace(STEADY, sigma=50.0),
        scale=1,
        gray=True,
    ),
    "widths": Space(_sample_widths, PrunedNet, STEADY, anchored=True),
}
