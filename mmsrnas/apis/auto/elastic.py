"""The elastic method: a space around the budget, trained once, selected by evolution."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from mmengine.config import Config

from mmsrnas.analysis.derivation import write_inherited
from mmsrnas.costs import BudgetError
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.models.elastic.cost import ChainCost
from mmsrnas.models.paths import NEAR

from .budget import Budget
from .search import Search, check_evolution, derived, inherited_of, selected

if TYPE_CHECKING:  # which imports this module
    from .planning import Plan

__all__ = ["TRAININGS", "derive_network", "plan_search"]

TRAININGS = ("train", "finetune")
"""Trainings of the network; a short trial of each says which is better."""
WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128)
OP: Literal["conv_3x3"] = "conv_3x3"
DEPTHS_AT_BUDGET = range(2, 17)
"""Blocks that a chain of one width has at the budget, for that width to be searched."""
MAX_WIDTHS = 3
DEEPEST = 10
MAX_DEPTHS = 6
CONTROLS = 1000
"""Networks that are drawn for a random one of the right cost."""


def plan_search(budget: Budget, upscale_factor: int, seed: int) -> Search:
    """A space that has the budget well inside.

    Searched are up to three widths that make 2 to 16 blocks at the budget, and the depths between
    those of the widest and of the narrowest. Blocks are convolutions with Leaky ReLU, which
    runtimes fuse into them; mixtures of operations keep shared weights from learning.

    Args:
        budget: The budget.
        upscale_factor: Ratio of HR to LR size, 1 for denoising.
        seed: Of the networks that are drawn.

    Raises:
        BudgetError: The smallest chain costs more.
        ModuleNotFoundError: pymoo is not installed.
    """
    check_evolution("elastic")
    cost = ChainCost(budget.cost)

    def chain(depth: int, width: int) -> ElasticGenotype:
        return ElasticGenotype((OP,) * depth, (width,) * depth, upscale_factor=upscale_factor)

    depths: dict[int, int] = {}
    for width in WIDTHS:
        first, second = (cost(chain(depth, width)) for depth in (1, 2))  # each block costs alike
        if first <= budget.limit:
            depth = 1 + int((budget.limit - first) / (second - first))
            depths[width] = min(depth, DEPTHS_AT_BUDGET.stop)
    if not depths:
        least = cost(chain(1, WIDTHS[0]))
        smallest = f"an elastic network of one block of {WIDTHS[0]} channels"
        raise BudgetError(budget.limit, least, budget.cost.unit, smallest)
    widths = [width for width, depth in depths.items() if depth in DEPTHS_AT_BUDGET]
    widths = (widths or list(depths))[-MAX_WIDTHS:]
    shallowest, deepest = depths[widths[-1]], depths[widths[0]]
    low = max(1, shallowest - 1)
    high = max(shallowest + 2, min(deepest, DEEPEST))
    num_cells = sorted({round(n) for n in np.linspace(low, high, MAX_DEPTHS)})
    generator = dict(
        type="mmsrnas.ElasticSupernet",
        num_cells=num_cells,
        mid_channels=widths,
        ops=[OP],
        activations=["leaky_relu"],
        cells_per_stage=max(2, -(-high // 3)),
        upscale_factor=upscale_factor,
    )
    middle = widths[len(widths) // 2]
    network = dict(
        type="mmsrnas.ElasticNet",
        genotype=chain(depths[middle], middle).to_dict(),
        reparameterized=True,
    )
    ends = [cost(chain(num_cells[0], widths[0])), cost(chain(num_cells[-1], widths[-1]))]
    description = (
        f"chains of {num_cells[0]} to {num_cells[-1]} blocks of {', '.join(map(str, widths))} "
        f"channels, from {budget.amount(ends[0])} to {budget.amount(ends[1])} {budget.cost.unit}"
    )
    model = dict(type="mmsrnas.SandwichEditor", generator=generator, seed=seed)
    return Search(model, network, description)


def derive_network(plan: "Plan", search: Config, checkpoint: Path, budget: Budget) -> str:
    """Selects the front, and derives the network within the budget, by measurement for a latency.

    Writes ``front``, ``genotype.json`` and ``genotype.pth``, the shared weights; for a control
    ``random.json`` and ``random.pth`` too.

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
    supernet, front = selected(plan.folder, search, checkpoint, budget)
    origin = {"checkpoint": checkpoint.name, "budget": str(budget)}
    found, text = derived(supernet, budget)
    chosen = {plan.genotype: found.genotype}
    if plan.made_of["control"]:
        chosen[plan.control] = _control(supernet, found.genotype, budget, plan.made_of["seed"])
    for path, genotype in chosen.items():
        write_inherited(supernet, genotype, inherited_of(path))
        genotype.save(path, origin)
    judged = next(s for s in front.judged if s.genotype == found.genotype)
    return (
        f"Of {len(front.judged)} networks that were judged with shared weights, it is the best "
        f"within the budget ({judged.psnr:.2f} dB): {text}."
    )


def _control(supernet: Any, found: ElasticGenotype, budget: Budget, seed: int) -> ElasticGenotype:
    """A random network of the space, another than was found, that uses the budget as that does."""
    cost = supernet.genotype_cost(budget.cost)
    rows = supernet.space.random(CONTROLS, torch.Generator().manual_seed(seed))
    others = [g for g in dict.fromkeys(map(supernet.space.decode, rows)) if g != found]
    within = [g for g in others if cost(g) <= budget.limit]
    near = [g for g in within if cost(g) >= NEAR * budget.limit]
    if near:
        return near[0]
    return max(within, key=cost) if within else min(others, key=cost)
