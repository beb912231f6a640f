"""HNAS: hierarchical search by reinforcement learning (arXiv 2003.04619)."""

from .controller import HNASController
from .cost import HNASCost
from .decoding import HNASSpace
from .network import HNASNet
from .supernet import HNASSupernet

__all__ = ["HNASController", "HNASCost", "HNASNet", "HNASSpace", "HNASSupernet"]
