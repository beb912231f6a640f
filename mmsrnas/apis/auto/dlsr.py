"""The method DLSR: operations and connections of cells, trained by uniform paths."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmsrnas.analysis.derivation import derive
from mmsrnas.registry import MODELS

from .budget import Budget
from .search import Search, check_evolution, derived, selected

if TYPE_CHECKING:  # which imports this module
    from .planning import Plan

__all__ = ["TRAININGS", "derive_network", "plan_search"]

TRAININGS = ("train",)
MID_CHANNELS, NUM_CELLS = 24, 4
"""From which the size of the space is scaled to the budget."""
IMG_RANGE = 16.0
"""By 255, features of unit variance are hundreds of steps away from the detail of an image."""


def plan_search(budget: Budget, upscale_factor: int, seed: int) -> Search:
    """A space of the width and depth at which 3x3 convolutions use the budget.

    Args:
        budget: The budget.
        upscale_factor: Ratio of HR to LR size.
        seed: Of the networks that are drawn.

    Raises:
        BudgetError: No network of the space is so cheap.
        ModuleNotFoundError: pymoo is not installed.
    """
    check_evolution("dlsr")
    supernet: Any = MODELS.build(_generator(upscale_factor, MID_CHANNELS, NUM_CELLS))
    found = derive(supernet, budget.cost, budget.limit).genotype
    generator = _generator(upscale_factor, found.mid_channels, found.num_cells)
    network = dict(type="mmsrnas.DLSRNet", genotype=found.to_dict(), img_range=IMG_RANGE)
    description = f"{found.num_cells} cells of about {found.mid_channels} channels, for {budget}"
    model = dict(type="mmsrnas.PathEditor", generator=generator, seed=seed)
    return Search(model, network, description)


def _generator(upscale_factor: int, mid_channels: int, num_cells: int) -> dict[str, Any]:
    space = dict(
        type="mmsrnas.DLSRSpace",
        upscale_factor=upscale_factor,
        mid_channels=mid_channels,
        num_cells=num_cells,
        global_skip=True,
    )
    return dict(type="mmsrnas.SharedSupernet", space=space, network=dict(img_range=IMG_RANGE))


def derive_network(plan: "Plan", search: Config, checkpoint: Path, budget: Budget) -> str:
    """Selects the front, and derives the network within the budget, by measurement for a latency.

    Writes ``front`` and ``genotype.json``.

    Args:
        plan: The plan.
        search: Config of the search.
        checkpoint: Its checkpoint.
        budget: The budget.

    Returns:
        What was derived, in a sentence.

    Raises:
        BudgetError: No network was measured to be within the budget.
    """
    supernet, front = selected(plan.folder, search, checkpoint, budget, final=True)
    found, text = derived(supernet, budget)
    found.genotype.save(plan.genotype, {"checkpoint": checkpoint.name, "budget": str(budget)})
    return (
        f"Of {len(front.judged)} networks that were judged with shared weights, the best were "
        f"trained alone for some steps; it is the best of these within the budget: {text}."
    )
