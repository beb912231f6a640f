"""Editors whose loss needs more than prediction and ground truth; they need ``mmagic.models``."""

from .distillation_editor import DistillationEditor
from .dual_regression_editor import DualRegressionEditor
from .path_editor import PathEditor
from .sandwich_editor import SandwichEditor

__all__ = ["DistillationEditor", "DualRegressionEditor", "PathEditor", "SandwichEditor"]
