"""How supernets are searched: hooks and constructors for the stock runner and loops."""

from .hooks import ArchOptimizerHook, ExactResumeHook, GenotypeHook, SearchEarlyStopHook
from .optim import AutocastOptimWrapper, SearchOptimWrapperConstructor
from .supernet import find_supernet

__all__ = [
    "ArchOptimizerHook",
    "AutocastOptimWrapper",
    "ExactResumeHook",
    "GenotypeHook",
    "SearchEarlyStopHook",
    "SearchOptimWrapperConstructor",
    "find_supernet",
]
