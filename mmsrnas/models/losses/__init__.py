"""Losses of the restoration searches."""

from .hfen_loss import HFENLoss
from .ssim_loss import SSIMLoss
from .sum_loss import SumLoss

__all__ = ["HFENLoss", "SSIMLoss", "SumLoss"]
