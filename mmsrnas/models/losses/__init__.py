"""Losses of the restoration searches."""

from .complexity_loss import ComplexityLoss
from .hfen_loss import HFENLoss
from .sum_loss import SumLoss

__all__ = ["ComplexityLoss", "HFENLoss", "SumLoss"]
