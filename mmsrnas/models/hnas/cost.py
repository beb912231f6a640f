"""What an HNAS network costs, computed from its genotype."""

import time
from collections.abc import Sequence

import torch

from mmsrnas.genotypes import HNASGenotype
from mmsrnas.models.sizes import HR_SIZE, lr_size_of

from .modules import check_scale
from .network import HNASNet
from .space import HNASSpace

__all__ = ["HNASCost", "multi_adds", "num_parameters"]

METRICS = ("multi_adds", "params", "latency")


def multi_adds(
    genotype: HNASGenotype,
    channels: int = 64,
    upscale_factor: int = 2,
    lr_size: Sequence[int] | None = None,
    official: bool = False,
) -> int:
    """Multiply-accumulates of the convolutions of the network for one image.

    Args:
        genotype: The network.
        channels: Channels of a node.
        upscale_factor: Ratio of HR to LR size.
        lr_size: Height and width of the LR image; None is that of a 1280x720 HR image.
        official: Count as the released code does: transposed convolutions are free, and the two
            shifts by the mean colour are convolutions.

    Returns:
        The exact number, transposed convolutions included unless ``official``.
    """
    c, nodes, square = channels, genotype.num_nodes, upscale_factor**2
    before = genotype.upsampling_position
    after = genotype.num_cells - 1 - before
    ends = 27 * nodes * c
    preprocess = 2 * nodes * c**2
    normal = preprocess + sum(
        _normal_macs(op, c, upscale_factor, official) for op, _ in genotype.normal
    )
    upsampling = preprocess + sum(
        _upsampling_macs(op, source, c, upscale_factor, official)
        for op, source in genotype.upsampling
    )
    per_pixel = ends + before * normal + upsampling + square * (after * normal + ends)
    if official:
        per_pixel += 9 * (1 + square)
    attention = sum(op == "rcab" for op, _ in genotype.normal) * 2 * c * (c // 3)
    height, width = lr_size or lr_size_of(HR_SIZE, upscale_factor)
    return height * width * per_pixel + (before + after) * attention


def num_parameters(genotype: HNASGenotype, channels: int = 64, upscale_factor: int = 2) -> int:
    """Parameters of the network, computed as :func:`multi_adds` is."""
    c, nodes = channels, genotype.num_nodes
    ends = 2 * 27 * nodes * c + 3
    preprocess = 2 * nodes * c**2
    normal = preprocess + sum(_normal_params(op, c, upscale_factor) for op, _ in genotype.normal)
    upsampling = preprocess + sum(
        _upsampling_params(op, source, c, upscale_factor) for op, source in genotype.upsampling
    )
    return ends + (genotype.num_cells - 1) * normal + upsampling


def _normal_macs(op: str, c: int, scale: int, official: bool) -> int:
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


def _upsampling_macs(op: str, source: int, c: int, scale: int, official: bool) -> int:
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
    """The cost of genotypes, relative to all genotypes of the space.

    Args:
        space: The search space.
        metric: ``'multi_adds'`` (for ``lr_size``, see :func:`multi_adds`), ``'params'``, or
            ``'latency'``: seconds of :class:`HNASNet` on ``device``, the fastest of three runs.
        channels: Channels of the network that the search is for, not those of the supernet.
        upscale_factor: Ratio of HR to LR size.
        lr_size: Height and width of the LR image; None is that of a 1280x720 HR image.
        device: Where latency is measured.

    Attributes:
        mean: Mean cost of random genotypes of the space.
        std: Standard deviation of their cost.

    Raises:
        ValueError: Unknown ``metric`` or ``upscale_factor``.
    """

    def __init__(
        self,
        space: HNASSpace,
        metric: str = "multi_adds",
        channels: int = 64,
        upscale_factor: int = 2,
        lr_size: Sequence[int] | None = None,
        device: str = "cpu",
    ) -> None:
        if metric not in METRICS:
            raise ValueError(f"cost.metric: expected one of {METRICS}, got {metric!r}.")
        check_scale(upscale_factor)
        self.metric = metric
        self.channels = channels
        self.upscale_factor = upscale_factor
        self.lr_size = tuple(lr_size or lr_size_of(HR_SIZE, upscale_factor))
        self.device = device
        self._measured: dict[HNASGenotype, float] = {}
        generator = torch.Generator().manual_seed(0)
        count = 32 if metric == "latency" else 4096
        costs = [self(space.decode(row)) for row in space.random(count, generator)]
        self.std, self.mean = (float(x) for x in torch.std_mean(torch.tensor(costs).double()))

    def __call__(self, genotype: HNASGenotype) -> float:
        """The cost of the network: multiply-accumulates, parameters or seconds."""
        if self.metric == "multi_adds":
            return multi_adds(genotype, self.channels, self.upscale_factor, self.lr_size)
        if self.metric == "params":
            return num_parameters(genotype, self.channels, self.upscale_factor)
        if genotype not in self._measured:
            self._measured[genotype] = self._measure(genotype)
        return self._measured[genotype]

    def normalised(self, genotype: HNASGenotype) -> float:
        """The cost in standard deviations above the mean of random genotypes."""
        return (self(genotype) - self.mean) / self.std

    @torch.inference_mode()
    def _measure(self, genotype: HNASGenotype) -> float:
        net = HNASNet(genotype, self.upscale_factor, self.channels).to(self.device).eval()
        x = torch.rand(1, 3, *self.lr_size, device=self.device)
        return min(_seconds(net, x) for _ in range(3))


def _seconds(net: HNASNet, x: torch.Tensor) -> float:
    start = time.perf_counter()
    net(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start
