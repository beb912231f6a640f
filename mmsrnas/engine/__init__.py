"""How supernets are searched: hooks and constructors for the stock runner and loops."""

from .hooks import (
    ArchOptimizerHook,
    DiscreteValHook,
    ExactResumeHook,
    GenotypeHook,
    SearchEarlyStopHook,
)
from .optim import AutocastOptimWrapper, CosinePolyLR, SearchOptimWrapperConstructor
from .supernet import find_supernet

__all__ = [
    "ArchOptimizerHook",
    "AutocastOptimWrapper",
    "CosinePolyLR",
    "DiscreteValHook",
    "ExactResumeHook",
    "GenotypeHook",
    "SearchEarlyStopHook",
    "SearchOptimWrapperConstructor",
    "find_supernet",
]
