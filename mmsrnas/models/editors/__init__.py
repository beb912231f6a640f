"""Editors whose loss needs more than prediction and ground truth; they need ``mmagic.models``."""

from .dual_regression_editor import DualRegressionEditor

__all__ = ["DualRegressionEditor"]
