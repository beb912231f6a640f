"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .losses import HFENLoss, SumLoss

__all__ = ["DLSRNet", "DLSRSupernet", "HFENLoss", "SumLoss"]
