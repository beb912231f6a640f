"""The HNAS network that a genotype describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, load_genotype
from mmsrnas.registry import MODELS

from .modules import HNASBase, HNASCell, build_op

__all__ = ["HNASNet"]


class DerivedCell(HNASCell):
    """A cell with its own operation on every edge.

    Args:
        channels: Channels of a node.
        edges: Two edges per node, as name of the operation and source.
        upscale_factor: Scale of the network.
        upsamples: Whether this is the upsampling cell.
    """

    def __init__(
        self,
        channels: int,
        edges: Sequence[tuple[str, int]],
        upscale_factor: int,
        upsamples: bool,
    ) -> None:
        super().__init__(channels, len(edges) // 2, norm=False)
        self.sources = [source for _, source in edges]
        self.ops = nn.ModuleList(
            # Nodes from 2 on of the upsampling cell are upsampled already.
            build_op(name, channels, 1 if upsamples and source > 1 else upscale_factor, norm=False)
            for name, source in edges
        )

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        """Runs the cell on the rectified outputs of the last but one and of the last cell."""
        return self.run((s0, s1), list(zip(self.ops, self.sources, strict=True)))


@MODELS.register_module()
class HNASNet(HNASBase):
    """Super-resolution network found by hierarchical search (arXiv 2003.04619).

    Args:
        genotype: Name of a published genotype (``HNAS_A``, ``HNAS_B``, ``HNAS_C``), path of a JSON
            file that a search wrote, its content, or the value.
        upscale_factor: Ratio of HR to LR size: 2, 3, 4 or 8.
        channels: Channels of a node; the features have four times as many with four nodes.
        img_range: The value that the network sees for 1.0 of the input; 255 suits the weights of
            the released code.
        global_skip: Add the bicubic interpolation of the input to the output, which the network
            starts as; the published one has no such path.
        init_cfg: Initialisation config of mmengine.

    Raises:
        GenotypeError: The genotype is unknown, wrong, or of another method.
        ValueError: Unsupported ``upscale_factor`` or ``channels``.
    """

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype = "HNAS_A",
        upscale_factor: int = 2,
        channels: int = 64,
        img_range: float = 255.0,
        global_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        genotype = load_genotype(genotype, method="hnas")
        super().__init__(
            channels, genotype.num_nodes, upscale_factor, False, img_range, global_skip, init_cfg
        )
        self.genotype = genotype
        self.cells = nn.ModuleList(
            DerivedCell(
                channels,
                genotype.upsampling if upsamples else genotype.normal,
                upscale_factor,
                upsamples,
            )
            for upsamples in self._upsamples()
        )

    def _upsamples(self) -> list[bool]:
        position = self.genotype.upsampling_position
        return [index == position for index in range(self.genotype.num_cells)]

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolves.

        Args:
            x: LR images ``(N, 3, H, W)`` in [0, 1].

        Returns:
            SR images ``(N, 3, s * H, s * W)``, not clamped.
        """
        return self.run_cells(x, list(zip(self.cells, self._upsamples(), strict=True)))
