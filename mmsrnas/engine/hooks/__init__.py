"""Hooks of searches and trainings."""

from .arch_optimizer_hook import ArchOptimizerHook
from .checkpoint_fit_hook import CheckpointFitHook
from .checkpoint_hook import CheckpointHook
from .discrete_val_hook import DiscreteValHook
from .exact_resume_hook import ExactResumeHook
from .finite_check_hook import FiniteCheckHook
from .genotype_hook import GenotypeHook
from .search_early_stop_hook import SearchEarlyStopHook
from .unit_variance_hook import UnitVarianceHook

__all__ = [
    "ArchOptimizerHook",
    "CheckpointFitHook",
    "CheckpointHook",
    "DiscreteValHook",
    "ExactResumeHook",
    "FiniteCheckHook",
    "GenotypeHook",
    "SearchEarlyStopHook",
    "UnitVarianceHook",
]
