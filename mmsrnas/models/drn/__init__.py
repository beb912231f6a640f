"""DRN: dual regression networks for super-resolution (arXiv 2003.07018)."""

from .modules import DualNet
from .network import DRNNet

__all__ = ["DRNNet", "DualNet"]
