"""What a network costs as a function of its inner widths, and widths that meet a budget."""

import copy
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.sizes import HR_SIZE, in_channels_of, lr_size_of, upscale_factor_of

from .groups import Site

__all__ = [
    "COSTS",
    "WidthCost",
    "fit_widths",
    "random_widths",
    "uniform_widths",
    "width_steps",
]

COSTS = ("multi_adds", "params")
TOLERANCE = 0.02


class WidthCost:
    """Cost of a network as a function of its inner widths, absolute.

    Args:
        net: The network at its full widths.
        sites: Its sites.
        kind: ``'multi_adds'`` counts multiply-accumulates of the convolutions, biases not, as
            mmengine does; ``'params'`` counts parameters.
        lr_size: ``(height, width)`` of the LR image for ``'multi_adds'``; None is that of a
            1280x720 HR image.

    Raises:
        ValueError: Unknown ``kind``.
    """

    def __init__(
        self,
        net: nn.Module,
        sites: Sequence[Site],
        kind: str = "multi_adds",
        lr_size: tuple[int, int] | None = None,
    ) -> None:
        if kind not in COSTS:
            raise ValueError(f"cost: expected one of {COSTS}, got {kind!r}.")
        convs = {n: m for n, m in net.named_modules() if isinstance(m, nn.Conv2d)}
        if kind == "params":
            pixels = dict.fromkeys(convs, 1)
        else:
            pixels = _output_pixels(net, list(convs), lr_size)
        self.full_widths = torch.tensor([site.width for site in sites], dtype=torch.double)
        # A factor that is no searched width is the constant 1 at the end of the list of widths.
        inputs = {site.consumer: (i, 1) for i, site in enumerate(sites)}
        outputs = {site.producer: (i, site.group) for i, site in enumerate(sites)}
        rows = []
        self.constant = 0.0
        for name, conv in convs.items():
            in_index, in_factor = inputs.get(name, (len(sites), conv.in_channels))
            out_index, out_factor = outputs.get(name, (len(sites), conv.out_channels))
            taps = math.prod(conv.kernel_size) * pixels[name] / conv.groups
            bias = out_factor if kind == "params" and conv.bias is not None else 0
            rows.append((in_index, out_index, taps * in_factor * out_factor, bias))
        if kind == "params":
            in_convs = {id(p) for conv in convs.values() for p in conv.parameters()}
            self.constant = sum(p.numel() for p in net.parameters() if id(p) not in in_convs)
        in_index, out_index, per_product, per_output = zip(*rows, strict=True)
        self.in_index, self.out_index = torch.tensor(in_index), torch.tensor(out_index)
        self.per_product = torch.tensor(per_product, dtype=torch.double)
        self.per_output = torch.tensor(per_output, dtype=torch.double)

    def __call__(self, widths: Tensor) -> Tensor:
        """Cost of the network.

        Args:
            widths: Inner width of each site ``(L,)``; expectations are fine, the inner widths of a
                convolution being independent.

        Returns:
            Scalar in float64, differentiable in the widths.
        """
        widths = torch.cat([widths.double(), widths.new_ones(1, dtype=torch.double)])
        device = widths.device
        outputs = widths[self.out_index.to(device)]
        products = widths[self.in_index.to(device)] * outputs
        varying = self.per_product.to(device) @ products + self.per_output.to(device) @ outputs
        return varying + self.constant

    def full(self) -> float:
        """Cost of the full network."""
        return self(self.full_widths).item()


