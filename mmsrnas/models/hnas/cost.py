"""The cost of an HNAS network, computed from its genotype."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.costs import Cost, build_cost
from mmsrnas.genotypes import HNAS_PAPER_NORMAL_OPS, HNAS_UPSAMPLING_OPS, HNASGenotype
from mmsrnas.sizes import HR_SIZE, lr_size_of

from .decoding import HNASSpace
from .network import DerivedCell, HNASNet
from .ops import build_op

__all__ = ["HNASCost", "multi_adds", "num_parameters"]

IDENTITY, NEAREST = "skip_connect", "nearest"
"""Operations without convolutions, of normal and upsampling cells."""


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


@dataclass(frozen=True)
class _Latency:
    """Predicted milliseconds of the networks of a space, in parts that add up.

    Attributes:
        fixed: Of the ends and of an upsampling cell without its operations.
        cells: Of a normal cell without its operations, before and after upsampling.
        normal: Of each normal operation, before and after upsampling.
        outer: Of each operation of the upsampling cell on what it reads from other cells.
        inner: Of each on the nodes of its own.
    """

    fixed: float
    cells: tuple[float, float]
    normal: tuple[dict[str, float], dict[str, float]]
    outer: dict[str, float]
    inner: dict[str, float]

    @classmethod
    def build(cls, cost: Cost, genotype: HNASGenotype) -> "_Latency":
        """Predicts the parts, from what they change in a cell of one kind of operation.

        Args:
            cost: The cost.
            genotype: Any network of the space.
        """
        scale, edges = genotype.upscale_factor, 2 * genotype.num_nodes
        lr = cost.target.input_size
        hr = (lr[0] * scale, lr[1] * scale)

        def normal(op: str, size: tuple[int, int]) -> float:
            return _cell_cost(cost, genotype, [(op, 0), (op, 1)] * genotype.num_nodes, False, size)

        def upsampling(op: str, inner: bool) -> float:
            first = [(NEAREST if inner else op, 0), (NEAREST if inner else op, 1)]
            source = 2 if inner else 0
            others = [(op, source), (op, source + 1 - inner)] * (genotype.num_nodes - 1)
            return _cell_cost(cost, genotype, [*first, *others], True, lr)

        cells = normal(IDENTITY, lr), normal(IDENTITY, hr)
        normal_ops = tuple(
            {op: (normal(op, size) - plain) / edges for op in HNAS_PAPER_NORMAL_OPS}
            for size, plain in zip((lr, hr), cells, strict=True)
        )
        interpolation = (NEAREST, 0), (NEAREST, 1)
        network = genotype.replace(
            upsampling=interpolation * genotype.num_nodes, upsampling_position=0, num_cells=1
        )
        width = genotype.mid_channels
        nearest = cost(build_op(NEAREST, width, scale, norm=False), (width, *lr))
        plain = upsampling(NEAREST, False)
        outer = {
            op: nearest + (upsampling(op, False) - plain) / edges for op in HNAS_UPSAMPLING_OPS
        }
        inner = dict.fromkeys(HNAS_UPSAMPLING_OPS, 0.0)
        if genotype.num_nodes > 1:
            plain = upsampling(NEAREST, True)
            inner = {op: (upsampling(op, True) - plain) / (edges - 2) for op in inner}
        fixed = cost(HNASNet(network)) - edges * nearest
        return cls(fixed, cells, (normal_ops[0], normal_ops[1]), outer, inner)

    def of(self, genotype: HNASGenotype) -> float:
        """Milliseconds of a network of the space."""
        before = genotype.upsampling_position
        total = self.fixed
        for count, cell, ops in zip(
            (before, genotype.num_cells - 1 - before), self.cells, self.normal, strict=True
        ):
            total += count * (cell + sum(ops[op] for op, _ in genotype.normal))
        upsampling = (self.inner if source > 1 else self.outer for _, source in genotype.upsampling)
        return total + sum(
            ops[op] for ops, (op, _) in zip(upsampling, genotype.upsampling, strict=True)
        )


class _Cell(nn.Module):
    """A cell that reads the same twice, and the activation in front of the next one."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.cell(x, x), inplace=True)


def _cell_cost(
    cost: Cost,
    genotype: HNASGenotype,
    edges: Sequence[tuple[str, int]],
    upsamples: bool,
    size: tuple[int, int],
) -> float:
    cell = DerivedCell(genotype.mid_channels, edges, genotype.upscale_factor, upsamples)
    return cost(_Cell(cell), (genotype.num_nodes * genotype.mid_channels, *size))


def _count(kind: str, genotype: HNASGenotype, lr_size: Sequence[int], mid_channels: int) -> int:
    if kind == "multi_adds":
        return multi_adds(genotype, lr_size, mid_channels=mid_channels)
    return num_parameters(genotype, mid_channels)


