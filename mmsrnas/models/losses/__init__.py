"""Losses of the restoration searches."""

from .hfen_loss import HFENLoss
from .sum_loss import SumLoss

__all__ = ["HFENLoss", "SumLoss"]
