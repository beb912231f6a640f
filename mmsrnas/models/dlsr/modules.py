"""What the supernet and the network of DLSR have in common."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

__all__ = ["ESA", "DLSRBase", "DLSRCell", "activate"]

MIN_SIZE = 15
"""Smallest height and width of the LR image that the pooling of ESA can take, in pixels."""

BRIGHTNESS = 0.45
"""About the mean of photographs, in [0, 1]."""


def activate(x: Tensor) -> Tensor:
    """The activation of DLSR, LeakyReLU with slope 0.05, in place."""
    return F.leaky_relu(x, 0.05, inplace=True)


class ESA(nn.Module):
    """Enhanced spatial attention: a mask from a strongly down-scaled view of the features.

    Args:
        channels: Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 4
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.skip = nn.Conv2d(hidden, hidden, 1)
        self.down = nn.Conv2d(hidden, hidden, 3, stride=2)
        self.body = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1),
        )
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weights ``(N, C, H, W)`` by its own mask in (0, 1)."""
        reduced = self.reduce(x)
        pooled = F.max_pool2d(self.down(reduced), kernel_size=7, stride=3)
        view = F.interpolate(self.body(pooled), x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.expand(view + self.skip(reduced)))


class DLSRCell(nn.Module):
    """Information-distillation cell with three residual operations.

    Args:
        channels: Channels in and out.
        ops: The three operations; mixed operations in the supernet.
    """

    def __init__(self, channels: int, ops: Sequence[nn.Module]) -> None:
        super().__init__()
        distilled = channels // 2
        self.distill = nn.ModuleList(nn.Conv2d(channels, distilled, 1) for _ in ops)
        self.ops = nn.ModuleList(ops)
        self.last = nn.Conv2d(channels, distilled, 3, padding=1)
        self.fuse = nn.Conv2d(distilled * (len(ops) + 1), channels, 1)
        self.attention = ESA(channels)

    def forward(self, x: Tensor, mixtures: Sequence[Tensor] | None = None) -> Tensor:
        """Runs the cell.

        Args:
            x: Features ``(N, C, H, W)``.
            mixtures: In a supernet, the weights of the candidates ``(O,)`` of each operation.

        Returns:
            Features ``(N, C, H, W)``.
        """
        branches = []
        for index, (distill, op) in enumerate(zip(self.distill, self.ops, strict=True)):
            branches.append(distill(x))
            x = activate((op(x) if mixtures is None else op(x, mixtures[index])) + x)
        branches.append(self.last(x))
        return self.attention(self.fuse(activate(torch.cat(branches, dim=1))))


class DLSRBase(BaseModule):
    """The macro-architecture of DLSR around its cells.

    A subclass says what the third and every later cell reads, in :meth:`connect`.

    Args:
        cells: The cells, in order.
        fan_in: Number of feature maps that each cell from the third on reads.
        mid_channels: Channels of the features.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images.
        img_range: The value that the network sees for 1.0 of the input.
        global_skip: Add the bicubic interpolation of the input to the output, which the network
            starts as. Its own part does not see brightness then, which detail does not depend on.
            The published ones have no such path.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        min_size: Smallest height and width of an LR image, in pixels.
    """

    min_size = MIN_SIZE

    def __init__(
        self,
        cells: Sequence[nn.Module],
        fan_in: Sequence[int],
        mid_channels: int,
        upscale_factor: int,
        in_channels: int = 3,
        img_range: float = 255.0,
        global_skip: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        self.img_range = img_range
        self.global_skip = global_skip
        self.conv_first = nn.Conv2d(in_channels, mid_channels, 3, padding=1)
        self.cells = nn.ModuleList(cells)
        self.connections = nn.ModuleList(
            nn.Conv2d(count * mid_channels, mid_channels, 1) for count in fan_in
        )
        self.fuse = nn.Conv2d(len(cells) * mid_channels, mid_channels, 1)
        self.conv_last = nn.Conv2d(mid_channels, mid_channels, 3, padding=1)
        self.upsample = nn.Sequential(
            nn.Conv2d(mid_channels, in_channels * upscale_factor**2, 3, padding=1),
            nn.PixelShuffle(upscale_factor),
        )
        if global_skip:
            for parameter in self.upsample.parameters():
                nn.init.zeros_(parameter)

    def connect(self, index: int, features: list[Tensor]) -> Tensor:
        """Joins what cell ``index`` reads out of the outputs of the cells before it."""
        raise NotImplementedError

    def run_cell(self, index: int, x: Tensor) -> Tensor:
        """Runs cell ``index`` on ``(N, C, H, W)``."""
        return self.cells[index](x)

    def forward(self, x: Tensor) -> Tensor:
        """Super-resolves.

        Args:
            x: LR images ``(N, in_channels, H, W)`` in [0, 1], ``H`` and ``W`` at least 15.

        Returns:
            SR images ``(N, in_channels, s * H, s * W)``, not clamped.

        Raises:
            ValueError: The images are too small for the attention.
        """
        if min(x.shape[2:]) < MIN_SIZE:
            raise ValueError(
                f"DLSR: LR images must have at least {MIN_SIZE} x {MIN_SIZE} pixels for its "
                f"attention, got {x.shape[2]} x {x.shape[3]}. Pad the image, or enlarge "
                "'patch_size'."
            )
        x = x.contiguous(memory_format=torch.channels_last)
        seen = x - BRIGHTNESS if self.global_skip else x
        stem = self.conv_first(seen * self.img_range)
        features = [self.run_cell(0, stem)]
        for index in range(1, len(self.cells)):
            source = features[0]
            if index > 1:
                source = activate(self.connections[index - 2](self.connect(index, features)))
            features.append(self.run_cell(index, source))
        fused = activate(self.fuse(torch.cat(features, dim=1)))
        output = self.upsample(self.conv_last(fused) + stem) / self.img_range
        if self.global_skip:
            output = output + F.interpolate(x, scale_factor=self.upscale_factor, mode="bicubic")
        return output