def _statistics(space: HNASSpace, cost: Callable[[HNASGenotype], float]) -> tuple[float, float]:
    rows = space.random(4096, torch.Generator().manual_seed(0))
    costs = [cost(space.decode(row)) for row in rows]
    std, mean = torch.std_mean(torch.tensor(costs).double())
    # Where all cost the same, the cost term is zero.
    return mean.item(), std.item() or 1.0


@lru_cache
def _statistics_of_counts(
    space: HNASSpace, kind: str, lr_size: tuple[int, int], mid_channels: int
) -> tuple[float, float]:
    return _statistics(space, lambda genotype: _count(kind, genotype, lr_size, mid_channels))


class HNASCost:
    """The cost of genotypes, in absolute units and relative to the genotypes of the space.

    Args:
        space: The search space.
        cost: The cost, or its config, see :func:`~mmsrnas.costs.build_cost`. Latencies are sums of
            the predicted parts of a network: exact on torch, nearly on onnxruntime.
        mid_channels: Width of the networks that the search is for; that of the space if None.

    Attributes:
        unit: What the numbers are.

    Raises:
        ValueError: An argument that no network or cost has.
    """

    def __init__(
        self,
        space: HNASSpace,
        cost: Cost | Mapping[str, Any] | str = "multi_adds",
        mid_channels: int | None = None,
    ) -> None:
        built = build_cost(cost)
        self.space = space
        self.type = built.type
        self.unit = built.unit
        self.mid_channels = mid_channels or space.mid_channels
        self.upscale_factor = space.upscale_factor
        self.lr_size = lr_size_of(built.hr_size, space.upscale_factor)
        # Any architecture of the space: it checks the width, and says what all of them have.
        self.template = space.decode([0] * len(space.sizes)).replace(mid_channels=mid_channels)
        self._parts = None
        if self.type == "latency":
            template = self.template
            self._parts = built.once(("hnas", template), lambda: _Latency.build(built, template))

    @cached_property
    def _statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of the cost of random genotypes of the space."""
        if self._parts:
            return _statistics(self.space, self._parts.of)
        return _statistics_of_counts(self.space, self.type, self.lr_size, self.mid_channels)

    @property
    def mean(self) -> float:
        """Mean cost of random genotypes of the space."""
        return self._statistics[0]

    @property
    def std(self) -> float:
        """Standard deviation of their cost."""
        return self._statistics[1]

    def __call__(self, genotype: HNASGenotype) -> float:
        """The cost of the network: multiply-accumulates, parameters or milliseconds."""
        if self._parts:
            return self._parts.of(genotype)
        return _count(self.type, genotype, self.lr_size, self.mid_channels)

    def extremes(self) -> tuple[HNASGenotype, HNASGenotype]:
        """The cheapest and the dearest architecture of the space, with the width of the cost."""
        last = self.space.num_cells - 1
        positions = (last, 0)  # cells behind the upsampling cell cost more
        cheapest, dearest = (
            self.template.replace(
                upsampling_position=position,
                normal=self._edges("normal", choose, position),
                upsampling=self._edges("upsampling", choose, position),
            )
            for position, choose in zip(positions, (min, max), strict=True)
        )
        return cheapest, dearest

    def _edges(self, field: str, choose: Any, position: int) -> tuple[tuple[str, int], ...]:
        """The cheapest or dearest edges of a cell, node by node."""
        ops = {"normal": self.space.normal_ops, "upsampling": self.space.upsampling_ops}[field]
        inner = self.space.inner_upsampling_ops
        edges: tuple[tuple[str, int], ...] = getattr(self.template, field)
        for index in range(len(edges)):
            options = [(op, 0) for op in ops]
            if field == "upsampling" and index > 1:
                options += [(op, 2) for op in inner]
            variants = [(*edges[:index], option, *edges[index + 1 :]) for option in options]
            edges = choose(
                variants,
                key=lambda e: self(
                    self.template.replace(**{field: e}, upsampling_position=position)
                ),
            )
        return edges

    def counts(self, genotype: HNASGenotype) -> dict[str, int]:
        """Multiply-accumulates and parameters of the network."""
        return {
            "multi_adds": multi_adds(genotype, self.lr_size, mid_channels=self.mid_channels),
            "params": num_parameters(genotype, self.mid_channels),
        }

    def normalised(self, genotype: HNASGenotype) -> float:
        """The cost in standard deviations above the mean of random genotypes."""
        return (self(genotype) - self.mean) / self.std

    def excess(self, genotype: HNASGenotype, budget: float) -> float:
        """The cost above a budget, in standard deviations of random genotypes."""
        return max(0.0, self(genotype) - budget) / self.std
