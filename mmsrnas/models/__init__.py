"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .hnas import HNASController, HNASNet, HNASSupernet
from .losses import HFENLoss, SumLoss

__all__ = [
    "DLSRNet",
    "DLSRSupernet",
    "HFENLoss",
    "HNASController",
    "HNASNet",
    "HNASSupernet",
    "SumLoss",
]
