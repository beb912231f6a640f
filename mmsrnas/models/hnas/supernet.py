"""The supernet of HNAS: the weights of every architecture, of which one runs at a time."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import HNAS_NORMAL_OPS, HNAS_UPSAMPLING_OPS, HNASGenotype
from mmsrnas.models.bn_calibration import estimate_statistics
from mmsrnas.registry import MODELS

from .alignment import align
from .modules import HNASBase, HNASCell, build_op
from .space import HNASSpace

__all__ = ["HNASSupernet", "calibrate"]


class SharedCell(HNASCell):
    """All operations on all possible edges of a cell.

    Args:
        channels: Channels of a node.
        num_nodes: Number of intermediate nodes.
        ops: Names of the operations.
        upscale_factor: Scale of the network.
        upsamples: Whether this is an upsampling cell.
    """

    def __init__(
        self,
        channels: int,
        num_nodes: int,
        ops: Sequence[str],
        upscale_factor: int,
        upsamples: bool,
    ) -> None:
        super().__init__(channels, num_nodes, norm=True)
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: build_op(
                        name,
                        channels,
                        # Nodes from 2 on of the upsampling cell are upsampled already.
                        1 if upsamples and source > 1 else upscale_factor,
                        norm=not upsamples,
                    )
                    for name in ops
                }
            )
            for node in range(num_nodes)
            for source in range(node + 2)
        )

    def forward(self, s0: Tensor, s1: Tensor, edges: Sequence[tuple[str, int]]) -> Tensor:
        """Runs the cell that ``edges`` describes on the rectified outputs of two cells."""
        chosen = [
            (self.edges[node * (node + 3) // 2 + source][op], source)
            for index, (op, source) in enumerate(edges)
            for node in (index // 2,)
        ]
        return self.run((s0, s1), chosen)


@MODELS.register_module()
class HNASSupernet(HNASBase):
    """Shared weights of the search space of HNAS, and the policy over it (arXiv 2003.04619).

    A call names the architecture to run; without one, the architecture that the policy finds most
    likely runs. Nothing is sampled inside.

    Every position has an upsampling cell of its own, so that its weights fit the depth.

    Args:
        upscale_factor: Ratio of HR to LR size: 2, 3, 4 or 8.
        num_layers: Number of cells, the upsampling cell included.
        channels: Channels of a node.
        num_nodes: Number of intermediate nodes of a cell.
        normal_ops: Operations of the normal cell: by default those of the released code;
            ``HNAS_PAPER_NORMAL_OPS`` adds the up- and down-projection block.
        upsampling_ops: Operations of the upsampling cell.
        controller: Config of the policy.
        img_range: The value that the network sees for 1.0 of the input.
        global_skip: Add the bicubic interpolation of the input to the output; train what was found
            in the same way. Normalised features have lost the brightness of the image, so that
            without it the shared weights stay far below interpolation.
        aligned: Start all operations near the identity, see :func:`align`; otherwise at random, as
            the released code does.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: Unsupported ``upscale_factor`` or ``channels``, unknown operations.
    """

    def __init__(
        self,
        upscale_factor: int = 2,
        num_layers: int = 12,
        channels: int = 8,
        num_nodes: int = 4,
        normal_ops: Sequence[str] = HNAS_NORMAL_OPS,
        upsampling_ops: Sequence[str] = HNAS_UPSAMPLING_OPS,
        controller: dict | None = None,
        img_range: float = 255.0,
        global_skip: bool = False,
        aligned: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            channels, num_nodes, upscale_factor, True, img_range, global_skip, init_cfg
        )
        self.space = HNASSpace(num_layers, num_nodes, normal_ops, upsampling_ops)
        args = (channels, num_nodes)
        self.cells = nn.ModuleList(
            SharedCell(*args, self.space.normal_ops, upscale_factor, upsamples=False)
            for _ in range(num_layers)
        )
        self.upsampling_cells = nn.ModuleList(
            SharedCell(*args, self.space.upsampling_ops, upscale_factor, upsamples=True)
            for _ in range(num_layers)
        )
        if aligned:
            align([*self.cells, *self.upsampling_cells])
        cfg = dict(type="mmsrnas.HNASController") | (controller or {})
        self.controller = MODELS.build(cfg | {"space": self.space})

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the parameters of the policy with their names."""
        for name, parameter in self.controller.named_parameters():
            yield f"controller.{name}", parameter

    @torch.no_grad()
    def genotype(self) -> HNASGenotype:
        """The architecture that the policy finds most likely, decision by decision."""
        return self.space.decode(self.controller.argmax().tokens[0])

    def forward(self, x: Tensor, architecture: HNASGenotype | None = None) -> Tensor:
        """Super-resolves with one architecture.

        Args:
            x: LR images ``(N, 3, H, W)`` in [0, 1].
            architecture: The architecture to run; :meth:`genotype` where it is None.

        Returns:
            SR images ``(N, 3, s * H, s * W)``, not clamped.

        Raises:
            GenotypeError: The architecture is not in the search space.
        """
        architecture = architecture or self.genotype()
        self.space.check(architecture)
        cells = [(partial(cell, edges=architecture.normal), False) for cell in self.cells]
        position = architecture.upsampling_position
        upsampling = self.upsampling_cells[position]
        cells[position] = (partial(upsampling, edges=architecture.upsampling), True)
        return self.run_cells(x, cells)


def calibrate(net: HNASSupernet, architecture: HNASGenotype, batches: Iterable[Tensor]) -> None:
    """Replaces the running statistics of an architecture by those of its own activations.

    Args:
        net: The supernet, whose mode stays as it is.
        architecture: The architecture; what it does not use is reset.
        batches: LR images ``(N, 3, H, W)`` in [0, 1]; statistics are averaged over the batches.
    """
    estimate_statistics(net, partial(net, architecture=architecture), batches)
