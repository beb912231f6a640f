"""Genotype of the elastic space: operation and width of each block of a chain of convolutions."""

from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from .base import MAX_CELLS, Channels, Genotype, ImageChannels, Scale, wrong
from .diagram import Diagram

__all__ = ["ELASTIC_ACTIVATIONS", "ELASTIC_ANCHORS", "ELASTIC_OPS", "ElasticGenotype"]

Op = Literal["conv_3x3", "conv_5x5", "gate_3x3"]
Activation = Literal["leaky_relu", "prelu", "silu", "gelu"]
Anchor = Literal["linear", "nearest", "bicubic"]

ELASTIC_OPS: tuple[str, ...] = get_args(Op)
"""Operations of a block."""
ELASTIC_ACTIVATIONS: tuple[str, ...] = get_args(Activation)
"""Activations behind stem and convolutions."""
ELASTIC_ANCHORS: tuple[str, ...] = get_args(Anchor)
"""What the output is added to: a learned linear interpolation, or a fixed one."""

IN_A_ROW = 8


class ElasticGenotype(Genotype, frozen=True):
    """A chain of convolutions between a stem and a pixel shuffle.

    Args:
        ops: Operation of each block.
        widths: Channels that each block makes; the stem makes those of the first.
        activation: Activation behind the stem and behind each convolution.
        anchor: Interpolation of the input that the output is added to; ``'linear'`` is a 5x5
            convolution that starts as the bicubic one.
        upscale_factor: Ratio of HR to LR size, 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
    """

    method: ClassVar[str] = "elastic"
    network: ClassVar[str] = "ElasticNet"

    ops: Annotated[tuple[Op, ...], Meta(min_length=1, max_length=MAX_CELLS)]
    widths: Annotated[tuple[Channels, ...], Meta(min_length=1, max_length=MAX_CELLS)]
    activation: Activation = "leaky_relu"
    anchor: Anchor = "linear"
    upscale_factor: Scale = 2
    in_channels: ImageChannels = 3

    def check(self) -> None:
        """Every block has one width."""
        if len(self.widths) != len(self.ops):
            raise wrong(
                "widths",
                f"expected {len(self.ops)} numbers, one for each of 'ops', got {len(self.widths)}.",
            )

    @property
    def num_cells(self) -> int:
        """Number of blocks."""
        return len(self.ops)

    def diagrams(self) -> list[Diagram]:
        """The chain, eight boxes in a row."""
        chain = Diagram(f"Elastic chain, {self.activation}, on the {self.anchor} interpolation")
        blocks = [f"{op}\n{width}" for op, width in zip(self.ops, self.widths, strict=True)]
        outputs = self.in_channels * self.upscale_factor**2
        boxes = [("in", "data"), (f"conv_3x3\n{self.widths[0]}", "fixed")]
        boxes += [(text, "searched") for text in blocks]
        boxes += [(f"conv_3x3\n{outputs}", "fixed"), ("shuffle, +", "fixed"), ("out", "data")]
        for index, (text, kind) in enumerate(boxes):
            row, column = divmod(index, IN_A_ROW)
            chain.box(str(index), 2.4 * column, -1.4 * row, text, kind)
            if index:
                chain.arrow(str(index - 1), str(index))
        return [chain]
