"""Networks that keep to a budget by the clock, not by its prediction alone."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from torch import nn

from mmsrnas.costs import BudgetError, Cost
from mmsrnas.latency import Measurement, measure
from mmsrnas.latency.runtimes import Operator, list_operators

__all__ = ["AGREES", "within_measured"]

AGREES = 0.05
"""Relative difference of predicted and measured latency that needs no calibration."""


class HasCost(Protocol):
    """What was found for a budget."""

    @property
    def cost(self) -> float:
        """Predicted milliseconds."""
        ...


T = TypeVar("T", bound=HasCost)


def within_measured(
    find: Callable[[float], T],
    build: Callable[[T], nn.Module],
    cost: Cost,
    budget: float,
    rounds: int = 6,
    max_spread: float = 0.1,
) -> tuple[T, Measurement]:
    """Looks for a network within a latency until one is measured to be.

    Where measurement and prediction differ by more than 5 %, what was measured calibrates the
    operator table; where they agree and the network is over the budget, a smaller one is asked for.

    Args:
        find: Finds what is within a number of predicted milliseconds.
        build: Makes the network of what was found.
        cost: A cost of the type ``'latency'``; its table is calibrated.
        budget: The most milliseconds.
        rounds: Measurements at most.
        max_spread: Largest spread of the measurements that is trusted.

    Returns:
        What was found last, or the slowest within the budget where no prediction agreed; and its
        measurement.

    Raises:
        BudgetError: No network was measured to be within the budget.
        NoisyMeasurementError: The machine is too busy.
    """
    operators: dict[str, Sequence[Operator]] = {}
    times: dict[str, float] = {}
    kept: tuple[T, Measurement] | None = None
    asked, least = budget, float("inf")
    for count in range(rounds):
        try:
            found = find(asked)
        except BudgetError:
            if kept is None:
                raise
            break
        network = build(found)
        measured = measure(network, cost.target, max_spread=max_spread)
        least = min(least, measured.milliseconds)
        fits = measured.milliseconds <= budget
        agrees = abs(measured.milliseconds / found.cost - 1) <= AGREES
        if fits and agrees:
            return found, measured
        if fits and (kept is None or measured.milliseconds > kept[1].milliseconds):
            kept = found, measured
        if agrees:
            asked *= 0.99 * budget / measured.milliseconds
        else:
            operators[str(count)] = list_operators(network, cost.target)
            times[str(count)] = measured.milliseconds
            cost.table.calibrate(operators, times)
            asked = budget
    if kept is None:
        raise BudgetError(budget, least, cost.unit, f"the quickest of {rounds} measured networks")
    return kept
