"""How supernets are searched: hooks and constructors for the stock runner and loops."""

from .hooks import (
    ArchOptimizerHook,
    DiscreteValHook,
    ExactResumeHook,
    FiniteCheckHook,
    GenotypeHook,
    SearchEarlyStopHook,
    UnitVarianceHook,
)
from .optim import AutocastOptimWrapper, CosinePolyLR, SearchOptimWrapperConstructor
from .runner import RLSearchLoop, RLSearchRunner
from .supernet import find_supernet

__all__ = [
    "ArchOptimizerHook",
    "AutocastOptimWrapper",
    "CosinePolyLR",
    "DiscreteValHook",
    "ExactResumeHook",
    "FiniteCheckHook",
    "GenotypeHook",
    "RLSearchLoop",
    "RLSearchRunner",
    "SearchEarlyStopHook",
    "SearchOptimWrapperConstructor",
    "UnitVarianceHook",
    "find_supernet",
]
