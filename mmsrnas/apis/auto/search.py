"""What a method contributes to a plan."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device

from mmsrnas.analysis.derivation import Derived, derive, derive_measured
from mmsrnas.analysis.finals import FINALISTS, final_round, varied
from mmsrnas.analysis.front_selection import SelectedFront, held_out_images, select_front
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.models.paths import NEAR
from mmsrnas.models.supernet import RankedSupernet
from mmsrnas.registry import MODELS

from .budget import MAX_SPREAD, Budget

__all__ = ["Search", "check_evolution", "derived", "inherited_of", "selected"]

EVALUATIONS = 160
"""Networks that are judged with shared weights."""
FINAL_STEPS = 300
CROP = 96
"""Side of the LR images that judge."""


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


def check_evolution(method: str) -> None:
    """Refuses a search that could not select at its end.

    Raises:
        ModuleNotFoundError: pymoo is not installed.
    """
    if find_spec("pymoo") is None:
        raise ModuleNotFoundError(
            f"--method {method} selects by evolution: pip install 'mmsrnas[evolution]'"
        )


def selected(
    folder: Path,
    search: Config,
    checkpoint: Path,
    budget: Budget,
    final: bool = False,
) -> tuple[Any, SelectedFront]:
    """Judges networks of a trained supernet, and ranks them for a budget.

    Args:
        folder: Folder of the plan, in which ``front`` is written.
        search: Config of the search.
        checkpoint: Its checkpoint.
        budget: The budget.
        final: Train the best eight within the budget alone, as many steps together as the search
            took at most, and prefer them in the order that they then have.

    Returns:
        The supernet, on the CPU, and all that was judged.
    """
    editor: Any = MODELS.build(search.model)
    read_checkpoint(checkpoint).load_into(editor, "")
    editor.to(get_device()).eval()  # where mmengine's runner trains
    front = select_front(editor, search.val_dataloader, budget.cost, EVALUATIONS, CROP, editor.seed)
    front.write(folder / "front", {"checkpoint": checkpoint.name, "budget": str(budget)})
    ranked = front.ranked(budget.limit)
    if final:
        images = held_out_images(editor, search.val_dataloader, CROP)
        costs = {scored.genotype: scored.cost for scored in front.judged}
        within = [g for g in ranked if NEAR * budget.limit <= costs[g] <= budget.limit]
        steps = max(1, min(FINAL_STEPS, search.train_cfg.max_iters // FINALISTS))
        finalists = varied(within)[:FINALISTS]
        order = final_round(editor, search.train_dataloader, images, finalists, steps)
        ranked = list(dict.fromkeys([*order, *ranked]))
    supernet = editor.cpu().generator
    supernet.rank(ranked)
    return supernet, front


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
