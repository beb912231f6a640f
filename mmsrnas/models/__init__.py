"""Supernets, networks and losses; none of them needs ``mmagic.models``."""

from .compact import CompactNet
from .dlsr import DLSRNet, DLSRSpace, DLSRSupernet
from .drn import DRNNet, DualNet
from .elastic import ElasticNet, ElasticSupernet
from .hinas import HiNASNet, HiNASSpace, HiNASSupernet
from .hnas import HNASController, HNASNet, HNASSpace, HNASSupernet
from .losses import (
    ComplexityLoss,
    DistillationLoss,
    DualRegressionLoss,
    HFENLoss,
    SSIMLoss,
    SumLoss,
)
from .paths import SharedSupernet
from .peers import SpandrelNet
from .unit_variance import init_unit_variance

__all__ = [
    "CompactNet",
    "ComplexityLoss",
    "DLSRNet",
    "DLSRSpace",
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
    "HNASSpace",
    "HNASSupernet",
    "HiNASNet",
    "HiNASSpace",
    "HiNASSupernet",
    "SSIMLoss",
    "SharedSupernet",
    "SpandrelNet",
    "SumLoss",
    "init_unit_variance",
]
