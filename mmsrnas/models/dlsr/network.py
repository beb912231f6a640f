"""The DLSR network that a genotype describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsrnas.genotypes import DLSRGenotype, Genotype, load_genotype
from mmsrnas.registry import MODELS

from .modules import DLSRBase, DLSRCell
from .ops import build_op

__all__ = ["DLSRNet"]


@MODELS.register_module()
class DLSRNet(DLSRBase):
    """Extremely lightweight super-resolution network found by DLSR (arXiv 2105.03939).

    Args:
        genotype: Name of a published genotype, path of a JSON file that a search wrote, its
            content, or the value.
        upscale_factor: Ratio of HR to LR size; this and the following replace the genotype's value
            where they are not None.
        mid_channels: Channels of the features.
        in_channels: Channels of the images.
        global_skip: Whether the bicubic interpolation of the input is added to the output.
        kwargs: ``img_range`` and ``init_cfg`` of
            :class:`~mmsrnas.models.dlsr.modules.DLSRBase`.

    Attributes:
        genotype: The genotype of this network, with the replaced values.

    Raises:
        GenotypeError: The genotype or an argument is unknown, wrong, or of another method.
    """

    def __init__(
        self,
        genotype: str | Path | Mapping[str, Any] | Genotype = "DLSR",
        upscale_factor: int | None = None,
        mid_channels: int | None = None,
        in_channels: int | None = None,
        global_skip: bool | None = None,
        **kwargs: Any,
    ) -> None:
        found: DLSRGenotype = load_genotype(genotype, method="dlsr").replace(
            upscale_factor=upscale_factor,
            mid_channels=mid_channels,
            in_channels=in_channels,
            global_skip=global_skip,
        )
        channels = found.mid_channels
        cells = [
            DLSRCell(channels, [build_op(op, channels) for op in found.ops])
            for _ in range(found.num_cells)
        ]
        fan_in = [len(pair) for pair in found.connections]
        super().__init__(
            cells,
            fan_in,
            channels,
            found.upscale_factor,
            found.in_channels,
            global_skip=found.global_skip,
            **kwargs,
        )
        # A pruned network says another genotype than the one by which it runs.
        self.architecture = self.genotype = found

    def connect(self, index: int, features: list[Tensor]) -> Tensor:
        """Concatenates the two cells that the genotype names."""
        return torch.cat([features[i] for i in self.architecture.connections[index - 2]], dim=1)
