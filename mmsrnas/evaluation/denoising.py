"""PSNR of denoising, on whole images and by the protocol of the released HiNAS code."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from mmagic.structures import DataSample
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmsrnas.datasets.noise import noise_generator
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
        """Keeps the editor, which ``official`` runs itself."""
        super().prepare(module, dataloader)
        self.editor: Any = module.module if is_model_wrapper(module) else module

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Compares one batch of images."""
        if self.protocol == "official":
            data_samples = [self._denoised_again(sample) for sample in data_samples]
        super().process(data_batch, data_samples)

    @torch.no_grad()
    def _denoised_again(self, sample: dict) -> dict:
        """The sample with tiles of independent noise, denoised and averaged, as its prediction.

        The editor brings every tile into the value range and channel order of its network and
        back. The noise depends on the seed and the file name alone.
        """
        clean = sample[self.gt_key].float().cpu()  # BGR, as every image that a metric sees
        rng = noise_generator(self.seed, sample["gt_path"])
        total, count = torch.zeros_like(clean), torch.zeros_like(clean)
        for rows in _tiles(clean.size(1), self.tile, self.stride):
            for columns in _tiles(clean.size(2), self.tile, self.stride):
                tile = clean[:, rows, columns]
                noise = torch.from_numpy(rng.standard_normal(tile.shape)).float()
                total[:, rows, columns] += self._denoise(
                    tile + cast(float, self.sigma) * noise, sample
                )
                count[:, rows, columns] += 1
        average = (total / count).clamp(0, 255)
        return {**sample, "output": {self.pred_key: average}}

    def _denoise(self, tile: Tensor, sample: dict) -> Tensor:
        """Denoises a tile ``(C, H, W)`` in 0..255, BGR, without clamping."""
        keys = ("img_channel_order", "img_color_type")
        meta = {key: sample[key] for key in keys if sample.get(key) is not None}
        if str(meta.get("img_channel_order", "bgr")).lower() == "rgb" and len(tile) == 3:
            tile = tile.flip(0)
        preprocessor: Any = self.data_preprocessor
        # Only the noisy tile: there is no clean image to preprocess beside it.
        batch = preprocessor({"inputs": [tile], "data_samples": [_sample(tile, meta)]})
        inputs, samples = batch["inputs"], batch["data_samples"]
        output = self.editor(inputs, samples, mode="tensor")
        # `destruct` clamps, which the released code does after averaging.
        output = preprocessor._destruct_norm_and_conversion(output, samples, "img")
        return preprocessor._destruct_padding(output, samples)[0].cpu()


def _sample(tile: Tensor, meta: dict) -> DataSample:
    sample = DataSample(gt_img=tile)
    sample.set_metainfo(meta)
    return sample


def _tiles(length: int, tile: int, stride: int) -> Iterator[slice]:
    """Tiles that cover an axis; the last one is moved back to its end."""
    for start in [*range(0, length - tile, stride), max(length - tile, 0)]:
        yield slice(start, min(start + tile, length))
