"""Image quality metrics as the super-resolution papers compute them."""

from .denoising import DenoisingPSNR
from .lr_consistency import LRConsistency
from .metrics import PSNR, SSIM

__all__ = [
    "PSNR",
    "SSIM",
    "DenoisingPSNR",
    "LRConsistency",
]
