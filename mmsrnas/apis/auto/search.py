"""What a method contributes to a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsrnas.analysis.derivation import Derived, derive, derive_measured
from mmsrnas.models.supernet import RankedSupernet

from .budget import MAX_SPREAD, Budget

__all__ = ["Search", "derived", "inherited_of"]


@dataclass(frozen=True)
class Search:
    """A planned search.

    Attributes:
        model: Config of the editor that searches.
        network: Config of a generator that costs about as much as the budget allows: what the
            training of the network will take is measured with it.
        description: What is searched, for the plan.
    """

    model: dict[str, Any]
    network: dict[str, Any]
    description: str


def inherited_of(genotype: Path) -> Path:
    """File of the shared weights of a genotype, where the method has them."""
    return genotype.with_suffix(".pth")


def derived(supernet: RankedSupernet, budget: Budget) -> tuple[Derived, str]:
    """What a search prefers within a budget, by measurement for a latency, and how near it comes.

    Args:
        supernet: The supernet of the search.
        budget: The budget.

    Raises:
        BudgetError: No network is within the budget.
    """
    cost, limit = budget.cost, budget.limit
    if not budget.is_latency:
        found = derive(supernet, cost, limit)
        return found, str(found)
    found, measured = derive_measured(supernet, cost, limit, max_spread=MAX_SPREAD)
    return found, f"predicted {found.cost:.2f} ms, measured {measured}"
