"""Genotype of DLSR: the operations of the cell, and the inputs of each cell."""

from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from .base import MAX_CELLS, MAX_CHANNELS, Genotype, ImageChannels, Index, Scale, wrong
from .diagram import Diagram

__all__ = ["DLSR_OPS", "DLSRGenotype"]

Op = Literal[
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "conv_7x7",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "dil_conv_3x3",
    "dil_conv_5x5",
]

DLSR_OPS: tuple[str, ...] = get_args(Op)
"""Candidate operations in the order of the columns of alpha."""


class DLSRGenotype(Genotype, frozen=True):
    """A DLSR network (arXiv 2105.03939).

    Args:
        ops: Names of the three operations of the cell, the same in all cells.
        connections: For each cell from the third on, the two cells it reads, counted from 0 and in
            the order in which they are concatenated. Six cells have four pairs.
        mid_channels: Channels of the features, an even number of at least 4.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        global_skip: Whether the bicubic interpolation of the input is added to the output; the
            published networks have no such path.
    """

    method: ClassVar[str] = "dlsr"
    network: ClassVar[str] = "DLSRNet"

    ops: tuple[Op, Op, Op]
    connections: Annotated[tuple[tuple[Index, Index], ...], Meta(max_length=MAX_CELLS - 2)]
    mid_channels: Annotated[int, Meta(ge=4, le=MAX_CHANNELS, multiple_of=2)] = 48
    upscale_factor: Scale = 2
    in_channels: ImageChannels = 3
    global_skip: bool = False

    def check(self) -> None:
        """Every cell reads two different cells before it."""
        for index, (first, second) in enumerate(self.connections):
            cell = index + 2
            if first == second or max(first, second) >= cell:
                raise wrong(
                    f"connections[{index}]",
                    f"cell {cell} needs two different cells out of 0..{cell - 1}, "
                    f"got {[first, second]}.",
                )

    @property
    def num_cells(self) -> int:
        """Number of cells of the network."""
        return len(self.connections) + 2

    def with_num_cells(self, num_cells: int) -> "DLSRGenotype":
        """The genotype with more or fewer of its cells.

        A further cell reads the cells that the last one reads, as far behind it.

        Raises:
            GenotypeError: Fewer than two cells, or too many.
        """
        if num_cells < 2:
            raise wrong("connections", f"expected at least 2 cells, got {num_cells}.")
        connections = list(self.connections[: num_cells - 2])
        while len(connections) < num_cells - 2:
            first, second = connections[-1] if connections else (-1, 0)
            connections.append((first + 1, second + 1))
        return self.replace(connections=tuple(connections))

    def diagrams(self) -> list[Diagram]:
        """The cell, and the network with its connections."""
        return [_cell(self), _network(self)]


def _cell(genotype: DLSRGenotype) -> Diagram:
    cell = Diagram(f"DLSR cell, {genotype.mid_channels} channels")
    cell.box("x0", 0, 0, "in", "data")
    for i, op in enumerate(genotype.ops):
        x = 3.6 * i
        cell.box(f"op{i + 1}", x + 1.9, 0, op, "searched")
        cell.box(f"x{i + 1}", x + 3.6, 0, "+")
        cell.arrow(f"x{i}", f"op{i + 1}")
        cell.arrow(f"op{i + 1}", f"x{i + 1}")
        cell.arrow(f"x{i}", f"x{i + 1}", bend=0.42)
    cell.box("concat", 5.4, -3.0, "concat", "data")
    for i in range(4):
        cell.box(f"d{i}", 3.6 * i, -1.5, "conv_1x1" if i < 3 else "conv_3x3")
        cell.arrow(f"x{i}", f"d{i}")
        cell.arrow(f"d{i}", "concat")
    for x, name in zip((7.4, 9.2, 10.8), ("conv_1x1", "ESA", "out"), strict=True):
        cell.box(name, x, -3.0, name, "data" if name == "out" else "fixed")
    for start, end in (("concat", "conv_1x1"), ("conv_1x1", "ESA"), ("ESA", "out")):
        cell.arrow(start, end)
    return cell


def _network(genotype: DLSRGenotype) -> Diagram:
    network = Diagram("Network: cells and the cells they read; all of them are fused")
    last = genotype.num_cells
    for i in range(last):
        network.box(f"cell {i}", 1.8 * (i + 1), 0, f"cell {i}", "searched")
        network.arrow(f"cell {i}", "fusion", "data", bend=-0.2)
    network.box("stem", 0, 0, "conv_3x3")
    tail = 1.8 * (last + 1)
    network.box("fusion", tail, 0, "fusion")
    network.box("out", tail + 1.9, 0, "conv_3x3")
    network.box("add", tail + 3.3, 0, "+")
    network.box("upsampler", tail + 4.8, 0, "upsampler")
    for start, end in (("fusion", "out"), ("out", "add"), ("add", "upsampler")):
        network.arrow(start, end)
    network.arrow("stem", "add", "data", bend=-0.22)
    network.arrow("stem", "cell 0")
    network.arrow("cell 0", "cell 1")
    for cell, pair in enumerate(genotype.connections, start=2):
        for source in pair:
            bend = 0.0 if source == cell - 1 else 0.4
            network.arrow(f"cell {source}", f"cell {cell}", "searched", bend)
    return network
