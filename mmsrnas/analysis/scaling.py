"""Networks brought to a budget by one width for all layers: what every search has to beat."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mmsrnas.costs import Cost

__all__ = ["Scaled", "scale_to_budget"]

MAX_WIDTH = 512
LOOK_AHEAD = 4
"""Widths beyond one that fits that are tried, because latency rises in steps."""


@dataclass(frozen=True)
class Scaled:
    """A network of a certain width.

    Attributes:
        network: The network, freshly initialised.
        width: Its width.
        cost: Its cost.
    """

    network: nn.Module
    width: int
    cost: float


def scale_to_budget(
    build: Callable[[int], nn.Module],
    cost: Cost,
    budget: float,
    step: int = 1,
    min_width: int | None = None,
    max_width: int = MAX_WIDTH,
) -> Scaled:
    """Finds the widest network within a budget.

    Latency is no steady function of the width: 24 channels can take longer than 32. So the widths
    above the one that bisection finds are tried as well.

    Args:
        build: Makes the network of a width.
        cost: The cost.
        budget: The most that the network may cost, in absolute units of ``cost``.
        step: Distance of the widths that are considered.
        min_width: First width; ``step`` if None.
        max_width: Largest width.

    Returns:
        The network.

    Raises:
        ValueError: The budget is not positive, or the narrowest network costs more.
    """
    if not budget > 0:
        raise ValueError(f"budget: expected a positive number of {cost.unit}, got {budget!r}.")
    known: dict[int, Scaled] = {}

    first = min_width or step

    def at(index: int) -> Scaled:
        width = first + index * step
        if width not in known:
            network = build(width)
            known[width] = Scaled(network, width, cost(network))
        return known[width]

    if at(0).cost > budget:
        raise ValueError(
            f"budget: the narrowest network, {first} channels, costs {at(0).cost:,.4g} "
            f"{cost.unit}; {budget:,.4g} are out of reach."
        )
    last = max(0, max_width - first) // step
    low, high = 0, 1
    while high <= last and at(high).cost <= budget:
        low, high = high, 2 * high
    high = min(high - 1, last)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if at(middle).cost <= budget else (low, middle - 1)
    index = low
    while index < min(low + LOOK_AHEAD, last):
        index += 1
        if at(index).cost <= budget:
            low = index
    return at(low)
