"""The HiNAS network that a genotype describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, HiNASGenotype, load_genotype
from mmsrnas.registry import MODELS

from .modules import ASPP, STEM_CHANNELS, HiNASBase, HiNASCell, conv_norm, sep_block
from .ops import build_activation

__all__ = ["HiNASNet", "build_context"]

DECODER_CHANNELS = 128
LOW_LEVEL_CHANNELS = 48


def build_context(task: str, channels: int, activation: str) -> nn.Module:
    """What the decoder does to the output of the last cell: ASPP for SR, else a projection."""
    if task == "sr":
        return ASPP(channels, DECODER_CHANNELS, (2, 4, 6), activation)
    return conv_norm(channels, DECODER_CHANNELS, 1, activation=activation)


@MODELS.register_module()
class HiNASNet(HiNASBase):
    """Restoration network found by HiNAS (arXiv 2012.13212).

    A value of the arguments after ``genotype`` replaces the genotype's where it is not None.

    Args:
        genotype: Name of a published genotype, path of a JSON file that a search wrote, its
            content, or the value.
        task: ``'denoise'`` or ``'sr'``.
        upscale_factor: Ratio of HR to LR size; 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        mid_channels: Channels of a node at multiplier 1. The paper retrains with twice the
            channels of the search.
        variant: ``'official'`` activates the output of the first convolution twice, as the
            released code does; ``'default'`` once.
        init_cfg: Initialisation config of mmengine.

    Raises:
        GenotypeError: The genotype is unknown, wrong, or of another method, or an argument is out
            of its range.
    """

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype,
        task: str | None = None,
        upscale_factor: int | None = None,
        in_channels: int | None = None,
        mid_channels: int | None = None,
        variant: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        found: HiNASGenotype = load_genotype(genotype, method="hinas").replace(
            task=task,
            upscale_factor=upscale_factor,
            in_channels=in_channels,
            mid_channels=mid_channels,
            variant=variant,
        )
        super().__init__(found, init_cfg)
        # A pruned network says another genotype than the one by which it runs.
        self.architecture = self.genotype = found
        activation = found.activation
        self.act = build_activation(activation)
        self.stem1 = conv_norm(found.in_channels, STEM_CHANNELS, 3)
        self.stem2 = conv_norm(STEM_CHANNELS, STEM_CHANNELS, 3)
        self.projections: Any = nn.ModuleList()
        self.cells = nn.ModuleList()
        before_previous, previous = STEM_CHANNELS, STEM_CHANNELS
        for edges, level in zip(found.cells, found.path, strict=True):
            width = found.widths[level]
            self.projections.append(
                nn.ModuleList(conv_norm(c, width, 1) for c in (previous, before_previous))
            )
            self.cells.append(HiNASCell(edges, width, activation))
            before_previous, previous = previous, found.num_nodes * width
        low = found.num_nodes * found.widths[0]
        if found.low_level_cell is None:
            self.reduce = conv_norm(STEM_CHANNELS, low, 3, affine=False)
        self.context = build_context(found.task, previous, activation)
        self.low_level = conv_norm(low, LOW_LEVEL_CHANNELS, 1, activation=activation)
        self.decoder = nn.Sequential(
            sep_block(LOW_LEVEL_CHANNELS + DECODER_CHANNELS, DECODER_CHANNELS, activation),
            sep_block(DECODER_CHANNELS, DECODER_CHANNELS, activation),
        )
        self.last = self.reconstruction(DECODER_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """Restores images.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.

        Raises:
            ValueError: The number of channels is not that of the network.
        """
        self.check_channels(x)
        before_previous = self.stem1(x)
        if self.official:
            before_previous = self.act(before_previous)
        previous = self.stem2(self.act(before_previous))
        low_level_cell = self.architecture.low_level_cell
        low = self.reduce(previous) if low_level_cell is None else None
        for index, (cell, (project, project_before)) in enumerate(
            zip(self.cells, self.projections, strict=True)
        ):
            output = cell(project(self.act(previous)), project_before(self.act(before_previous)))
            before_previous, previous = previous, output
            if index == low_level_cell:
                low = output
        features = torch.cat([self.low_level(low), self.context(self.act(previous))], dim=1)
        return self.add_residual(x, self.last(self.decoder(features)))
