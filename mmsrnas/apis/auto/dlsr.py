"""The method DLSR: operations and connections of cells, by gradient."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmsrnas.analysis.derivation import derive
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.registry import MODELS

from .budget import Budget
from .configs import Values
from .search import Search, derived

if TYPE_CHECKING:  # which imports this module
    from .planning import Plan

__all__ = [
    "SEARCH_LR",
    "STEPS",
    "TRAININGS",
    "UNIT_VARIANCE",
    "derive_network",
    "plan_search",
    "search_config",
]

TRAININGS = ("train",)
STEPS = 2
"""A step of the weights and one of the architecture."""
SEARCH_LR = 2e-3
UNIT_VARIANCE = True
IMG_RANGE = 16.0
"""By 255, features of unit variance are hundreds of steps away from the detail of an image."""
MID_CHANNELS = 24


def plan_search(budget: Budget, upscale_factor: int, seed: int) -> Search:
    """A small search; what it derives is scaled to the budget.

    Args:
        budget: The budget.
        upscale_factor: Ratio of HR to LR size.
        seed: Of the trainings; DLSR draws nothing.

    Raises:
        BudgetError: No network of the space is so cheap.
    """
    generator = dict(
        type="mmsrnas.DLSRSupernet",
        upscale_factor=upscale_factor,
        mid_channels=MID_CHANNELS,
        num_cells=4,
        global_skip=True,
        img_range=IMG_RANGE,
    )
    supernet: Any = MODELS.build(generator)
    found = derive(supernet, budget.cost, budget.limit)
    network = dict(type="mmsrnas.DLSRNet", genotype=found.genotype.to_dict(), img_range=IMG_RANGE)
    description = f"4 cells of {MID_CHANNELS} channels, then scaled to {budget}"
    return Search(dict(type="BaseEditModel", generator=generator), network, description)


def search_config(values: Values, loaders: Values) -> Values:
    """Completes the config of the search: a part of the photographs trains the architecture.

    Args:
        values: Config of a training.
        loaders: Config of the data.
    """
    loader = dict(loaders["train_dataloader"])
    part = loaders["val_dataloader"]["dataset"]["data_root"]
    loader["dataset"] = loader["dataset"] | {"data_root": part}
    hooks = dict(
        arch_optimizer=dict(
            type="mmsrnas.ArchOptimizerHook",
            optimizer=dict(type="Adam", lr=2e-2, betas=(0.5, 0.999), eps=1e-8 / 255),
            mode="mixed",
            warmup_iters=values["train_cfg"]["max_iters"] // 4,
            dataloader=loader,
            complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.01),
        ),
        genotype=dict(type="mmsrnas.GenotypeHook"),
    )
    constructor = dict(constructor="mmsrnas.SearchOptimWrapperConstructor")
    return values | {
        "default_hooks": values["default_hooks"] | hooks,
        "optim_wrapper": values["optim_wrapper"] | constructor,
    }


def derive_network(plan: "Plan", search: Config, checkpoint: Path, budget: Budget) -> str:
    """Derives the network within the budget, by measurement for a latency.

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
    supernet: Any = MODELS.build(search.model.generator)
    read_checkpoint(checkpoint).load_into(supernet)
    found, text = derived(supernet, budget)
    origin = {"checkpoint": checkpoint.name, "budget": str(budget)}
    found.genotype.save(plan.genotype, origin)
    return f"It is what the search prefers within the budget: {text}."
