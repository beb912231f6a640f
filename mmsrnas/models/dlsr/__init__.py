"""DLSR: differentiable search at cell and network level (arXiv 2105.03939)."""

from .decoding import DLSRSpace
from .network import DLSRNet
from .supernet import DLSRSupernet

__all__ = ["DLSRNet", "DLSRSpace", "DLSRSupernet"]
