"""The dual regression network, full or pruned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.genotypes import DRCGenotype, Genotype, GenotypeError, load_genotype
from mmsrnas.genotypes.base import MAX_CELLS, MAX_CHANNELS
from mmsrnas.registry import MODELS

from .modules import DownBlock, MeanShift, UpBlock

__all__ = ["DRNNet"]

DRN_S_X4 = {"upscale_factor": 4, "num_blocks": 30, "mid_channels": 16}
IMG_RANGE = 255.0


@MODELS.register_module()
class DRNNet(BaseModule):
    """U-Net over an up-scaled LR image that super-resolves in steps of two (arXiv 2003.07018).

    The published networks: ``num_blocks=30`` with ``mid_channels=16`` (DRN-S x4) or 8 (DRN-S x8),
    ``num_blocks=40, mid_channels=20`` (DRN-L x4), ``num_blocks=36, mid_channels=10`` (DRN-L x8).

    Args:
        upscale_factor: Ratio of HR to LR size: 2, 4 or 8. None is the genotype's, or 4.
        num_blocks: Residual blocks of each level. None is the genotype's, or 30.
        mid_channels: Channels at HR size; every level down has twice as many. None is the
            genotype's, or 16.
        genotype: A pruned network: name of a published genotype, path of a JSON file, its content,
            or the value. It is enough; arguments beside it must be the same as in it. None builds
            the full network.
        img_range: The value that the network sees for 1.0 of the input. None is the genotype's, or
            255.
        train_mean_shift: Trains the colour means too, as the released code does by mistake.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images, 3.
        min_size: Smallest height and width of an LR image, 1.
        genotype: The network as a genotype, pruned or full.

    Raises:
        GenotypeError: A scale that is not 2, 4 or 8, too few channels for the attention; or the
            genotype is wrong, of another method, or of another network.
    """

    in_channels = 3
    min_size = 1

    def __init__(
        self,
        upscale_factor: int | None = None,
        num_blocks: int | None = None,
        mid_channels: int | None = None,
        genotype: str | Path | Mapping[str, Any] | Genotype | None = None,
        img_range: float | None = None,
        train_mean_shift: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        given = {
            "upscale_factor": upscale_factor,
            "num_blocks": num_blocks,
            "mid_channels": mid_channels,
            "img_range": img_range,
        }
        given = {name: value for name, value in given.items() if value is not None}
        found: DRCGenotype | None = None
        if genotype is not None:
            found = load_genotype(genotype, method="drc")
        arguments: dict[str, Any] = DRN_S_X4 | dict(found.arguments if found else ()) | given
        img_range = arguments.pop("img_range", IMG_RANGE)
        if not (isinstance(img_range, int | float) and img_range > 0):
            raise GenotypeError(f"DRNNet.img_range: expected a number > 0, got {img_range!r}.")
        full_widths = _full_widths(**arguments)
        if found is None:
            beside = arguments if img_range == IMG_RANGE else arguments | {"img_range": img_range}
            found = DRCGenotype("DRNNet", full_widths, full_widths, tuple(sorted(beside.items())))
        found.check_fits("DRNNet", full_widths, given)
        self.genotype = found
        self.img_range = img_range
        self.upscale_factor = scale = arguments["upscale_factor"]
        blocks, width = arguments["num_blocks"], arguments["mid_channels"]
        levels = scale.bit_length() - 1
        widths = found.widths
        down, up = _level_channels(scale, width)

        self.interpolate = nn.Upsample(scale_factor=scale, mode="bicubic")
        self.sub_mean = MeanShift(img_range, -1, train_mean_shift)
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownBlock(channels, inner, 2 * channels)
            for channels, inner in zip(down, widths, strict=False)
        )
        self.up_blocks = nn.ModuleList()
        for level, channels in enumerate(up):
            begin = levels + level * (blocks + 1)
            inner = list(widths[begin : begin + blocks + 1])
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


def _level_channels(upscale_factor: int, mid_channels: int) -> tuple[list[int], list[int]]:
    """Channels that the down blocks and the up blocks read, in their order."""
    down = [mid_channels * 2**level for level in range(upscale_factor.bit_length() - 1)]
    # An up block reads the output of the one before it beside the skip of the same level.
    return down, [2 * down[-1]] + [2 * channels for channels in down[:0:-1]]


def _full_widths(
    upscale_factor: int, num_blocks: int, mid_channels: int, **others: Any
) -> tuple[int, ...]:
    """Inner channels of every site of the full network, in the order of its modules."""
    if others:
        raise GenotypeError(f"genotype field 'arguments': DRNNet has no {min(others)!r}.")
    if type(upscale_factor) is not int or upscale_factor not in (2, 4, 8):
        raise GenotypeError(f"DRNNet.upscale_factor: expected 2, 4 or 8, got {upscale_factor!r}.")
    if type(num_blocks) is not int or not 0 <= num_blocks <= MAX_CELLS:
        raise GenotypeError(
            f"DRNNet.num_blocks: expected a number from 0 to {MAX_CELLS}, got {num_blocks!r}."
        )
    least = 16 // 2 ** min(upscale_factor.bit_length() - 1, 2)
    most = MAX_CHANNELS // upscale_factor
    if type(mid_channels) is not int or not least <= mid_channels <= most:
        raise GenotypeError(
            f"DRNNet.mid_channels: x{upscale_factor} needs at least {least} for its channel "
            f"attention and takes at most {most}, got {mid_channels!r}."
        )
    down, up = _level_channels(upscale_factor, mid_channels)
    return tuple(down) + tuple(c for c in up for _ in range(num_blocks + 1))
