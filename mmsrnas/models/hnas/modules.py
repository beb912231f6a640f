"""What the supernet and the networks of HNAS have in common."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from .ops import norm_layers

__all__ = ["HNASBase", "HNASCell", "check_scale", "edge_scale"]

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the training images of DIV2K, in [0, 1]."""

GRAY_MEAN = 0.299 * RGB_MEAN[0] + 0.587 * RGB_MEAN[1] + 0.114 * RGB_MEAN[2]

SCALES = (2, 3, 4, 8)


def check_scale(upscale_factor: int) -> None:
    """Raises ``ValueError`` for a scale that the upsampling operations do not have."""
    if upscale_factor not in SCALES:
        raise ValueError(f"upscale_factor: HNAS has {SCALES}, got {upscale_factor!r}.")


def edge_scale(upsamples: bool, source: int, upscale_factor: int) -> int:
    """The scale of an edge of a cell, see :func:`~mmsrnas.models.hnas.ops.build_op`.

    Nodes from 2 on of the upsampling cell are upsampled already.
    """
    return 1 if upsamples and source > 1 else upscale_factor


class HNASCell(nn.Module):
    """Preprocessing of the two inputs of a cell, and its graph.

    Args:
        channels: Channels ``C`` of a node.
        num_nodes: Number of intermediate nodes ``B``; inputs and output have ``B * C`` channels.
        norm: Normalise the preprocessed inputs.
        average: A node is the mean of its two operations, not their sum.
    """

    def __init__(self, channels: int, num_nodes: int, norm: bool, average: bool = False) -> None:
        super().__init__()
        self.average = average
        # Of nodes 0 and 1, which are the last but one and the last cell.
        self.preprocess = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(num_nodes * channels, channels, 1, bias=False),
                *norm_layers(channels, norm),
            )
            for _ in range(2)
        )

    def run(
        self, previous: Tensor, before_previous: Tensor, edges: Sequence[tuple[nn.Module, int]]
    ) -> Tensor:
        """Runs the graph.

        Args:
            previous: Output of the last cell after a ReLU ``(N, B * C, H, W)``, node 1.
            before_previous: That of the last cell but one, of the same shape, node 0.
            edges: Two edges per node, as operation and source.

        Returns:
            All nodes from 2 on ``(N, B * C, s * H, s * W)``.
        """
        oldest, newest = self.preprocess
        nodes = [oldest(before_previous), newest(previous)]
        for (left, i), (right, j) in zip(edges[::2], edges[1::2], strict=True):
            first = left(nodes[i])
            # One operation chosen twice in a supernet is one set of weights.
            second = first if left is right and i == j else right(nodes[j])
            node = first + second
            nodes.append(node / 2 if self.average else node)
        return torch.cat(nodes[2:], dim=1)


class HNASBase(BaseModule):
    """The macro-architecture of HNAS around its cells.

    Args:
        mid_channels: Channels ``C`` of a node.
        num_nodes: Number of intermediate nodes ``B``.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images, 1 for gray and 3 for RGB.
        norm: Normalise the stem.
        img_range: The value that the network sees for 1.0 of the input.
        global_skip: Add the bicubic interpolation of the input to the output, which the network
            starts as; the published one has no such path.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        min_size: Smallest height and width of an LR image.

    Raises:
        ValueError: Unsupported ``upscale_factor`` or ``in_channels``, or ``mid_channels`` below 3.
    """

    min_size = 1
    mean: Tensor

    def __init__(
        self,
        mid_channels: int,
        num_nodes: int,
        upscale_factor: int,
        in_channels: int,
        norm: bool,
        img_range: float = 255.0,
        global_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_scale(upscale_factor)
        if in_channels not in (1, 3):
            raise ValueError(
                f"in_channels: expected 1 for gray or 3 for RGB images, got {in_channels!r}."
            )
        if mid_channels < 3:
            raise ValueError(
                f"mid_channels: the attention of 'rcab' needs 3, got {mid_channels!r}."
            )
        self.mid_channels = mid_channels
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        self.img_range = img_range
        self.global_skip = global_skip
        mean = torch.tensor(RGB_MEAN if in_channels == 3 else [GRAY_MEAN])
        self.register_buffer("mean", mean.view(1, -1, 1, 1) * img_range, persistent=False)
        width = num_nodes * mid_channels
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            *norm_layers(width, norm, affine=True),
        )
        self.conv_last = nn.Conv2d(width, in_channels, 3, padding=1)
        if global_skip:
            nn.init.zeros_(self.conv_last.weight)
            nn.init.zeros_(self.conv_last.get_parameter("bias"))

    def run_cells(
        self, x: Tensor, cells: Sequence[tuple[Callable[[Tensor, Tensor], Tensor], bool]]
    ) -> Tensor:
        """Runs the network.

        Args:
            x: LR images ``(N, in_channels, H, W)`` in [0, 1].
            cells: Callables ``(previous, before_previous) -> output`` in order, and whether each
                upsamples.

        Returns:
            SR images ``(N, in_channels, s * H, s * W)``, not clamped.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        output = self.stem(x * self.img_range - self.mean)
        previous = before_previous = F.relu(output)
        for index, (cell, upsamples) in enumerate(cells, start=1):
            output = cell(previous, before_previous)
            if index < len(cells):  # cells read rectified features, the last convolution does not
                output = F.relu(output, inplace=True)
                previous, before_previous = output, output if upsamples else previous
        output = self.conv_last(output)
        if self.global_skip:
            return output / self.img_range + F.interpolate(
                x, scale_factor=self.upscale_factor, mode="bicubic"
            )
        return (output + self.mean) / self.img_range
