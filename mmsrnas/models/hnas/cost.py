"""The cost of an HNAS network, computed from its genotype."""

from collections.abc import Sequence

import torch

from mmsrnas.costs import Cost
from mmsrnas.genotypes import HNASGenotype
from mmsrnas.sizes import HR_SIZE, lr_size_of

from .decoding import HNASSpace
from .network import HNASNet

__all__ = ["HNASCost", "multi_adds", "num_parameters"]


def multi_adds(
    genotype: HNASGenotype,
    lr_size: Sequence[int] | None = None,
    variant: str = "default",
    mid_channels: int | None = None,
) -> int:
    """Multiply-accumulates of the convolutions of the network for one image.

    Args:
        genotype: The network.
        lr_size: Height and width of the LR image; None is that of a 1280x720 HR image.
        variant: ``'official'`` counts as the released code does: transposed convolutions are left
            out, and the two shifts by the mean colour are convolutions.
        mid_channels: Channels of a node, instead of those of the genotype.

    Returns:
        The exact number, transposed convolutions included unless official.
    """
    official = variant == "official"
    c = mid_channels or genotype.mid_channels
    nodes, scale, image = genotype.num_nodes, genotype.upscale_factor, genotype.in_channels
    before = genotype.upsampling_position
    after = genotype.num_cells - 1 - before
    ends = 9 * image * nodes * c
    preprocess = 2 * nodes * c**2
    normal = preprocess + sum(
        _normal_multi_adds(op, c, scale, official) for op, _ in genotype.normal
    )
    upsampling = preprocess + sum(
        _upsampling_multi_adds(op, source, c, scale, official) for op, source in genotype.upsampling
    )
    per_pixel = ends + before * normal + upsampling + scale**2 * (after * normal + ends)
    if official:  # the shifts, before and behind the network
        per_pixel += image**2 * (1 + scale**2)
    attention = sum(op == "rcab" for op, _ in genotype.normal) * 2 * c * (c // 3)
    height, width = lr_size or lr_size_of(HR_SIZE, scale)
    return height * width * per_pixel + (before + after) * attention


def num_parameters(genotype: HNASGenotype, mid_channels: int | None = None) -> int:
    """Parameters of the network, computed as :func:`multi_adds` is."""
    c = mid_channels or genotype.mid_channels
    nodes, scale, image = genotype.num_nodes, genotype.upscale_factor, genotype.in_channels
    ends = 2 * 9 * image * nodes * c + image
    preprocess = 2 * nodes * c**2
    normal = preprocess + sum(_normal_params(op, c, scale) for op, _ in genotype.normal)
    upsampling = preprocess + sum(
        _upsampling_params(op, source, c, scale) for op, source in genotype.upsampling
    )
    return ends + (genotype.num_cells - 1) * normal + upsampling


def _normal_multi_adds(op: str, c: int, scale: int, official: bool) -> int:
    """Multiply-accumulates per pixel, without the attention of ``rcab``."""
    if op == "rcab":
        return 18 * c**2
    if op == "up_and_down":  # three convolutions, three transposed ones
        return (3 if official else 6) * (scale + 4) ** 2 * c**2
    return _normal_params(op, c, scale)  # no bias: one multiplication per weight and pixel


def _normal_params(op: str, c: int, scale: int) -> int:
    if op == "skip_connect":
        return 0
    if op == "rcab":
        hidden = c // 3
        return 2 * (9 * c**2 + c) + 2 * c * hidden + hidden + c
    if op == "up_and_down":
        return 6 * ((scale + 4) ** 2 * c**2 + c + 1)
    taps = int(op[-1]) ** 2
    return (2 if op.startswith("sep") else 1) * (taps * c + c**2)


def _steps(scale: int) -> list[int]:
    return {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]


def _deconvolution_taps(scale: int) -> int:
    return {1: 9, 2: 9, 3: 9, 4: 25, 8: 81}[scale]


def _upsampling_multi_adds(op: str, source: int, c: int, scale: int, official: bool) -> int:
    """Multiply-accumulates per LR pixel."""
    if op == "deconvolution" and not official:
        if source < 2:
            return _deconvolution_taps(scale) * c**2
        return _deconvolution_taps(1) * c**2 * scale**2
    if op == "sub_pixel" and source < 2:
        total, pixels = 0, 1
        for step in _steps(scale):
            total += 9 * c**2 * step**2 * pixels
            pixels *= step**2
        return total
    return 0


def _upsampling_params(op: str, source: int, c: int, scale: int) -> int:
    scale = scale if source < 2 else 1
    if op == "deconvolution":
        return _deconvolution_taps(scale) * c**2 + c
    if op == "sub_pixel" and scale > 1:
        return sum((9 * c + 1) * c * step**2 for step in _steps(scale))
    return 0


class HNASCost:
    """The cost of genotypes, in absolute units and relative to the genotypes of the space.

    Args:
        space: The search space.
        type: ``'multi_adds'``, a count for ``lr_size``, see :func:`multi_adds`; ``'params'``, a
            count; or ``'latency'``, predicted milliseconds on ``target``.
        mid_channels: Width of the network that the search is for, not that of the supernet.
        lr_size: Height and width of the LR image of Multi-Adds; None is that of a 1280x720 HR
            image.
        target: Target of the latency, see :class:`~mmsrnas.costs.Cost`.
        table: File of the latency table.

    Attributes:
        mean: Mean cost of random genotypes of the space.
        std: Standard deviation of their cost.

    Raises:
        ValueError: An argument that no network or cost has.
    """

    def __init__(
        self,
        space: HNASSpace,
        type: str = "multi_adds",
        mid_channels: int = 64,
        lr_size: Sequence[int] | None = None,
        target: str | None = None,
        table: str | None = None,
    ) -> None:
        self.cost = Cost(type, target, table)
        if mid_channels < 3:
            raise ValueError(f"cost.mid_channels: expected at least 3, got {mid_channels!r}.")
        self.type = type
        self.mid_channels = mid_channels
        self.upscale_factor = space.upscale_factor
        self.lr_size = tuple(lr_size or lr_size_of(HR_SIZE, space.upscale_factor))
        self._predicted: dict[HNASGenotype, float] = {}
        generator = torch.Generator().manual_seed(0)
        count = 32 if type == "latency" else 4096
        costs = [self(space.decode(row)) for row in space.random(count, generator)]
        std, self.mean = (float(x) for x in torch.std_mean(torch.tensor(costs).double()))
        self.std = std or 1.0  # where all cost the same, the cost term is zero

    def __call__(self, genotype: HNASGenotype) -> float:
        """The cost of the network: multiply-accumulates, parameters or milliseconds."""
        if self.type == "multi_adds":
            return multi_adds(genotype, self.lr_size, mid_channels=self.mid_channels)
        if self.type == "params":
            return num_parameters(genotype, self.mid_channels)
        if genotype not in self._predicted:
            network = HNASNet(genotype, mid_channels=self.mid_channels)
            self._predicted[genotype] = self.cost(network)
        return self._predicted[genotype]

    def counts(self, genotype: HNASGenotype) -> dict[str, int]:
        """Multiply-accumulates and parameters of the network."""
        return {
            "multi_adds": multi_adds(genotype, self.lr_size, mid_channels=self.mid_channels),
            "params": num_parameters(genotype, self.mid_channels),
        }

    def normalised(self, genotype: HNASGenotype) -> float:
        """The cost in standard deviations above the mean of random genotypes."""
        return (self(genotype) - self.mean) / self.std
