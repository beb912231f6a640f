"""Architecture search and compression for image super-resolution and denoising on MMagic."""

from . import compat

compat.apply()

__version__ = "0.1.0"
