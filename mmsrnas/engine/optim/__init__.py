"""Optimizer wrappers and their constructor for a search."""

from .autocast_optim_wrapper import AutocastOptimWrapper
from .search_optim_wrapper_constructor import SearchOptimWrapperConstructor

__all__ = ["AutocastOptimWrapper", "SearchOptimWrapperConstructor"]
