"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .hinas import HiNASNet, HiNASSupernet
from .hnas import HNASController, HNASNet, HNASSupernet
from .losses import ComplexityLoss, HFENLoss, SSIMLoss, SumLoss

__all__ = [
    "ComplexityLoss",
    "DLSRNet",
    "DLSRSupernet",
    "HFENLoss",
    "HNASController",
    "HNASNet",
    "HNASSupernet",
    "HiNASNet",
    "HiNASSupernet",
    "SSIMLoss",
    "SumLoss",
]
