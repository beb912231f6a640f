"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .compact import CompactNet
from .dlsr import DLSRNet, DLSRSupernet
from .drn import DRNNet, DualNet
from .elastic import ElasticNet, ElasticSupernet
from .hinas import HiNASNet, HiNASSupernet
from .hnas import HNASController, HNASNet, HNASSupernet
from .losses import (
    ComplexityLoss,
    DistillationLoss,
    DualRegressionLoss,
    HFENLoss,
    SSIMLoss,
    SumLoss,
)
from .unit_variance import init_unit_variance

__all__ = [
    "CompactNet",
    "ComplexityLoss",
    "DLSRNet",
    "DLSRSupernet",
    "DRNNet",
    "DistillationLoss",
    "DualNet",
    "DualRegressionLoss",
    "ElasticNet",
    "ElasticSupernet",
    "HFENLoss",
    "HNASController",
    "HNASNet",
    "HNASSupernet",
    "HiNASNet",
    "HiNASSupernet",
    "SSIMLoss",
    "SumLoss",
    "init_unit_variance",
]
