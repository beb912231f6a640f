"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .dlsr import DLSRNet, DLSRSupernet
from .drn import DRNNet, DualNet
from .losses import ComplexityLoss, DistillationLoss, DualRegressionLoss, HFENLoss, SumLoss

__all__ = [
    "ComplexityLoss",
    "DLSRNet",
    "DLSRSupernet",
    "DRNNet",
    "DistillationLoss",
    "DualNet",
    "DualRegressionLoss",
    "HFENLoss",
    "SumLoss",
]
