"""Genotypes of a search that keep to a budget."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mmsrnas.costs import BudgetError, Cost, positive_budget
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype, GenotypeError
from mmsrnas.latency import Measurement
from mmsrnas.models.supernet import PathSupernet, Preference, RankedSupernet

from .measured import within_measured
from .scaling import FILLED, widest

__all__ = ["Derived", "derive", "derive_measured", "write_inherited"]

LATENCY_STEP = 4
"""Distance of the widths that are tried where time counts: runtimes compute channels in blocks."""
OTHER_WIDTHS = (0, 1, 2, -1)
"""Steps from the width of the favourite to those that are tried with other operations."""
MAX_DEEPER = 2
"""Cells more or less than in the search that are tried."""
MAX_CORRECTIONS = 4


@dataclass(frozen=True)
class Derived:
    """A genotype within a budget.

    Attributes:
        genotype: The genotype, its width and depth scaled.
        cost: What its network costs.
        budget: The most that it was allowed to.
        loss: How much less the search likes its operations than its favourites, in nats.
        unit: What cost and budget are.
    """

    genotype: Any
    cost: float
    budget: float
    loss: float
    unit: str

    def __str__(self) -> str:
        return f"{self.cost:,.4g} of at most {self.budget:,.4g} {self.unit}"

    @property
    def fills_budget(self) -> bool:
        """Whether at most 2 % of the budget are left."""
        return self.cost >= FILLED * self.budget


def derive(
    supernet: RankedSupernet, cost: Cost, budget: float, mid_channels: int | None = None
) -> Derived:
    """Takes the genotype that a search prefers among those within a budget.

    It is the preferred one at the width of the search; where none of that width is within the
    budget, the favourite, narrowed. What is left of the budget goes into width, then into up to
    two cells more or less where all cells are alike. Where more than 2 % are left even so, wider
    networks with operations that the search likes a little less are tried. A search of channel
    numbers has widths of its own: nothing is scaled.

    Args:
        supernet: The supernet of the search.
        cost: The cost of networks.
        budget: The most that a network may cost, in absolute units of ``cost``.
        mid_channels: A fixed width; nothing is scaled then.

    Raises:
        BudgetError: The budget is out of reach; the least possible is named.
        ValueError: The budget is not positive.
    """
    budget = positive_budget(budget, cost.unit)
    task = _Task(supernet, cost, budget)
    try:
        first = task.preferred(0.0, mid_channels)
    except BudgetError:
        if mid_channels or not hasattr(supernet.genotype(), "mid_channels"):
            raise
        first = None
    if first and (mid_channels or not hasattr(first.genotype, "mid_channels")):
        return first
    base = first.genotype if first else task.favourite()
    try:
        scaled = task.scaled(base, first.loss if first else 0.0)
    except BudgetError as narrowest:
        try:
            # The cheapest operations at the least width, or how much they cost.
            return task.preferred(0.0, _least_width(base, task.width_step(base)))
        except BudgetError as cheapest:
            raise min(narrowest, cheapest, key=lambda error: error.least) from None
    if scaled.fills_budget:
        return scaled
    return next(task.others(base), scaled)


def derive_measured(
    supernet: RankedSupernet,
    cost: Cost,
    budget: float,
    mid_channels: int | None = None,
    max_spread: float = 0.1,
) -> tuple[Derived, Measurement]:
    """Derives within a measured latency, see :func:`~mmsrnas.analysis.measured.within_measured`.

    Args:
        supernet: The supernet of the search.
        cost: A cost of the type ``'latency'``; its table is calibrated.
        budget: The most milliseconds.
        mid_channels: A fixed width.
        max_spread: Largest spread of the measurements that is trusted.

    Returns:
        What was derived, and its measurement, which is within the budget.

    Raises:
        BudgetError: The budget is out of reach, by prediction or by measurement.
        NoisyMeasurementError: The machine is too busy.
    """
    found, measured = within_measured(
        lambda limit: derive(supernet, cost, limit, mid_channels),
        lambda found: supernet.build_network(found.genotype),
        cost,
        budget,
        max_spread=max_spread,
    )
    return replace(found, budget=budget), measured


def write_inherited(supernet: PathSupernet, genotype: Any, path: str | Path) -> None:
    """Writes the network of a genotype with the weights that it shares with others.

    The file says which network it is of: it can be used at once, and as ``load_from`` of a training
    with the branches that the search trained.

    Args:
        supernet: The trained supernet.
        genotype: A genotype of its space.
        path: Checkpoint to write.

    Raises:
        GenotypeError: The genotype is not in the space.
    """
    network: Any = supernet.extract(genotype)
    meta: dict[str, Any] = {"genotype": network.genotype.to_dict()}
    if hasattr(network, "unfold"):
        network, kind = network.unfold(), f"mmsrnas.{type(network).__name__}"
        meta["generator"] = {"type": kind, **meta, "reparameterized": True}
    state = {f"generator.{name}": value for name, value in network.state_dict().items()}
    with atomic_write(path) as partial:
        torch.save({"state_dict": state, "meta": meta}, partial)


@dataclass(frozen=True)
class _Task:
    """A search, a cost and a budget."""

    supernet: RankedSupernet
    cost: Cost
    budget: float

    def cost_of(self, genotype: Genotype) -> float:
        """Cost of the whole network of a genotype, which is exported once."""
        supernet = self.supernet
        return self.cost.of((supernet, genotype), lambda: supernet.build_network(genotype))

    def favourite(self) -> Any:
        """What the search prefers without a budget."""
        return self.supernet.preferred(self.cost, float("inf")).genotype

    def found(self, genotype: Genotype, cost: float, loss: float) -> Derived:
        return Derived(genotype, cost, self.budget, loss, self.cost.unit)

    def preferred(self, least: float, mid_channels: int | None) -> Derived:
        """What the search prefers within the budget by the cost of the whole network.

        A supernet adds up the costs of parts, which a runtime may join: where the sum and the
        whole differ, it is asked again for a budget that is smaller, or larger, by as much.
        """
        asked, best = self.budget, None
        for _ in range(MAX_CORRECTIONS):
            found: Preference = self.supernet.preferred(
                self.cost, asked, least * asked / self.budget, mid_channels
            )
            whole = self.cost_of(found.genotype)
            if whole <= self.budget:
                if best is None or whole > best.cost:
                    best = self.found(found.genotype, whole, found.loss)
                is_favourite = found.loss == 0 and whole >= least
                is_exact = self.cost.type != "latency"
                if is_exact or is_favourite or whole >= FILLED * self.budget:
                    break
            asked *= (self.budget / whole) * (0.999 if whole > self.budget else 1)
        if best is None:
            raise BudgetError(
                self.budget, whole, self.cost.unit, "the cheapest network that was found"
            )
        return best

    def scaled(self, base: Any, loss: float) -> Derived:
        """The operations of a genotype at the width and depth that use most of the budget."""
        best, error = None, None
        for genotype in _depths(base):
            try:
                found = self._widest(genotype, loss)
            except BudgetError as out_of_reach:
                error = min(error or out_of_reach, out_of_reach, key=lambda e: e.least)
                continue
            if best is None or found.cost > best.cost:
                best = found
            if best.fills_budget:
                break
        if best is None:
            raise error or ValueError("no network")
        return best

    def _widest(self, genotype: Any, loss: float) -> Derived:
        def cost_at(width: int) -> float:
            return self.cost_of(genotype.replace(mid_channels=width))

        step = self.width_step(genotype)
        least = _least_width(genotype, step)
        ahead = 2 if self.cost.type == "latency" else 0
        near, unit = genotype.mid_channels, self.cost.unit
        width = widest(cost_at, self.budget, unit, step, least, near=near, ahead=ahead)
        return self.found(genotype.replace(mid_channels=width), cost_at(width), loss)

    def width_step(self, genotype: Any) -> int:
        """Distance of the widths that are tried; runtimes compute channels in blocks."""
        if self.cost.type == "latency":
            return LATENCY_STEP
        try:
            genotype.replace(mid_channels=genotype.mid_channels // 2 * 2 + 1)
        except GenotypeError:
            return 2
        return 1

    def others(self, base: Any) -> Iterator[Derived]:
        """What fills the budget with operations that are liked a little less, at near widths."""
        step = self.width_step(base)
        try:
            width = self._widest(base, 0.0).genotype.mid_channels
        except BudgetError:
            return
        for change in OTHER_WIDTHS:
            try:
                found = self.preferred(FILLED * self.budget, width + change * step)
            except (BudgetError, GenotypeError):
                continue
            if found.fills_budget:
                yield found


def _depths(base: Any) -> Iterator[Any]:
    """A genotype, and those with some cells more or less, where it has cells that are alike."""
    yield base
    if not hasattr(base, "with_num_cells"):
        return
    for change in range(1, MAX_DEEPER + 1):
        for num_cells in (base.num_cells + change, base.num_cells - change):
            try:
                yield base.with_num_cells(num_cells)
            except GenotypeError:
                continue


def _least_width(genotype: Any, step: int) -> int:
    """The narrowest width that the genotype allows."""
    for width in range(step, genotype.mid_channels + 1, step):
        try:
            genotype.replace(mid_channels=width)
        except GenotypeError:
            continue
        return width
    return genotype.mid_channels
