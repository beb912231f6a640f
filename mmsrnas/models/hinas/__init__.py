"""HiNAS: hierarchical search of cells and widths for denoising and super-resolution."""

from .decoding import HiNASSpace
from .network import HiNASNet
from .supernet import HiNASSupernet

__all__ = ["HiNASNet", "HiNASSpace", "HiNASSupernet"]
