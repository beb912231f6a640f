"""PSNR of denoising, by an honest protocol and by that of the released HiNAS code."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmsrnas.registry import METRICS

from .metrics import PSNR

__all__ = ["DenoisingPSNR"]

PROTOCOLS = ("whole_image", "official")


@METRICS.register_module()
class DenoisingPSNR(PSNR):
    """PSNR of denoised images, in dB.

    ``whole_image`` compares what the network made of the noisy image of the dataloader.
    ``official`` is for comparison with the numbers of HiNAS only: its code cuts the clean image
    into overlapping tiles, draws new noise for every tile, and averages what overlaps. Most pixels
    are thus averaged over two to four independent noisy observations, which no user of a denoiser
    has; it is worth some 0.6 to 0.8 dB at sigma 30 to 50.

    Args:
        protocol: ``'whole_image'`` or ``'official'``.
        sigma: Standard deviation of the noise of ``official``, for images in 0..255.
        tile: Size of the tiles of ``official``.
        stride: Distance of the tiles of ``official``.
        seed: Seed of the noise of ``official``.
        **kwargs: As for ``mmsrnas.PSNR``.

    Raises:
        ValueError: Unknown ``protocol``, or ``official`` without a sigma in (0, 255].
    """

    def __init__(
        self,
        protocol: str = "whole_image",
        sigma: float | None = None,
        tile: int = 64,
        stride: int = 48,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"protocol of DenoisingPSNR: expected one of {PROTOCOLS}, got {protocol!r}."
            )
        if protocol == "official" and not (sigma and 0 < sigma <= 255):
            raise ValueError(
                "sigma of DenoisingPSNR: protocol='official' draws its own noise and needs a "
                f"standard deviation in (0, 255], got {sigma!r}."
            )
        self.protocol = protocol
        self.sigma = sigma
        self.tile = tile
        self.stride = stride
        self.seed = seed
        if protocol == "official":
            self.metric = "PSNR_official"

    def prepare(self, module: nn.Module, dataloader: DataLoader) -> None:
        """Keeps the network, which ``official`` runs itself."""
        super().prepare(module, dataloader)
        self.network = module.generator

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Compares one batch of images."""
        if self.protocol == "official":
            data_samples = [self._denoised_again(sample) for sample in data_samples]
        super().process(data_batch, data_samples)

    def _denoised_again(self, sample: dict) -> dict:
        clean = sample[self.gt_key].float().cpu() / 255
        return {**sample, "output": {self.pred_key: 255 * self._denoise_tiles(clean).clamp(0, 1)}}

    @torch.no_grad()
    def _denoise_tiles(self, clean: Tensor) -> Tensor:
        """Denoises tiles with independent noise and averages them, ``(C, H, W)`` in [0, 1]."""
        device = next(self.network.parameters()).device
        generator = torch.Generator().manual_seed(self.seed + len(self.results))
        total, count = torch.zeros_like(clean), torch.zeros_like(clean)
        for rows in _tiles(clean.size(1), self.tile, self.stride):
            for columns in _tiles(clean.size(2), self.tile, self.stride):
                tile = clean[:, rows, columns]
                noise = torch.randn(tile.shape, generator=generator) * (self.sigma / 255)
                output = self.network((tile + noise)[None].to(device))[0].cpu()
                total[:, rows, columns] += output
                count[:, rows, columns] += 1
        return total / count


def _tiles(length: int, tile: int, stride: int) -> Iterator[slice]:
    """Tiles that cover an axis; the last one is moved back to its end."""
    for start in [*range(0, length - tile, stride), max(length - tile, 0)]:
        yield slice(start, min(start + tile, length))
