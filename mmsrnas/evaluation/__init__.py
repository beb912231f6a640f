"""Image quality metrics as the super-resolution papers compute them."""

from .metrics import PSNR, SSIM

__all__ = ["PSNR", "SSIM"]
