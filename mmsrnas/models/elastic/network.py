"""The elastic network that a genotype describes."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.genotypes import ElasticGenotype, Genotype, load_genotype
from mmsrnas.registry import MODELS

from .modules import LinearAnchor, RepConv, plain_conv, run_chain, start_silent
from .ops import KERNEL_SIZES, NEGATIVE_SLOPE

__all__ = ["ElasticNet"]


@MODELS.register_module()
class ElasticNet(BaseModule):
    """A chain of convolutions between a stem and a pixel shuffle.

    With ``reparameterized`` every convolution has further linear branches, which train and can be
    summed at any time: :meth:`fold` gives the plain network.

    Args:
        genotype: Name of a published genotype, path of a JSON file that a search wrote, its
            content, or the value.
        upscale_factor: Ratio of HR to LR size, 1 for denoising; this and the following replace the
            genotype's value where they are not None.
        in_channels: Channels of the images.
        reparameterized: Train with branches.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        genotype: The genotype of this network, with the replaced values.

    Raises:
        GenotypeError: The genotype or an argument is unknown, wrong, or of another method.
    """

    min_size = 1

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype,
        upscale_factor: int | None = None,
        in_channels: int | None = None,
        reparameterized: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        found: ElasticGenotype = load_genotype(genotype, method="elastic").replace(
            upscale_factor=upscale_factor, in_channels=in_channels
        )
        # A pruned network says another genotype than the one by which it runs.
        self.architecture = self.genotype = found
        self.upscale_factor = found.upscale_factor
        self.in_channels = found.in_channels
        self.reparameterized = reparameterized
        conv = RepConv if reparameterized else plain_conv
        sources = (found.widths[0], *found.widths)
        self.stem = conv(found.in_channels, sources[0])
        self.cells = nn.ModuleList(
            conv(source, width, KERNEL_SIZES[op])
            for op, source, width in zip(found.ops, sources, found.widths, strict=False)
        )
        outputs = found.in_channels * found.upscale_factor**2
        self.head = start_silent(conv(sources[-1], outputs))
        self.anchor = None
        if found.anchor == "linear":
            self.anchor = LinearAnchor(found.in_channels, found.upscale_factor)
        self.slopes = nn.ParameterDict(
            {
                str(index): nn.Parameter(torch.full((width,), NEGATIVE_SLOPE))
                for index, (op, width) in enumerate(zip(("stem", *found.ops), sources, strict=True))
                if found.activation == "prelu" and op != "gate_3x3"
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolves or denoises.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.
        """
        convs = self.convolutions()
        slopes = [self.slopes.get(str(i)) for i in range(len(convs))]
        return run_chain(self.architecture, x, convs, slopes, self.anchor)

    def fold(self) -> "ElasticNet":
        """A copy whose branches are summed: plain convolutions that compute the same."""
        plain = copy.deepcopy(self)
        plain.reparameterized = False
        plain.stem, *cells, plain.head = (
            conv.folded() if isinstance(conv, RepConv) else conv for conv in plain.convolutions()
        )
        plain.cells = nn.ModuleList(cells)
        return plain

    @torch.no_grad()
    def unfold(self) -> "ElasticNet":
        """A copy with further branches that computes the same until it is trained."""
        plain = self.fold()
        network = ElasticNet(self.genotype, reparameterized=True).to(self.stem.weight)
        # The branches of a new convolution are silent.
        network.load_state_dict(plain.state_dict(), strict=False)
        return network.train(self.training)

    def convolutions(self) -> list[nn.Conv2d]:
        """Stem, convolutions of the blocks, head."""
        return [self.stem, *self.cells, self.head]  # pyright: ignore[reportReturnType]
