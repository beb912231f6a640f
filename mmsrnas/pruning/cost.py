"""What a network costs as a function of its inner widths, and widths that meet a budget."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmsrnas.costs import BudgetError, Cost, build_cost, positive_budget
from mmsrnas.models.choices import Choices
from mmsrnas.sizes import ShapesAlone

from .groups import ChannelGroup
from .surgery import remove_channels

__all__ = [
    "WidthCost",
    "fit_widths",
    "random_widths",
    "uniform_widths",
    "width_steps",
]

FILLED = 0.98
"""Share of a budget that widths should cost at least."""

MAX_FACTOR_STEPS = 50


@dataclass(frozen=True)
class _Shapes:
    """What runs in a network for an image.

    Attributes:
        inputs: Shape of the input of every module ``(C, H, W)``.
        pixels: Output positions of every convolution, over all of its calls.
    """

    inputs: dict[str, tuple[int, ...]]
    pixels: dict[str, int]


class WidthCost:
    """Cost of a network as a function of its inner widths: a sum over its sites, absolute.

    Args:
        net: The network at its full widths.
        sites: Its sites.
        cost: The cost, or its config, see :func:`~mmsrnas.costs.build_cost`. Counts are linear in
            every width. A latency is predicted for every width that is asked for, by the block
            around the site: exact on torch, nearly on onnxruntime.

    Attributes:
        full_widths: Widths of the full network ``(L,)``.
        unit: What the numbers are.

    Raises:
        ValueError: The config is no cost, or two sites share a convolution.
    """

    def __init__(
        self,
        net: nn.Module,
        sites: Sequence[ChannelGroup],
        cost: Cost | Mapping[str, Any] | str = "multi_adds",
    ) -> None:
        self.cost = build_cost(cost)
        self.unit = self.cost.unit
        self.sites = list(sites)
        self.full_widths = torch.tensor([site.width for site in sites], dtype=torch.double)
        self._net = [net]  # not a submodule of whoever owns this
        self._known: dict[tuple[str, int], float] = {}
        ends = [name for site in sites for name in (site.producer, site.consumer)]
        if len(set(ends)) < len(ends):
            raise ValueError("the sites share a convolution, so that their costs do not add up.")

    def __call__(self, widths: Sequence[int] | Tensor) -> float:
        """Cost of the network whose sites have these widths ``(L,)``."""
        return self.fixed + sum(self.of(i, [int(w)])[0] for i, w in enumerate(widths))

    def full(self) -> float:
        """Cost of the full network."""
        return self(self.full_widths)

    def of(self, site: int, widths: Sequence[int]) -> list[float]:
        """What a site costs at some widths."""
        if self.cost.type == "latency":
            return [self._latency(site, width) for width in widths]
        return [self._slopes[site] * width for width in widths]

    @cached_property
    def fixed(self) -> float:
        """Cost of all but the sites."""
        whole = self.cost(self._net[0])
        return whole - sum(self.of(i, [site.width])[0] for i, site in enumerate(self.sites))

    @cached_property
    def _shapes(self) -> _Shapes:
        size = self.cost.image_size(self._net[0])
        return _trace(self._net[0], size)

    @cached_property
    def _slopes(self) -> list[float]:
        """What one channel more costs at each site."""
        return [self._slope(site) for site in self.sites]

    def _slope(self, site: ChannelGroup) -> float:
        slope = 0.0
        for name, others in ((site.producer, "in_channels"), (site.consumer, "out_channels")):
            conv: Any = self._net[0].get_submodule(name)
            factor = site.group if name == site.producer else 1
            pixels = 1 if self.cost.type == "params" else self._shapes.pixels[name]
            slope += factor * math.prod(conv.kernel_size) * getattr(conv, others) * pixels
            if self.cost.type == "params" and name == site.producer and conv.bias is not None:
                slope += factor
        return slope

    @cached_property
    def _blocks(self) -> list[tuple[str, nn.Module, ChannelGroup, tuple[int, ...]]]:
        """For each site the module around it without its other weights, and what it reads."""
        return [self._block(site) for site in self.sites]

    def _block(self, site: ChannelGroup) -> tuple[str, nn.Module, ChannelGroup, tuple[int, ...]]:
        parent, _, producer = site.producer.rpartition(".")
        consumer = site.consumer.removeprefix(f"{parent}.")
        block = copy.deepcopy(self._net[0].get_submodule(parent))
        for name, child in block.named_children():
            if name not in (producer, consumer) and any(True for _ in child.parameters()):
                setattr(block, name, nn.Identity())
        size = self._shapes.inputs[parent]
        local = site.inside(parent)
        return f"{block} {size}", block, local, size

    def _latency(self, index: int, width: int) -> float:
        name, block, site, size = self._blocks[index]
        if (name, width) not in self._known:
            part = copy.deepcopy(block)
            remove_channels(part, [site], [torch.arange(width)])
            self._known[name, width] = self.cost(part, (size[0], size[1], size[2]))
        return self._known[name, width]


@torch.no_grad()
def _trace(net: nn.Module, image_size: tuple[int, int, int]) -> _Shapes:
    """The shapes in a network, from a forward pass without values."""
    shapes = _Shapes({}, {})
    net = copy.deepcopy(net).to("meta").eval()

    def note(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            shapes.inputs[name] = tuple(inputs[0].shape[1:])
        if isinstance(module, nn.Conv2d):
            shapes.pixels[name] = shapes.pixels.get(name, 0) + math.prod(output.shape[2:])

    for name, module in net.named_modules():
        module.register_forward_hook(partial(note, name))
    with ShapesAlone():
        net(torch.empty(1, *image_size, device="meta"))
    return shapes


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
    """Wanted widths rounded to candidates within a budget.

    All wanted widths are multiplied by the one largest factor for which the nearest candidates
    stay within the budget. Of all choices of candidates that cost at most the budget, and at least
    98 % of it, the one with the least squared relative distance from that is taken, by dynamic
    programming over the sites. Candidates that take longer than wider ones are none. Where the
    candidates are too coarse to come within 2 % of the budget (networks with few sites), any width
    is one, but for latency.

    Args:
        wanted: Wanted width of each site.
        candidates: Possible widths of each site, ascending.
        cost: The cost of widths.
        budget: Largest cost, absolute.

    Returns:
        A width for each site.

    Raises:
        BudgetError: Even the cheapest candidates cost more.
        ValueError: The budget is not positive.
    """
    budget = positive_budget(budget, cost.unit)
    options = [_undominated(cost, i, widths) for i, widths in enumerate(candidates)]
    least = cost.fixed + sum(costs[0] for _, costs in options)
    if least > budget:
        raise BudgetError(budget, least, cost.unit, "the network with the smallest widths")
    if cost.fixed + sum(costs[-1] for _, costs in options) <= budget:
        return tuple(int(widths[-1]) for widths, _ in options)
    aims = _factor(np.asarray(wanted, float), options, cost.fixed, budget) * np.asarray(wanted)
    found = Choices.nothing(budget, cost.fixed)
    for aim, (widths, costs) in zip(aims, options, strict=True):
        found = found.and_one_of(costs, (widths / aim - 1) ** 2)
    index = found.best(FILLED * budget)
    if index is None:
        finer = [range(int(min(c)), int(max(c)) + 1) for c in candidates]
        if cost.cost.type != "latency" and finer != list(candidates):
            return fit_widths(wanted, finer, cost, budget)
        index = len(found) - 1  # the dearest
    picks = found.picks[index]
    return tuple(int(widths[k]) for k, (widths, _) in zip(picks, options, strict=True))


def _undominated(
    cost: WidthCost, site: int, widths: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of a site and their costs, both ascending: those cheaper than all wider ones."""
    widths = list(widths)
    costs = cost.of(site, widths)
    kept, least = [], math.inf
    for index in reversed(range(len(widths))):
        if costs[index] < least:
            kept.append(index)
            least = costs[index]
    kept.reverse()
    return np.array([float(widths[i]) for i in kept]), np.array([costs[i] for i in kept])


def _factor(
    wanted: np.ndarray,
    options: Sequence[tuple[np.ndarray, np.ndarray]],
    fixed: float,
    budget: float,
) -> float:
    """The largest factor for which the candidates nearest to the wanted widths fit the budget."""

    def fits(factor: float) -> bool:
        nearest = (
            costs[np.abs(widths - factor * aim).argmin()]
            for aim, (widths, costs) in zip(wanted, options, strict=True)
        )
        return bool(fixed + sum(nearest) <= budget)

    low, high = 0.0, max(widths[-1] / aim for aim, (widths, _) in zip(wanted, options, strict=True))
    for _ in range(MAX_FACTOR_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
