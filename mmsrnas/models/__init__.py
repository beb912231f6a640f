"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .losses import ComplexityLoss, HFENLoss, SumLoss

__all__ = ["ComplexityLoss", "DLSRNet", "DLSRSupernet", "HFENLoss", "SumLoss"]
