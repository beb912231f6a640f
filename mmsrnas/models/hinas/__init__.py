"""HiNAS: hierarchical search of cells and widths for denoising and super-resolution."""

from .network import HiNASNet
from .supernet import HiNASSupernet

__all__ = ["HiNASNet", "HiNASSupernet"]
