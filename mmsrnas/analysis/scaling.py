"""Networks brought to a budget by one width for all layers: what every search has to beat."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mmsrnas.costs import BudgetError, Cost, positive_budget

__all__ = ["FILLED", "Scaled", "scale_to_budget", "widest"]

FILLED = 0.98
"""Share of a budget that is used where the space is fine enough."""

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
    ahead: int = LOOK_AHEAD,
) -> Scaled:
    """Finds the widest network within a budget, see :func:`widest`.

    Args:
        build: Makes the network of a width.
        cost: The cost.
        budget: The most that the network may cost, in absolute units of ``cost``.
        step: Distance of the widths that are considered.
        min_width: First width; ``step`` if None.
        max_width: Largest width.
        ahead: Number of widths that are tried beyond the first that exceeds the budget.

    Returns:
        The network.

    Raises:
        BudgetError: The narrowest network costs more.
        ValueError: The budget is not positive.
    """
    known: dict[int, Scaled] = {}

    def cost_at(width: int) -> float:
        if width not in known:
            network = build(width)
            known[width] = Scaled(network, width, cost(network))
        return known[width].cost

    width = widest(cost_at, budget, cost.unit, step, min_width or step, max_width, ahead=ahead)
    return known[width]


def widest(
    cost_at: Callable[[int], float],
    budget: float,
    unit: str,
    step: int,
    min_width: int,
    max_width: int = MAX_WIDTH,
    near: int | None = None,
    ahead: int = LOOK_AHEAD,
) -> int:
    """The largest width within a budget.

    Latency is no steady function of the width: 20 channels can take longer than 24. So the widths
    above the one that bisection finds are tried as well.

    Args:
        cost_at: The cost at a width, quick where it was asked for before.
        budget: The most that a network may cost.
        unit: Unit of the cost.
        step: Distance of the widths that are considered.
        min_width: First width.
        max_width: Largest width.
        near: A width from which to start looking; the first if None.
        ahead: Number of widths that are tried beyond.

    Raises:
        BudgetError: The narrowest network costs more.
        ValueError: The budget is not positive.
    """
    budget = positive_budget(budget, unit)

    def fits(index: int) -> bool:
        return cost_at(min_width + index * step) <= budget

    last = max(0, max_width - min_width) // step
    low = min(max(0, ((near or min_width) - min_width) // step), last)
    high = low + 1
    while not fits(low):
        if low == 0:
            narrowest = f"the narrowest network, {min_width} channels,"
            raise BudgetError(budget, cost_at(min_width), unit, narrowest)
        low, high = low * 3 // 4, low
    while high <= last and fits(high):
        low, high = high, high + 2 * (high - low)
    high = min(high - 1, last)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    beyond = range(low + 1, min(low + ahead, last) + 1)
    return min_width + step * max([low, *filter(fits, beyond)])
