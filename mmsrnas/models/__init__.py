"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .hinas import HiNASNet, HiNASSupernet
from .losses import HFENLoss, SSIMLoss, SumLoss

__all__ = [
    "DLSRNet",
    "DLSRSupernet",
    "HFENLoss",
    "HiNASNet",
    "HiNASSupernet",
    "SSIMLoss",
    "SumLoss",
]
