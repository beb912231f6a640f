"""Losses of the restoration searches."""

from .complexity_loss import ComplexityLoss
from .distillation_loss import DistillationLoss
from .dual_regression_loss import DualRegressionLoss
from .hfen_loss import HFENLoss
from .ssim_loss import SSIMLoss
from .sum_loss import SumLoss

__all__ = [
    "ComplexityLoss",
    "DistillationLoss",
    "DualRegressionLoss",
    "HFENLoss",
    "SSIMLoss",
    "SumLoss",
]
