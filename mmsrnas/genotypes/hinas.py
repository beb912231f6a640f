"""Genotype of HiNAS: the operations and inputs of each cell, and the path through the widths."""

from fractions import Fraction
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from .base import MAX_CELLS, MAX_CHANNELS, Channels, Genotype, ImageChannels, Index, Scale, wrong
from .diagram import Diagram

__all__ = ["HINAS_ACTIVATIONS", "HINAS_OPS", "HiNASGenotype"]

Op = Literal[
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "skip_connect",
]
Activation = Literal["leaky_relu", "relu", "prelu"]

HINAS_OPS: tuple[str, ...] = (*get_args(Op), "none")
"""Candidate operations in the order of the columns of alpha; ``none`` is never derived."""

HINAS_ACTIVATIONS: tuple[str, ...] = get_args(Activation)
"""Activations of the candidate sets."""

Cell = Annotated[tuple[tuple[Op, Index], ...], Meta(min_length=2, max_length=2 * MAX_CELLS)]


class HiNASGenotype(Genotype, frozen=True):
    """A HiNAS network (arXiv 2012.13212).

    Args:
        cells: For each cell, two ``(operation, input)`` pairs per node, node by node. Input 0 is
            the cell before the previous one, input 1 the previous cell, input ``i + 2`` node ``i``.
        path: For each cell, its level, an index into ``width_multipliers``. The first cell is at
            level 0 or 1, and neighbours differ by at most one level.
        mid_channels: Channels of a node at multiplier 1.
        width_multipliers: Widths of the levels in units of ``mid_channels``, rounded down.
        activation: Activation of the operations, ``'leaky_relu'``, ``'relu'`` or ``'prelu'``.
        task: ``'denoise'`` or ``'sr'``.
        upscale_factor: Ratio of HR to LR size; 1 for denoising, at least 2 for super-resolution.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        variant: ``'official'`` activates the output of the first convolution twice, as the
            released code does; ``'default'`` once.
    """

    method: ClassVar[str] = "hinas"
    network: ClassVar[str] = "HiNASNet"

    cells: Annotated[tuple[Cell, ...], Meta(min_length=1, max_length=MAX_CELLS)]
    path: Annotated[tuple[Index, ...], Meta(min_length=1, max_length=MAX_CELLS)]
    mid_channels: Channels
    width_multipliers: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=64)], ...], Meta(min_length=1, max_length=16)
    ] = (1, 1.5, 2)
    activation: Activation = "leaky_relu"
    task: Literal["denoise", "sr"] = "sr"
    upscale_factor: Scale = 4
    in_channels: ImageChannels = 3
    variant: Literal["default", "official"] = "default"

    def check(self) -> None:
        """Widths, inputs of the nodes, the steps of the path, and the scale of the task."""
        if not 1 <= min(self.widths) <= max(self.widths) <= MAX_CHANNELS:
            raise wrong(
                "width_multipliers",
                f"with mid_channels={self.mid_channels} every width must be in "
                f"1..{MAX_CHANNELS}, got {self.widths}.",
            )
        if (self.task == "denoise") != (self.upscale_factor == 1):
            raise wrong(
                "upscale_factor",
                "expected 1 for task='denoise' and at least 2 for task='sr', "
                f"got {self.upscale_factor} for task={self.task!r}.",
            )
        for index, cell in enumerate(self.cells):
            if len(cell) != len(self.cells[0]) or len(cell) % 2:
                raise wrong(
                    f"cells[{index}]",
                    "every cell needs two (operation, input) pairs per node, and all cells the "
                    f"same number; got {len(cell)} pairs, and {len(self.cells[0])} in cell 0.",
                )
            for node in range(len(cell) // 2):
                self._check_node(index, node)
        self._check_path()

    def _check_node(self, cell: int, node: int) -> None:
        inputs = [source for _, source in self.cells[cell][2 * node : 2 * node + 2]]
        if len(set(inputs)) != 2 or max(inputs) > node + 1:
            raise wrong(
                f"cells[{cell}][{2 * node}]",
                f"node {node} of cell {cell} needs two different inputs out of 0..{node + 1}, "
                f"got {inputs}.",
            )

    def _check_path(self) -> None:
        if len(self.path) != len(self.cells):
            raise wrong(
                "path", f"expected {len(self.cells)} levels, one per cell, got {len(self.path)}."
            )
        levels = len(self.width_multipliers)
        previous = 0
        for cell, level in enumerate(self.path):
            if level >= levels:
                raise wrong(
                    f"path[{cell}]",
                    f"unknown level {level}; 'width_multipliers' has the levels 0..{levels - 1}.",
                )
            if abs(level - previous) > 1:
                raise wrong(
                    f"path[{cell}]",
                    f"cell {cell} goes from level {previous} to {level}; neighbours differ by at "
                    "most one, and the network starts at level 0.",
                )
            previous = level

    @property
    def num_cells(self) -> int:
        """Number of cells of the network."""
        return len(self.cells)

    @property
    def num_nodes(self) -> int:
        """Nodes of a cell."""
        return len(self.cells[0]) // 2

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of a node at each level."""
        return level_widths(self.mid_channels, self.width_multipliers)

    @property
    def low_level_cell(self) -> int | None:
        """The last cell at level 0, unless there is none or it is the last cell of all.

        The decoder reads its output beside that of the last cell, or else the stem's.
        """
        narrow = [cell for cell, level in enumerate(self.path) if level == 0]
        return narrow[-1] if narrow and narrow[-1] != len(self.path) - 1 else None

    @property
    def skip_counts(self) -> tuple[int, ...]:
        """Number of identity operations in each cell."""
        return tuple(sum(op == "skip_connect" for op, _ in cell) for cell in self.cells)

    def diagrams(self) -> list[Diagram]:
        """Every cell, and the path through the widths."""
        return [*(_cell(self, index) for index in range(self.num_cells)), _path(self)]


def level_widths(mid_channels: int, width_multipliers: tuple[float, ...]) -> tuple[int, ...]:
    """Channels of a node at each level, rounded down from the decimal product.

    45 at multiplier 1.4 are 63, although the binary product lies just below.

    Args:
        mid_channels: Channels at multiplier 1.
        width_multipliers: A multiplier per level.

    Returns:
        One width per level.
    """
    return tuple(int(mid_channels * Fraction(str(m))) for m in width_multipliers)


def _cell(genotype: HiNASGenotype, index: int) -> Diagram:
    width = genotype.widths[genotype.path[index]]
    cell = Diagram(f"HiNAS cell {index}, {width} channels; its nodes are concatenated")
    cell.box("s0", 0, -0.7, "cell before", "data")
    cell.box("s1", 0, 0.7, "previous cell", "data")
    for edge, (op, source) in enumerate(genotype.cells[index]):
        node = edge // 2
        lower = min(other for _, other in genotype.cells[index][2 * node : 2 * node + 2])
        x, y = 5.0 * (node + 1), -0.7 if source == lower else 0.7
        cell.box(f"s{node + 2}", x, 0, f"node {node}")
        cell.box(f"op{edge}", x - 2.2, y, op, "searched")
        # Arrows from far away pass above or below what lies in between.
        near = source == node + 1 or node == 0
        cell.arrow(f"s{source}", f"op{edge}", "searched", 0.0 if near else 0.25 if y > 0 else -0.25)
        cell.arrow(f"op{edge}", f"s{node + 2}")
    return cell


def _path(genotype: HiNASGenotype) -> Diagram:
    path = Diagram("Widths: the path of the cells through the levels")
    path.box("stem", 0, 0, "stem", "fixed")
    for cell, level in enumerate(genotype.path):
        for other, width in enumerate(genotype.widths):
            kind = "searched" if other == level else "data"
            path.box(f"{cell} {other}", 2.4 * (cell + 1), -other, f"{width} channels", kind)
        start = f"{cell - 1} {genotype.path[cell - 1]}" if cell else "stem"
        path.arrow(start, f"{cell} {level}", "searched")
    path.box("decoder", 2.4 * (len(genotype.path) + 1), 0, "decoder", "fixed")
    path.arrow(f"{len(genotype.path) - 1} {genotype.path[-1]}", "decoder", "searched")
    return path
