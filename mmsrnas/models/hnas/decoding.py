"""The search space of HNAS as a sequence of choices."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmsrnas.genotypes import (
    HNAS_NORMAL_OPS,
    HNAS_PAPER_NORMAL_OPS,
    HNAS_UPSAMPLING_OPS,
    GenotypeError,
    HNASGenotype,
)
from mmsrnas.models.paths import TokenSpace, check_tokens
from mmsrnas.registry import TASK_UTILS

__all__ = ["HNASSpace"]

SHARED_FIELDS = (
    "num_cells",
    "num_nodes",
    "mid_channels",
    "global_skip",
    "upscale_factor",
    "in_channels",
)
"""Fields that all genotypes of a space have in common."""


@TASK_UTILS.register_module()
@dataclass(frozen=True)
class HNASSpace(TokenSpace):
    """All genotypes with the same operations and sizes, and their tokens.

    A genotype is one row of tokens: for every node of the normal cell its two sources and its two
    operations, the same for the upsampling cell, and the upsampling position.

    On inner edges of the upsampling cell, those from nodes 2 on, features are upsampled already:
    every operation but ``deconvolution`` is the identity there. With ``deduplicate`` one of them
    stands for the identity, the last in ``upsampling_ops``, and the others are not in the space.

    Args:
        num_cells: Number of cells.
        num_nodes: Number of intermediate nodes of a cell.
        normal_ops: Operations of the normal cell, in the order of their tokens.
        upsampling_ops: Operations of the upsampling cell, in the order of their tokens.
        mid_channels: Channels of a node.
        global_skip: Whether the networks add the bicubic interpolation of their input.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images.
        deduplicate: Whether each function on an inner edge has one token.

    Raises:
        ValueError: Unknown operations, or less than one cell or node.
    """

    num_cells: int = 12
    num_nodes: int = 4
    normal_ops: tuple[str, ...] = HNAS_NORMAL_OPS
    upsampling_ops: tuple[str, ...] = HNAS_UPSAMPLING_OPS
    mid_channels: int = 64
    global_skip: bool = False
    upscale_factor: int = 2
    in_channels: int = 3
    deduplicate: bool = False

    def __post_init__(self) -> None:
        for key, known in (
            ("normal_ops", HNAS_PAPER_NORMAL_OPS),
            ("upsampling_ops", HNAS_UPSAMPLING_OPS),
        ):
            ops = getattr(self, key)
            if isinstance(ops, str) or not ops or set(ops) - set(known) or len(set(ops)) < len(ops):
                raise ValueError(
                    f"{key}: expected different operations out of {', '.join(known)}, got {ops!r}."
                )
            object.__setattr__(self, key, tuple(ops))
        for key in ("num_cells", "num_nodes"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: expected at least 1, got {getattr(self, key)!r}.")

    @property
    def inner_upsampling_ops(self) -> tuple[str, ...]:
        """Operations that the inner edges of the upsampling cell choose from."""
        left_out = self._identities[:-1] if self.deduplicate else []
        return tuple(op for op in self.upsampling_ops if op not in left_out)

    @property
    def _identities(self) -> list[str]:
        """Operations that are the identity on the inner edges of the upsampling cell."""
        return [op for op in self.upsampling_ops if op != "deconvolution"]

    def _cell_sizes(self, ops: Sequence[str]) -> Iterator[int]:
        for node in range(self.num_nodes):
            yield from (node + 2, node + 2, len(ops), len(ops))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of every token; on inner edges, less of them may be in the space."""
        return (
            *self._cell_sizes(self.normal_ops),
            *self._cell_sizes(self.upsampling_ops),
            self.num_cells,
        )

    def size(self) -> int:
        """Number of rows of tokens."""
        normal, outer = len(self.normal_ops), len(self.upsampling_ops)
        inner = len(self.inner_upsampling_ops)
        edges = ((node + 2) * normal * (2 * outer + node * inner) for node in range(self.num_nodes))
        return self.num_cells * math.prod(edges) ** 2

    def max_entropy(self) -> float:
        """Entropy of the uniform distribution over all rows of tokens, in nats."""
        return math.log(self.size())

    def random(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random rows of tokens ``(count, T)``, every decision uniform given those before it."""
        return self._deduplicated(super().random(count, generator), generator)

    def batch(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random rows of tokens ``(count, T)`` for one step, each value about as often."""
        return self._deduplicated(super().batch(count, generator), generator)

    def _deduplicated(self, tokens: Tensor, generator: torch.Generator | None) -> Tensor:
        """The rows with operations on inner edges of the upsampling cell that are in the space."""
        if not self.deduplicate:
            return tokens
        inner = torch.tensor([self.upsampling_ops.index(op) for op in self.inner_upsampling_ops])
        half = 4 * self.num_nodes
        cell = tokens[:, half : 2 * half].view(len(tokens), self.num_nodes, 2, 2)
        sources, ops = cell.unbind(dim=2)
        drawn = inner[torch.randint(len(inner), ops.shape, generator=generator)]
        ops.copy_(torch.where(sources > 1, drawn, ops))
        return tokens

    def decode(self, tokens: Sequence[int] | Tensor) -> HNASGenotype:
        """The genotype of one row of tokens; a double of the identity becomes the one that stays.

        Raises:
            GenotypeError: A wrong number of tokens, or a token out of its range.
        """
        tokens = check_tokens(tokens, self.sizes, "an HNAS genotype")
        half = 4 * self.num_nodes
        upsampling = _edges(tokens[half:-1], self.upsampling_ops)
        scale: Any = self.upscale_factor
        return HNASGenotype(
            normal=_edges(tokens[:half], self.normal_ops),
            upsampling=tuple(map(self._without_doubles, upsampling)),
            upsampling_position=tokens[-1],
            num_cells=self.num_cells,
            mid_channels=self.mid_channels,
            global_skip=self.global_skip,
            upscale_factor=scale,
            in_channels=self.in_channels,
        )

    def _without_doubles(self, edge: tuple[Any, int]) -> tuple[Any, int]:
        """An edge of the upsampling cell by an operation that the space has there."""
        op, source = edge
        known = source < 2 or op in self.inner_upsampling_ops
        return edge if known else (self._identities[-1], source)

    def encode(self, genotype: HNASGenotype) -> list[int]:
        """The tokens of a genotype.

        Raises:
            GenotypeError: The genotype is not in this space.
        """
        self.check(genotype)
        return [
            *_tokens(genotype.normal, self.normal_ops),
            *_tokens(genotype.upsampling, self.upsampling_ops),
            genotype.upsampling_position,
        ]

    def cover(self) -> Iterator[HNASGenotype]:
        """Genotypes that together have every operation on every edge of every cell."""
        count = max(len(self.normal_ops), len(self.upsampling_ops))
        # The upsampling cell reads the first two nodes, or as often as it can one of its own.
        rounds = itertools.product(range(self.num_cells), range(count), (False, True))
        for position, index, inner in rounds:
            upsampling: list[int] = []
            for node in range(self.num_nodes):
                own = inner and node > 0
                ops = self.inner_upsampling_ops if own else self.upsampling_ops
                op = self.upsampling_ops.index(ops[index % len(ops)])
                upsampling += [2, 2, op, op] if own else [0, 1, op, op]
            normal = [0, 1, *[index % len(self.normal_ops)] * 2] * self.num_nodes
            yield self.decode([*normal, *upsampling, position])

    def parts(self, genotype: HNASGenotype) -> dict[str, str]:
        """Modules of the network that depend on the genotype, and names of their weights.

        The weights of an operation belong to its place in a cell before, at or behind the
        upsampling, whatever it reads; in the upsampling cell, to the scale of what it reads too.
        """
        names = {}
        for index in range(genotype.num_cells):
            upsamples = index == genotype.upsampling_position
            cell, kind = f"cells.{index}", "upsampling" if upsamples else "normal"
            scale = ".large" if index > genotype.upsampling_position else ""
            for side in ("0", "1"):
                names[f"{cell}.preprocess.{side}"] = f"{cell}.{kind}{scale}.preprocess.{side}"
            for edge, (op, source) in enumerate(getattr(genotype, kind)):
                read = ".inner" if upsamples and source > 1 else ""
                names[f"{cell}.ops.{edge}"] = f"{cell}.{kind}{scale}.{edge}.{op}{read}"
        return names

    def check(self, genotype: HNASGenotype) -> None:
        """Raises :class:`GenotypeError` for a genotype that is not in this space."""
        for field in SHARED_FIELDS:
            if getattr(genotype, field) != getattr(self, field):
                raise GenotypeError(
                    f"genotype field '{field}': the search space has {getattr(self, field)}, "
                    f"the genotype {getattr(genotype, field)}."
                )
        _check_ops("normal", genotype.normal, self.normal_ops, self.normal_ops)
        inner = self.inner_upsampling_ops
        _check_ops("upsampling", genotype.upsampling, self.upsampling_ops, inner)


def _check_ops(
    field: str, edges: Sequence[tuple[str, int]], outer: Sequence[str], inner: Sequence[str]
) -> None:
    for op, source in edges:
        ops = inner if source > 1 else outer
        if op not in ops:
            raise GenotypeError(
                f"genotype field '{field}': operation {op!r} from node {source} is not in the "
                f"search space, which has {', '.join(ops)} there."
            )


def _edges(tokens: Sequence[int], ops: Sequence[str]) -> tuple[tuple[Any, int], ...]:
    return tuple(
        (ops[tokens[node + 2 + edge]], tokens[node + edge])
        for node in range(0, len(tokens), 4)
        for edge in (0, 1)
    )


def _tokens(edges: Sequence[tuple[str, int]], ops: Sequence[str]) -> Iterator[int]:
    for (left, i), (right, j) in zip(edges[::2], edges[1::2], strict=True):
        yield from (i, j, ops.index(left), ops.index(right))
