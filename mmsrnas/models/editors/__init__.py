"""Editors whose loss needs more than prediction and ground truth; they need ``mmagic.models``."""

from .distillation_editor import DistillationEditor
from .dual_regression_editor import DualRegressionEditor
from .sandwich_editor import SandwichEditor

__all__ = ["DistillationEditor", "DualRegressionEditor", "SandwichEditor"]
