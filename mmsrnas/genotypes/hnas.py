"""Genotype of HNAS: a normal cell, an upsampling cell, and where the network upsamples."""

from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from .base import MAX_CELLS, MAX_CHANNELS, Genotype, ImageChannels, Index, show, wrong
from .diagram import Diagram

__all__ = ["HNAS_NORMAL_OPS", "HNAS_PAPER_NORMAL_OPS", "HNAS_UPSAMPLING_OPS", "HNASGenotype"]

NormalOp = Literal[
    "rcab",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "up_and_down",
]
UpsamplingOp = Literal["sub_pixel", "deconvolution", "bilinear", "nearest", "area"]

HNAS_PAPER_NORMAL_OPS: tuple[str, ...] = get_args(NormalOp)
"""Operations of the normal cell in the paper, which has the up- and down-projection block too."""

HNAS_NORMAL_OPS = HNAS_PAPER_NORMAL_OPS[:-1]
"""Operations of the normal cell in the released code, in the order of its tokens."""

HNAS_UPSAMPLING_OPS: tuple[str, ...] = get_args(UpsamplingOp)
"""Operations of the upsampling cell; for whole factors, ``area`` computes what ``nearest`` does."""

_EDGES = Meta(min_length=2, max_length=2 * MAX_CELLS)


class HNASGenotype(Genotype, frozen=True):
    """An HNAS network (arXiv 2003.04619).

    Nodes 0 and 1 of a cell are the outputs of the last but one and of the last cell, nodes from 2
    on add up two edges each. All nodes from 2 on are concatenated.

    Args:
        normal: Edges of the normal cells as ``(operation, from_node)``: the two of node 2, the two
            of node 3, and so on.
        upsampling: Edges of the upsampling cell in the same form, for as many nodes.
        upsampling_position: Number of normal cells before the upsampling cell, counted from 0.
        num_cells: Number of cells, the upsampling cell included.
        mid_channels: Channels of a node, at least 3; the features have as many for each node.
        global_skip: Whether the bicubic interpolation of the input is added to the output; the
            published networks have no such path.
        upscale_factor: Ratio of HR to LR size: 2, 3, 4 or 8.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
    """

    method: ClassVar[str] = "hnas"
    network: ClassVar[str] = "HNASNet"

    normal: Annotated[tuple[tuple[NormalOp, Index], ...], _EDGES]
    upsampling: Annotated[tuple[tuple[UpsamplingOp, Index], ...], _EDGES]
    upsampling_position: int
    num_cells: Annotated[int, Meta(ge=1, le=MAX_CELLS)] = 12
    mid_channels: Annotated[int, Meta(ge=3, le=MAX_CHANNELS)] = 64
    global_skip: bool = False
    upscale_factor: Literal[2, 3, 4, 8] = 2
    in_channels: ImageChannels = 3

    def check(self) -> None:
        """Both cells have as many nodes, whose edges come from earlier ones; one cell upsamples."""
        _check_edges("normal", self.normal)
        _check_edges("upsampling", self.upsampling)
        if len(self.normal) != len(self.upsampling):
            raise wrong(
                "upsampling",
                f"expected as many edges as 'normal' has ({len(self.normal)}), "
                f"got {len(self.upsampling)}.",
            )
        self._check_position()

    def _check_position(self) -> None:
        position, last = self.upsampling_position, self.num_cells - 1
        if 0 <= position <= last:
            return
        hint = ""
        if position == self.num_cells:
            hint = (
                " The comments in the released code count positions from 1; what they call "
                f"{position} is {last} here."
            )
        raise wrong(
            "upsampling_position",
            f"expected the number of normal cells before the upsampling cell, 0..{last}, "
            f"got {show(position)}.{hint}",
        )

    def with_num_cells(self, num_cells: int) -> "HNASGenotype":
        """The genotype with more or fewer normal cells, and the upsampling cell where it was.

        What was behind the upsampling cell is kept; a network that upsamples first gets its
        further cells behind it.

        Raises:
            GenotypeError: The cells behind the upsampling cell are more already, or too many.
        """
        position = self.upsampling_position
        if position:
            position += num_cells - self.num_cells
        return self.replace(num_cells=num_cells, upsampling_position=position)

    @property
    def num_nodes(self) -> int:
        """Number of intermediate nodes of a cell."""
        return len(self.normal) // 2

    def diagrams(self) -> list[Diagram]:
        """Both cells, and the network."""
        return [
            _cell("Normal cell", self.normal),
            _cell("Upsampling cell", self.upsampling),
            _network(self),
        ]


def _check_edges(name: str, edges: tuple[tuple[str, int], ...]) -> None:
    if len(edges) % 2:
        raise wrong(name, f"expected two edges per node, got {len(edges)} edges.")
    for index, (_, source) in enumerate(edges):
        node = index // 2 + 2
        if source >= node:
            raise wrong(
                f"{name}[{index}]",
                f"the edge leads to node {node} and must come from 0..{node - 1}, got {source}.",
            )


def _cell(title: str, edges: tuple[tuple[str, int], ...]) -> Diagram:
    """Node ``t`` and its two operations stand in a column; odd columns are lower."""
    cell = Diagram(f"{title}; all nodes from 2 on are concatenated")
    cell.box("node 0", 0, 1.0, "0: last but one", "data")
    cell.box("node 1", 0, -1.0, "1: last cell", "data")
    for index, (op, source) in enumerate(edges):
        node, second = index // 2 + 2, index % 2
        x = 4.6 * (node - 1)
        name = f"edge {index}"
        cell.box(name, x - 1.6, -0.9 if second else 0.9, f"{source}: {op}", "searched")
        if not second:
            cell.box(f"node {node}", x, 0, f"{node}")
        cell.arrow(f"node {source}", name, bend=-0.3 if second else 0.3)
        cell.arrow(name, f"node {node}", "searched")
    return cell


def _network(genotype: HNASGenotype) -> Diagram:
    network = Diagram("Network: every cell reads the last two")
    names = ["stem", *(f"cell {i}" for i in range(genotype.num_cells)), "conv_3x3"]
    for i, name in enumerate(names):
        upsamples = name == f"cell {genotype.upsampling_position}"
        searched = name.startswith("cell")
        text = f"{name}\nupsamples" if upsamples else name
        network.box(name, 1.9 * i, 0, text, "searched" if searched else "fixed")
        if i:
            network.arrow(names[i - 1], name)
    position = genotype.upsampling_position + 1
    for i in range(2, len(names) - 1):
        if i != position + 1:  # right after the upsampling both inputs are its output
            network.arrow(names[i - 2], names[i], "data", bend=0.35)
    return network
