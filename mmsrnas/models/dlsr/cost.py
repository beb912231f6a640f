"""What DLSR networks cost: exactly for a genotype, in parts for the supernet's expectation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mmsrnas.costs import Cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.sizes import HR_SIZE, lr_size_of

from .modules import DLSRCell
from .network import DLSRNet
from .ops import build_op

__all__ = ["OFFICIAL_OP_PARAMS", "DLSRCost", "fixed_cost", "network_cost", "op_costs"]

OFFICIAL_OP_PARAMS = (2500, 22500, 62500, 122500, 5900, 7500, 9900, 2950, 3750)
"""Costs of the candidates in the released code: parameters at 50 channels, all in all 240,000."""


def op_costs(cost: str, genotype: DLSRGenotype, hr_size: tuple[int, int] = HR_SIZE) -> list[int]:
    """Costs of the nine candidates in one cell.

    Args:
        cost: ``'params'`` or ``'multi_adds'``.
        genotype: The width and the scale; its operations do not matter.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.

    Returns:
        A count per candidate, in the order of ``DLSR_OPS``.
    """
    with torch.device("meta"):
        ops = [build_op(name, genotype.mid_channels) for name in DLSR_OPS]
    params = [sum(p.numel() for p in op.parameters()) for op in ops]
    # Without bias and at full size, every weight is one multiplication per LR pixel.
    pixels = 1 if cost == "params" else _pixels(*lr_size_of(hr_size, genotype.upscale_factor))
    return [count * pixels for count in params]


def fixed_cost(cost: str, genotype: DLSRGenotype, hr_size: tuple[int, int] = HR_SIZE) -> int:
    """Cost of everything but the searched operations, in the unit of :func:`op_costs`."""
    convolutions = _convolutions(genotype, *lr_size_of(hr_size, genotype.upscale_factor))
    if cost == "params":
        return sum(weights + biases for weights, biases, _ in convolutions)
    return sum(weights * pixels for weights, _, pixels in convolutions)


def network_cost(cost: str, genotype: DLSRGenotype) -> int:
    """Cost of the network of a genotype, in the unit of :func:`op_costs`."""
    per_op = dict(zip(DLSR_OPS, op_costs(cost, genotype), strict=True))
    searched = sum(per_op[op] for op in genotype.ops)
    return fixed_cost(cost, genotype) + genotype.num_cells * searched


@dataclass(frozen=True)
class DLSRCost:
    """What the networks of a DLSR search space cost, in parts that add up.

    Attributes:
        fixed: Cost of all that is not searched.
        ops: Cost of each candidate in one cell, in the order of ``DLSR_OPS``.
        num_cells: Number of cells.
        unit: What the numbers are.
    """

    fixed: float
    ops: tuple[float, ...]
    num_cells: int
    unit: str

    @classmethod
    def build(cls, cost: Cost, genotype: DLSRGenotype) -> "DLSRCost":
        """The parts of a cost of any type.

        For latency, the candidates are predicted as a network has them: from the difference that
        one makes to a network with nothing but 1x1 convolutions. On torch the parts add up
        exactly, on onnxruntime nearly.

        Args:
            cost: The cost.
            genotype: The width, depth and scale; its operations do not matter.
        """
        return cost.once((cls, genotype), lambda: cls._build(cost, genotype))

    @classmethod
    def _build(cls, cost: Cost, genotype: DLSRGenotype) -> "DLSRCost":
        cells = genotype.num_cells
        if cost.type == "latency":
            cell = [_cell_latency(cost, name, genotype) for name in DLSR_OPS]
            size = (genotype.mid_channels, *cost.target.input_size)
            alone = cost(build_op(DLSR_OPS[0], genotype.mid_channels), size)
            ops = [alone + (other - cell[0]) / 3 for other in cell]
            simplest = genotype.replace(ops=DLSR_OPS[:1] * 3)
            fixed = cost(DLSRNet(simplest)) - cells * 3 * ops[0]
            return cls(fixed, tuple(ops), cells, cost.unit)
        fixed = fixed_cost(cost.type, genotype, cost.hr_size)
        ops = map(float, op_costs(cost.type, genotype, cost.hr_size))
        return cls(float(fixed), tuple(ops), cells, cost.unit)

    def of(self, choices: Sequence[int]) -> float:
        """Cost of the network whose cells have these candidates."""
        return self.fixed + self.num_cells * sum(self.ops[i] for i in choices)

    def least(self) -> float:
        """Cost of the cheapest network."""
        return self.of([self.ops.index(min(self.ops))] * 3)

    def most(self) -> float:
        """Cost of the dearest network."""
        return self.of([self.ops.index(max(self.ops))] * 3)


def _cell_latency(cost: Cost, name: str, genotype: DLSRGenotype) -> float:
    """Latency of a cell with the same candidate three times."""
    channels = genotype.mid_channels
    cell = DLSRCell(channels, [build_op(name, channels) for _ in range(3)])
    return cost(cell, (channels, *cost.target.input_size))


def _pixels(height: int, width: int) -> int:
    return height * width


def _convolutions(
    genotype: DLSRGenotype, height: int, width: int
) -> Iterator[tuple[int, int, int]]:
    """Weights, biases and output pixels of every convolution around the searched operations."""
    full = height * width
    # The pooling of the attention: a convolution of stride 2, then a maximum of stride 3 over 7.
    down = [(side - 3) // 2 + 1 for side in (height, width)]
    pooled = [(side - 7) // 3 + 1 for side in down]
    c, cells = genotype.mid_channels, genotype.num_cells
    distilled, hidden = c // 2, c // 4
    images = genotype.in_channels
    yield 9 * images * c, c, full  # the stem
    for _ in range(cells):
        yield 3 * c * distilled, 3 * distilled, full
        yield 9 * c * distilled, distilled, full
        yield 4 * distilled * c, c, full
        yield c * hidden + hidden**2 + hidden * c, 2 * hidden + c, full
        yield 9 * hidden**2, hidden, _pixels(*down)
        yield 3 * 9 * hidden**2, 3 * hidden, _pixels(*pooled)
    for _ in genotype.connections:
        yield 2 * c * c, c, full
    yield cells * c * c, c, full
    yield 9 * c * c, c, full
    outputs = images * genotype.upscale_factor**2
    yield 9 * c * outputs, outputs, full
