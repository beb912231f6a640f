"""The HiNAS network that a genotype describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, load_genotype
from mmsrnas.registry import MODELS

from .base import HiNASBase
from .modules import ASPP, build_activation, build_candidate, conv_norm, sep_block

__all__ = ["STEM_CHANNELS", "HiNASNet", "build_context"]

STEM_CHANNELS = 64
DECODER_CHANNELS = 128
LOW_LEVEL_CHANNELS = 48


class HiNASCell(nn.Module):
    """A derived cell: every node is the sum of two operations.

    Args:
        edges: Two ``(operation, input)`` pairs per node.
        channels: Channels of a node.
        activation: Name of the activation.
    """

    def __init__(self, edges: Sequence[tuple[str, int]], channels: int, activation: str) -> None:
        super().__init__()
        self.inputs = [source for _, source in edges]
        self.ops = nn.ModuleList(
            build_candidate(op, channels, activation, affine=True) for op, _ in edges
        )

    def forward(self, previous: Tensor, before: Tensor) -> Tensor:
        """Runs the cell.

        Args:
            previous: Projected output of the previous cell ``(N, C, H, W)``.
            before: Projected output of the cell before that one.

        Returns:
            The nodes, concatenated ``(N, nodes * C, H, W)``.
        """
        states = [before, previous]
        for edge in range(0, len(self.ops), 2):
            states.append(sum(self.ops[e](states[self.inputs[e]]) for e in (edge, edge + 1)))
        return torch.cat(states[2:], dim=1)


def build_context(task: str, channels: int, activation: str) -> nn.Module:
    """What the decoder does to the output of the last cell: ASPP for SR, else a projection."""
    if task == "sr":
        return ASPP(channels, DECODER_CHANNELS, (2, 4, 6), activation)
    return conv_norm(channels, DECODER_CHANNELS, 1, activation=activation)


@MODELS.register_module()
class HiNASNet(HiNASBase):
    """Restoration network found by HiNAS (arXiv 2012.13212).

    Args:
        genotype: Name of a published genotype, path of a JSON file that a search wrote, its
            content, or the value.
        task: ``'denoise'`` or ``'sr'``; this and the following replace the genotype's value
            where they are not None.
        upscale_factor: Ratio of HR to LR size; 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        base_channels: Channels of a node at multiplier 1. The paper retrains with twice the
            channels of the search.
        head: ``'official'`` activates the output of the first convolution twice, as the released
            code does; ``'residual'`` once.
        init_cfg: Initialisation config of mmengine.

    Raises:
        GenotypeError: The genotype is unknown, wrong, or of another method.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype,
        task: str | None = None,
        upscale_factor: int | None = None,
        in_channels: int | None = None,
        base_channels: int | None = None,
        head: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        genotype = load_genotype(genotype, method="hinas").replace(
            task=task,
            upscale_factor=upscale_factor,
            in_channels=in_channels,
            mid_channels=base_channels,
            variant={"residual": "default"}.get(head, head),
        )
        task, in_channels = genotype.task, genotype.in_channels
        head = "official" if genotype.variant == "official" else "residual"
        super().__init__(task, genotype.upscale_factor, in_channels, head, init_cfg)
        self.genotype = genotype
        activation = genotype.activation
        self.act = build_activation(activation)
        self.stem1 = conv_norm(in_channels, STEM_CHANNELS, 3)
        self.stem2 = conv_norm(STEM_CHANNELS, STEM_CHANNELS, 3)
        self.projections = nn.ModuleList()
        self.cells = nn.ModuleList()
        before, previous = STEM_CHANNELS, STEM_CHANNELS
        for edges, level in zip(genotype.cells, genotype.path, strict=True):
            width = genotype.widths[level]
            self.projections.append(
                nn.ModuleList(conv_norm(c, width, 1) for c in (previous, before))
            )
            self.cells.append(HiNASCell(edges, width, activation))
            before, previous = previous, genotype.num_nodes * width
        low = genotype.num_nodes * genotype.mid_channels
        if genotype.low_level_cell is None:
            self.reduce = conv_norm(STEM_CHANNELS, low, 3, affine=False)
        self.context = build_context(task, previous, activation)
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
        before = self.stem1(x)
        if self.official:
            before = self.act(before)
        previous = self.stem2(self.act(before))
        low = previous if self.genotype.low_level_cell is None else None
        for index, (cell, (project1, project2)) in enumerate(
            zip(self.cells, self.projections, strict=True)
        ):
            output = cell(project1(self.act(previous)), project2(self.act(before)))
            before, previous = previous, output
            if index == self.genotype.low_level_cell:
                low = output
        if self.genotype.low_level_cell is None:
            low = self.reduce(low)
        features = torch.cat([self.low_level(low), self.context(self.act(previous))], dim=1)
        return self.add_residual(x, self.last(self.decoder(features)))
