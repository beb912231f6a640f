"""Genotype of HNAS: a normal cell, an upsampling cell, and where the network upsamples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .base import Genotype, GenotypeError

__all__ = ["HNAS_NORMAL_OPS", "HNAS_PAPER_NORMAL_OPS", "HNAS_UPSAMPLING_OPS", "HNASGenotype"]

HNAS_NORMAL_OPS = (
    "rcab",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operations of the normal cell in the released code, in the order of its tokens."""

HNAS_PAPER_NORMAL_OPS = (*HNAS_NORMAL_OPS, "up_and_down")
"""Operations of the normal cell in the paper, which has the up- and down-projection block too."""

HNAS_UPSAMPLING_OPS = ("sub_pixel", "deconvolution", "bilinear", "nearest", "area")
"""Operations of the upsampling cell; for whole factors, ``area`` computes what ``nearest`` does."""


@dataclass(frozen=True)
class HNASGenotype(Genotype):
    """An HNAS network up to its scale and width (arXiv 2003.04619).

    Nodes 0 and 1 of a cell are the outputs of the last but one and of the last cell, nodes from 2
    on add up two edges each. All nodes from 2 on are concatenated.

    Args:
        normal: Edges of the normal cells as ``(operation, from_node)``: the two of node 2, the two
            of node 3, and so on.
        upsampling: Edges of the upsampling cell in the same form, for as many nodes.
        upsampling_position: Number of normal cells before the upsampling cell, counted from 0.
        num_layers: Number of cells, the upsampling cell included.
    """

    method: ClassVar[str] = "hnas"

    normal: tuple[tuple[str, int], ...]
    upsampling: tuple[tuple[str, int], ...]
    upsampling_position: int
    num_layers: int = 12

    def __post_init__(self) -> None:
        _check_edges("normal", self.normal, HNAS_PAPER_NORMAL_OPS)
        _check_edges("upsampling", self.upsampling, HNAS_UPSAMPLING_OPS)
        if len(self.normal) != len(self.upsampling):
            raise GenotypeError(
                "genotype field 'upsampling': expected as many edges as 'normal' has "
                f"({len(self.normal)}), got {len(self.upsampling)}."
            )
        if not _is_int(self.num_layers) or self.num_layers < 1:
            raise GenotypeError(
                f"genotype field 'num_layers': expected at least 1, got {self.num_layers!r}."
            )
        self._check_position()

    def _check_position(self) -> None:
        position, last = self.upsampling_position, self.num_layers - 1
        if _is_int(position) and 0 <= position <= last:
            return
        hint = ""
        if position == self.num_layers:
            hint = (
                " The comments in the released code count positions from 1; what they call "
                f"{position} is {last} here."
            )
        raise GenotypeError(
            "genotype field 'upsampling_position': expected the number of normal cells before "
            f"the upsampling cell, 0..{last}, got {position!r}.{hint}"
        )

    @property
    def num_nodes(self) -> int:
        """Number of intermediate nodes of a cell."""
        return len(self.normal) // 2


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_edges(name: str, edges: Sequence[tuple[str, int]], ops: Sequence[str]) -> None:
    if not edges or len(edges) % 2:
        raise GenotypeError(
            f"genotype field '{name}': expected two edges per node, got {len(edges)} edges."
        )
    for index, edge in enumerate(edges):
        node = index // 2 + 2
        if len(edge) != 2:
            raise GenotypeError(
                f"genotype field '{name}': edge {index} must be (operation, from_node), "
                f"got {edge!r}."
            )
        op, source = edge
        if op not in ops:
            raise GenotypeError(
                f"genotype field '{name}': unknown operation {op!r}; known: {', '.join(ops)}."
            )
        if not _is_int(source) or not 0 <= source < node:
            raise GenotypeError(
                f"genotype field '{name}': edge {index} leads to node {node} and must come from "
                f"0..{node - 1}, got {source!r}."
            )
