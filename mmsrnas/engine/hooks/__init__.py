"""Hooks of a search."""

from .arch_optimizer_hook import ArchOptimizerHook
from .exact_resume_hook import ExactResumeHook
from .genotype_hook import GenotypeHook
from .search_early_stop_hook import SearchEarlyStopHook

__all__ = ["ArchOptimizerHook", "ExactResumeHook", "GenotypeHook", "SearchEarlyStopHook"]
