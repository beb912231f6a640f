"""What DLSR networks cost: exactly for a genotype, in parts for the supernet's expectation."""

from collections.abc import Iterator

import torch

from mmsrnas.costs import Cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.sizes import HR_SIZE, lr_size_of

from .network import DLSRNet
from .ops import build_op

__all__ = ["COSTS", "OFFICIAL_OP_PARAMS", "cost_parts", "fixed_cost", "network_cost", "op_costs"]

COSTS = ("params", "multi_adds")

OFFICIAL_OP_PARAMS = (2500, 22500, 62500, 122500, 5900, 7500, 9900, 2950, 3750)
"""Costs of the candidates in the released code: parameters at 50 channels, all in all 240,000."""


def op_costs(cost: str, genotype: DLSRGenotype) -> list[int]:
    """Costs of the nine candidates in one cell.

    Args:
        cost: ``'params'``, or ``'multi_adds'`` for a 1280x720 HR image.
        genotype: The width and the scale; its operations do not matter.

    Returns:
        A count per candidate, in the order of ``DLSR_OPS``.
    """
    with torch.device("meta"):
        ops = [build_op(name, genotype.mid_channels) for name in DLSR_OPS]
    params = [sum(p.numel() for p in op.parameters()) for op in ops]
    # Without bias and at full size, every weight is one multiplication per LR pixel.
    pixels = 1 if cost == "params" else _pixels(*_lr_size(genotype))
    return [count * pixels for count in params]


def fixed_cost(cost: str, genotype: DLSRGenotype) -> int:
    """Cost of everything but the searched operations, in the unit of :func:`op_costs`."""
    if cost == "params":
        return sum(weights + biases for weights, biases, _ in _convolutions(genotype))
    return sum(weights * pixels for weights, _, pixels in _convolutions(genotype))


def network_cost(cost: str, genotype: DLSRGenotype) -> int:
    """Cost of the network of a genotype, in the unit of :func:`op_costs`."""
    per_op = dict(zip(DLSR_OPS, op_costs(cost, genotype), strict=True))
    searched = sum(per_op[op] for op in genotype.ops)
    return fixed_cost(cost, genotype) + genotype.num_cells * searched


def cost_parts(cost: Cost, genotype: DLSRGenotype) -> tuple[float, list[float]]:
    """A cost of any type, in the parts of which a supernet makes an expectation.

    Args:
        cost: The cost.
        genotype: The width, depth and scale; its operations do not matter.

    Returns:
        The cost of all that is not searched, and that of each candidate in one cell.
    """
    channels = genotype.mid_channels
    network = DLSRNet(genotype)
    _, height, width = cost.image_size(network)
    ops = [cost(build_op(name, channels), (channels, height, width)) for name in DLSR_OPS]
    searched = sum(ops[DLSR_OPS.index(op)] for op in genotype.ops)
    # The candidates can be a little dearer alone than in a network, whose layout suits its runtime.
    return max(0.0, cost(network) - genotype.num_cells * searched), ops


def _lr_size(genotype: DLSRGenotype) -> tuple[int, int]:
    return lr_size_of(HR_SIZE, genotype.upscale_factor)


def _pixels(height: int, width: int) -> int:
    return height * width


def _convolutions(genotype: DLSRGenotype) -> Iterator[tuple[int, int, int]]:
    """Weights, biases and output pixels of every convolution around the searched operations."""
    height, width = _lr_size(genotype)
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