def _output_pixels(
    net: nn.Module, convs: Sequence[str], lr_size: tuple[int, int] | None
) -> dict[str, int]:
    """Output positions of every convolution, from a forward pass without values."""
    if lr_size is None:
        lr_size = lr_size_of(HR_SIZE, upscale_factor_of(net))
    in_channels = in_channels_of(net)
    net = copy.deepcopy(net).to("meta").eval()
    pixels = dict.fromkeys(convs, 0)

    def note(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        pixels[name] += math.prod(output.shape[2:])

    for name in convs:
        net.get_submodule(name).register_forward_hook(partial(note, name))
    with torch.no_grad():
        net(torch.empty(1, in_channels, *lr_size, device="meta"))
    return pixels


def uniform_widths(cost: WidthCost, budget: float, divisor: int = 4) -> tuple[int, ...]:
    """Widths that are the same share of the full ones at every site, within a budget.

    Args:
        cost: The cost of widths.
        budget: Largest cost, absolute.
        divisor: Step of the widths.

    Returns:
        A width for each site.

    Raises:
        ValueError: Even the smallest widths cost more.
    """
    return fit_widths(cost.full_widths, _steps(cost, divisor), cost, budget)


def random_widths(cost: WidthCost, budget: float, seed: int, divisor: int = 4) -> tuple[int, ...]:
    """Widths that are random shares, 20 to 100 % before the budget, of the full ones.

    Args:
        cost: The cost of widths.
        budget: Largest cost, absolute.
        seed: Random seed.
        divisor: Step of the widths.

    Returns:
        A width for each site.

    Raises:
        ValueError: Even the smallest widths cost more.
    """
    generator = torch.Generator().manual_seed(seed)
    shares = 0.2 + 0.8 * torch.rand(len(cost.full_widths), generator=generator)
    return fit_widths(cost.full_widths * shares, _steps(cost, divisor), cost, budget)


def width_steps(width: int, divisor: int) -> list[int]:
    """The multiples of a divisor below a full width, and the full width."""
    return [*range(divisor, width, divisor), width]


def _steps(cost: WidthCost, divisor: int) -> list[list[int]]:
    return [width_steps(int(width), divisor) for width in cost.full_widths]


def fit_widths(
    wanted: Sequence[float] | Tensor,
    candidates: Sequence[Sequence[int]],
    cost: WidthCost,
    budget: float,
) -> tuple[int, ...]:
    """Wanted widths rounded to candidates so that the cost comes close to a budget from below.

    All wanted widths are multiplied by the one largest factor for which the nearest candidates
    stay within the budget; what is left of it then goes, candidate by candidate, to the sites that
    rounding has cut most. Where the candidates are too coarse to come within 2 % of the budget
    (networks with few sites), single channels follow.

    Args:
        wanted: Wanted width of each site.
        candidates: Possible widths of each site, ascending.
        cost: The cost of widths.
        budget: Largest cost, absolute.

    Returns:
        A width for each site.

    Raises:
        ValueError: Even the smallest candidates cost more.
    """
    aims = torch.as_tensor(wanted, dtype=torch.double)
    last = torch.tensor([len(options) - 1 for options in candidates])
    table = torch.zeros(len(candidates), int(last.max()) + 1, dtype=torch.double)
    for row, options in zip(table, candidates, strict=True):
        row[: len(options)] = torch.tensor(options)
        row[len(options) :] = math.inf
    sites = torch.arange(len(candidates))

    def nearest(factor: float) -> Tensor:
        return (table - factor * aims[:, None]).abs().argmin(dim=1)

    def cost_of(choice: Tensor) -> float:
        return cost(table[sites, choice]).item()

    choice = torch.zeros_like(last)
    if cost_of(choice) > budget:
        raise ValueError(f"The smallest widths cost {cost_of(choice):g}, more than {budget:g}.")
    low, high = 0.0, (table[sites, last] / aims).max().item()
    if cost_of(nearest(high)) <= budget:
        low = high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if cost_of(nearest(middle)) <= budget else (low, middle)
    choice = nearest(low)
    open_sites = choice < last
    while open_sites.any():
        cut = low * aims - table[sites, choice]
        site = torch.where(open_sites, cut, -math.inf).argmax()
        choice[site] += 1
        if cost_of(choice) > budget:
            choice[site] -= 1
            open_sites[site] = False
        elif choice[site] == last[site]:
            open_sites[site] = False
    return _top_up(table[sites, choice], table[sites, last], low * aims, cost, budget)


def _top_up(
    widths: Tensor, largest: Tensor, wanted: Tensor, cost: WidthCost, budget: float
) -> tuple[int, ...]:
    """Adds single channels until the cost is within 2 % of the budget."""
    open_sites = widths < largest
    while cost(widths) < (1 - TOLERANCE) * budget and open_sites.any():
        site = torch.where(open_sites, wanted - widths, -math.inf).argmax()
        widths[site] += 1
        if cost(widths) > budget:
            widths[site] -= 1
            open_sites[site] = False
        elif widths[site] == largest[site]:
            open_sites[site] = False
    return tuple(int(width) for width in widths)
