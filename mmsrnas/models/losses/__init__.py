"""Losses of the restoration searches."""

from .complexity_loss import ComplexityLoss
from .hfen_loss import HFENLoss
from .ssim_loss import SSIMLoss
from .sum_loss import SumLoss

__all__ = ["ComplexityLoss", "HFENLoss", "SSIMLoss", "SumLoss"]
