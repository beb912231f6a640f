"""Genotypes of a search that keep to a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mmsrnas.costs import Cost
from mmsrnas.genotypes import Genotype, GenotypeError
from mmsrnas.models.supernet import RankedSupernet

from .scaling import scale_to_budget

__all__ = ["MAX_TRIED", "Derived", "derive"]

MAX_TRIED = 729
"""Preferences of a search that are tried: all operations of DLSR, and enough of any other."""
FILLED = 0.98
WIDTH_STEP = 2


@dataclass(frozen=True)
class Derived:
    """A genotype within a budget.

    Attributes:
        genotype: The genotype, its width scaled where it has one.
        cost: What its network costs.
        budget: The most that it was allowed to.
        rank: Its place among the preferences of the search, from 0 on.
        unit: What cost and budget are.
    """

    genotype: Genotype
    cost: float
    budget: float
    rank: int
    unit: str

    def __str__(self) -> str:
        return f"{self.cost:,.4g} of at most {self.budget:,.4g} {self.unit}"

    @property
    def fills_budget(self) -> bool:
        """Whether at most 2 % of the budget are left."""
        return self.cost >= FILLED * self.budget


def derive(
    supernet: RankedSupernet,
    cost: Cost,
    budget: float,
    mid_channels: int | None = None,
) -> Derived:
    """Takes the genotype that a search prefers among those within a budget.

    Where one of them fits at the width of the search, it is widened as far as the budget goes.
    Where none does, the one that the search likes best is narrowed until it fits. A genotype that
    has no ``mid_channels``, because the search has chosen its widths, is taken as it is.

    Args:
        supernet: The supernet of the search; the ``mid_channels`` of its genotypes is the width.
        cost: The cost of networks.
        budget: The most that a network may cost, in absolute units of ``cost``.
        mid_channels: A fixed width; nothing is scaled then.

    Raises:
        ValueError: The budget is not positive or out of reach; the least possible is named. Or
            ``mid_channels`` is given for genotypes that have no such field.
    """
    if not budget > 0:
        raise ValueError(f"budget: expected a positive number of {cost.unit}, got {budget!r}.")
    tried = list(islice(supernet.preferences(), MAX_TRIED))
    has_width = hasattr(tried[0], "mid_channels")
    if mid_channels and not has_width:
        raise ValueError(
            f"mid_channels: the widths of an '{tried[0].method}' genotype are part of the search."
        )
    if mid_channels:
        tried = [genotype.replace(mid_channels=mid_channels) for genotype in tried]
    fixed = mid_channels is not None or not has_width
    costs: list[float] = []
    for genotype in tried:
        costs.append(cost(supernet.build_network(genotype)))
        if costs[-1] <= budget:
            break
    rank = len(costs) - 1
    if costs[rank] > budget:
        if fixed:
            width = f" with {mid_channels} channels" if mid_channels else ""
            raise ValueError(
                f"budget: the cheapest of {len(costs)} architectures{width} costs "
                f"{min(costs):,.4g} {cost.unit}; {budget:,.4g} are out of reach."
            )
        rank = 0
    if fixed:
        return Derived(tried[rank], costs[rank], budget, rank, cost.unit)
    favourite = tried[rank]
    found = scale_to_budget(
        lambda width: supernet.build_network(favourite.replace(mid_channels=width)),
        cost,
        budget,
        WIDTH_STEP,
        _least_width(favourite),
    )
    genotype = favourite.replace(mid_channels=found.width)
    return Derived(genotype, found.cost, budget, rank, cost.unit)


def _least_width(genotype: Any) -> int:
    """The narrowest even width that the genotype allows."""
    widths: Sequence[int] = range(WIDTH_STEP, genotype.mid_channels + 1, WIDTH_STEP)
    for width in widths:
        try:
            genotype.replace(mid_channels=width)
        except GenotypeError:
            continue
        return width
    return genotype.mid_channels
