"""Image quality metrics as the super-resolution papers compute them."""

from .denoising import DenoisingPSNR
from .metrics import PSNR, SSIM

__all__ = ["PSNR", "SSIM", "DenoisingPSNR"]
