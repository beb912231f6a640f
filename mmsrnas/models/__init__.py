"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .hinas import HiNASNet, HiNASSupernet
from .losses import ComplexityLoss, HFENLoss, SSIMLoss, SumLoss

__all__ = [
    "ComplexityLoss",
    "DLSRNet",
    "DLSRSupernet",
    "HFENLoss",
    "HiNASNet",
    "HiNASSupernet",
    "SSIMLoss",
    "SumLoss",
]
