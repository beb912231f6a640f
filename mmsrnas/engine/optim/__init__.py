"""Optimizer wrappers, their constructor and a scheduler for a search."""

from .autocast_optim_wrapper import AutocastOptimWrapper
from .cosine_poly_lr import CosinePolyLR
from .search_optim_wrapper_constructor import SearchOptimWrapperConstructor

__all__ = ["AutocastOptimWrapper", "CosinePolyLR", "SearchOptimWrapperConstructor"]
