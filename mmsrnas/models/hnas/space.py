"""The search space of HNAS as a sequence of choices."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrnas.genotypes import (
    HNAS_NORMAL_OPS,
    HNAS_PAPER_NORMAL_OPS,
    HNAS_UPSAMPLING_OPS,
    GenotypeError,
    HNASGenotype,
)

__all__ = ["HNASSpace"]


@dataclass(frozen=True)
class HNASSpace:
    """All genotypes with the same operations, nodes and layers, and their tokens.

    A genotype is one row of tokens: for every node of the normal cell its two sources and its two
    operations, the same for the upsampling cell, and the upsampling position.

    Args:
        num_layers: Number of cells.
        num_nodes: Number of intermediate nodes of a cell.
        normal_ops: Operations of the normal cell, in the order of their tokens.
        upsampling_ops: Operations of the upsampling cell, in the order of their tokens.

    Raises:
        ValueError: Unknown operations, or less than one layer or node.
    """

    num_layers: int = 12
    num_nodes: int = 4
    normal_ops: tuple[str, ...] = HNAS_NORMAL_OPS
    upsampling_ops: tuple[str, ...] = HNAS_UPSAMPLING_OPS

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
        for key in ("num_layers", "num_nodes"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: expected at least 1, got {getattr(self, key)!r}.")

    def _cell_sizes(self, ops: Sequence[str]) -> Iterator[int]:
        for node in range(self.num_nodes):
            yield from (node + 2, node + 2, len(ops), len(ops))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of choices of every token."""
        return (
            *self._cell_sizes(self.normal_ops),
            *self._cell_sizes(self.upsampling_ops),
            self.num_layers,
        )

    def max_entropy(self) -> float:
        """Entropy of the uniform distribution over all rows of tokens, in nats."""
        return sum(math.log(size) for size in self.sizes)

    def random(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws rows of tokens uniformly ``(count, len(sizes))``."""
        columns = [torch.randint(size, (count,), generator=generator) for size in self.sizes]
        return torch.stack(columns, dim=1)

    def decode(self, tokens: Sequence[int] | Tensor) -> HNASGenotype:
        """The genotype of one row of tokens.

        Raises:
            GenotypeError: A wrong number of tokens, or a token out of its range.
        """
        tokens = [int(token) for token in tokens]
        if len(tokens) != len(self.sizes):
            raise GenotypeError(
                f"tokens of an HNAS genotype: expected {len(self.sizes)} (4 for each of "
                f"{self.num_nodes} nodes in two cells, and the position), got {len(tokens)}."
            )
        for index, (token, size) in enumerate(zip(tokens, self.sizes, strict=True)):
            if not 0 <= token < size:
                raise GenotypeError(f"token {index}: expected 0..{size - 1}, got {token}.")
        half = 4 * self.num_nodes
        return HNASGenotype(
            normal=_edges(tokens[:half], self.normal_ops),
            upsampling=_edges(tokens[half:-1], self.upsampling_ops),
            upsampling_position=tokens[-1],
            num_cells=self.num_layers,
        )

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

    def check(self, genotype: HNASGenotype) -> None:
        """Raises :class:`GenotypeError` for a genotype that is not in this space."""
        for field, ours in (("num_cells", self.num_layers), ("num_nodes", self.num_nodes)):
            if getattr(genotype, field) != ours:
                raise GenotypeError(
                    f"genotype field '{field}': the search space has {ours}, "
                    f"the genotype {getattr(genotype, field)}."
                )
        for field in ("normal", "upsampling"):
            ops = getattr(self, f"{field}_ops")
            for op, _ in getattr(genotype, field):
                if op not in ops:
                    raise GenotypeError(
                        f"genotype field '{field}': operation {op!r} is not in the search space; "
                        f"{field}_ops has {', '.join(ops)}."
                    )


def _edges(tokens: Sequence[int], ops: Sequence[str]) -> tuple[tuple[str, int], ...]:
    return tuple(
        (ops[tokens[node + 2 + edge]], tokens[node + edge])
        for node in range(0, len(tokens), 4)
        for edge in (0, 1)
    )


def _tokens(edges: Sequence[tuple[str, int]], ops: Sequence[str]) -> Iterator[int]:
    for (left, i), (right, j) in zip(edges[::2], edges[1::2], strict=True):
        yield from (i, j, ops.index(left), ops.index(right))
