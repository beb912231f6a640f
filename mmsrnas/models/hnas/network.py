"""The HNAS network that a genotype describes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, HNASGenotype, load_genotype
from mmsrnas.registry import MODELS

from .alignment import align
from .modules import HNASBase, HNASCell, edge_scale
from .ops import build_op

__all__ = ["HNASNet"]


class DerivedCell(HNASCell):
    """A cell with its own operation on every edge.

    Args:
        channels: Channels of a node.
        edges: Two edges per node, as name of the operation and source.
        upscale_factor: Scale of the network.
        upsamples: Whether this is the upsampling cell.
        average: A node is the mean of its two operations, not their sum.
    """

    def __init__(
        self,
        channels: int,
        edges: Sequence[tuple[str, int]],
        upscale_factor: int,
        upsamples: bool,
        average: bool = False,
    ) -> None:
        super().__init__(channels, len(edges) // 2, norm=False, average=average)
        self.sources = [source for _, source in edges]
        self.ops = nn.ModuleList(
            build_op(name, channels, edge_scale(upsamples, source, upscale_factor), norm=False)
            for name, source in edges
        )

    def forward(self, previous: Tensor, before_previous: Tensor) -> Tensor:
        """Runs the cell on the rectified outputs of the last cell and of the last but one."""
        edges = list(zip(self.ops, self.sources, strict=True))
        return self.run(previous, before_previous, edges)


@MODELS.register_module()
class HNASNet(HNASBase):
    """Super-resolution network found by hierarchical search (arXiv 2003.04619).

    Args:
        genotype: Name of a published genotype (``HNAS_A``, ``HNAS_B``, ``HNAS_C``), path of a JSON
            file that a search wrote, its content, or the value.
        upscale_factor: Ratio of HR to LR size: 2, 3, 4 or 8.
        mid_channels: Channels of a node; the features have four times as many with four nodes.
        global_skip: Add the bicubic interpolation of the input to the output, which the network
            starts as; the published ones have no such path.
        in_channels: Channels of the images, 1 for gray and 3 for RGB.
        img_range: The value that the network sees for 1.0 of the input; 255 suits the weights of
            the released code.
        aligned: Start all operations near the identity, see
            :func:`~mmsrnas.models.hnas.alignment.align`; otherwise at random, as the released
            code does.
        average: A node is the mean of its two operations, not their sum, as published. Sums grow
            with the depth of the graph, so that weights which many graphs share would see features
            of sizes that differ by more than a thousand.
        init_cfg: Initialisation config of mmengine.

    What is None, of ``upscale_factor`` to ``in_channels``, is what the genotype says.

    Attributes:
        genotype: Genotype of this network, with all of them.

    Raises:
        GenotypeError: The genotype is unknown, wrong, or of another method, or an argument that
            replaces a field of it is out of its range.
    """

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype = "HNAS_A",
        upscale_factor: int | None = None,
        mid_channels: int | None = None,
        global_skip: bool | None = None,
        in_channels: int | None = None,
        img_range: float = 255.0,
        aligned: bool = False,
        average: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        found: HNASGenotype = load_genotype(genotype, method="hnas").replace(
            upscale_factor=upscale_factor,
            mid_channels=mid_channels,
            global_skip=global_skip,
            in_channels=in_channels,
        )
        super().__init__(
            found.mid_channels,
            found.num_nodes,
            found.upscale_factor,
            found.in_channels,
            norm=False,
            img_range=img_range,
            global_skip=found.global_skip,
            init_cfg=init_cfg,
        )
        # A pruned network says another genotype than the one by which it runs.
        self.architecture = self.genotype = found
        self.cells = nn.ModuleList(
            DerivedCell(
                found.mid_channels,
                found.upsampling if upsamples else found.normal,
                found.upscale_factor,
                upsamples,
                average,
            )
            for upsamples in self._upsamples()
        )
        if aligned:
            align(self.cells)

    def _upsamples(self) -> list[bool]:
        position = self.architecture.upsampling_position
        return [index == position for index in range(self.architecture.num_cells)]

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolves.

        Args:
            x: LR images ``(N, in_channels, H, W)`` in [0, 1].

        Returns:
            SR images ``(N, in_channels, s * H, s * W)``, not clamped.
        """
        return self.run_cells(x, list(zip(self.cells, self._upsamples(), strict=True)))
