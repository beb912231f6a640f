"""The dual regression network, full or with the inner widths of a genotype."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, load_genotype
from mmsrnas.registry import MODELS

from .modules import DownBlock, MeanShift, UpBlock

__all__ = ["DRNNet"]


@MODELS.register_module()
class DRNNet(BaseModule):
    """U-Net over an up-scaled LR image that super-resolves in steps of two (arXiv 2003.07018).

    The published networks: ``num_blocks=30`` with ``mid_channels=16`` (DRN-S x4) or 8 (DRN-S x8),
    ``num_blocks=40, mid_channels=20`` (DRN-L x4), ``num_blocks=36, mid_channels=10`` (DRN-L x8).

    Args:
        upscale_factor: Ratio of HR to LR size: 2, 4 or 8.
        num_blocks: Residual blocks of each level.
        mid_channels: Channels at HR size; every level down has twice as many.
        genotype: Inner widths of a thin network: name of a published genotype, path of a JSON
            file, its content, or the value. None builds the full network.
        img_range: The value that the network sees for 1.0 of the input.
        train_mean_shift: Trains the colour means too, as the released code does by mistake.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: A scale that is not 2, 4 or 8, or too few channels for the attention.
        GenotypeError: The genotype is wrong, of another method, or does not fit the network.
    """

    def __init__(
        self,
        upscale_factor: int = 4,
        num_blocks: int = 30,
        mid_channels: int = 16,
        genotype: str | Path | Mapping[str, Any] | Genotype | None = None,
        img_range: float = 255.0,
        train_mean_shift: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if upscale_factor not in (2, 4, 8):
            raise ValueError(f"DRNNet.upscale_factor: expected 2, 4 or 8, got {upscale_factor!r}.")
        levels = upscale_factor.bit_length() - 1
        if mid_channels * 2 ** min(levels, 2) < 16:
            raise ValueError(
                f"DRNNet.mid_channels: x{upscale_factor} needs at least "
                f"{16 // 2 ** min(levels, 2)} for its channel attention, got {mid_channels!r}."
            )
        self.upscale_factor = upscale_factor
        self.img_range = img_range
        down = [mid_channels * 2**level for level in range(levels)]
        # An up block reads the output of the one before it beside the skip of the same level.
        up = [2 * down[-1]] + [2 * channels for channels in down[:0:-1]]
        full_widths = tuple(down) + tuple(c for c in up for _ in range(num_blocks + 1))
        widths = full_widths
        if genotype is not None:
            genotype = load_genotype(genotype, method="drc")
            genotype.check_fits("DRNNet", full_widths)
            widths = genotype.widths
        self.genotype = genotype

        self.interpolate = nn.Upsample(scale_factor=upscale_factor, mode="bicubic")
        self.sub_mean = MeanShift(img_range, -1, train_mean_shift)
        self.conv_first = nn.Conv2d(3, mid_channels, 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(channels, width, 2 * channels)
            for channels, width in zip(down, widths, strict=False)
        )
        self.up_blocks = nn.ModuleList()
        for level, channels in enumerate(up):
            begin = levels + level * (num_blocks + 1)
            inner = list(widths[begin : begin + num_blocks + 1])
            self.up_blocks.append(UpBlock(channels, inner, down[levels - 1 - level]))
        tails = [2 * down[-1]] + [2 * channels for channels in reversed(down)]
        self.tails = nn.ModuleList(nn.Conv2d(channels, 3, 3, padding=1) for channels in tails)
        self.add_mean = MeanShift(img_range, 1, train_mean_shift)

    def forward(self, x: Tensor, pyramid: bool = False) -> Tensor | list[Tensor]:
        """Super-resolves.

        Args:
            x: LR images ``(N, 3, H, W)`` in [0, 1].
            pyramid: Returns the images of all levels instead of the last one.

        Returns:
            SR images ``(N, 3, s * H, s * W)``, not clamped; or the list of the images at 1, 2, ...
            s times the LR size.
        """
        x = self.conv_first(self.sub_mean(self.interpolate(x * self.img_range)))
        skips = []
        for down in self.down_blocks:
            skips.append(x)
            x = down(x)
        features = [x]
        for up, skip in zip(self.up_blocks, reversed(skips), strict=True):
            x = torch.cat([up(x), skip], dim=1)
            features.append(x)
        if not pyramid:
            return self._to_image(features, -1)
        return [self._to_image(features, level) for level in range(len(features))]

    def _to_image(self, features: list[Tensor], level: int) -> Tensor:
        return self.add_mean(self.tails[level](features[level])) / self.img_range
