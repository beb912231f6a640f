"""The elastic search space as a sequence of choices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmsrnas.genotypes import (
    ELASTIC_ACTIVATIONS,
    ELASTIC_ANCHORS,
    ELASTIC_OPS,
    ElasticGenotype,
    GenotypeError,
)
from mmsrnas.models.paths import TokenSpace, check_tokens

__all__ = ["ElasticSpace"]


@dataclass(frozen=True)
class ElasticSpace(TokenSpace):
    """All chains of some depths, widths, operations and activations, and their tokens.

    A genotype is one row of tokens: the activation, the number of blocks, the width of each stage,
    and the operation of each block. Tokens of blocks and stages beyond the depth have no meaning;
    :meth:`encode` makes them 0.

    Args:
        num_cells: Numbers of blocks to choose from, rising.
        mid_channels: Widths to choose from, rising.
        ops: Operations to choose from.
        activations: Activations to choose from.
        cells_per_stage: Successive blocks of the same width.
        anchor: Interpolation of all networks.
        upscale_factor: Ratio of HR to LR size.
        in_channels: Channels of the images.

    Raises:
        ValueError: A choice is empty, repeats itself, falls, or is unknown.
    """

    num_cells: tuple[int, ...]
    mid_channels: tuple[int, ...]
    ops: tuple[str, ...] = ELASTIC_OPS
    activations: tuple[str, ...] = ("silu", "gelu")
    cells_per_stage: int = 4
    anchor: str = "linear"
    upscale_factor: int = 2
    in_channels: int = 3

    def __post_init__(self) -> None:
        for key, known in (("ops", ELASTIC_OPS), ("activations", ELASTIC_ACTIVATIONS)):
            found = getattr(self, key)
            if isinstance(found, str) or not found or set(found) - set(known):
                raise ValueError(f"{key}: expected some of {', '.join(known)}, got {found!r}.")
        for key in ("num_cells", "mid_channels", "ops", "activations"):
            choices = tuple(getattr(self, key))
            object.__setattr__(self, key, choices)
            if len(set(choices)) < len(choices):
                raise ValueError(f"{key}: a choice stands twice in {choices}.")
        for key in ("num_cells", "mid_channels"):
            choices = getattr(self, key)
            if not choices or min(choices) < 1 or list(choices) != sorted(choices):
                raise ValueError(f"{key}: expected rising numbers from 1 on, got {choices}.")
        if self.anchor not in ELASTIC_ANCHORS:
            raise ValueError(f"anchor: expected one of {ELASTIC_ANCHORS}, got {self.anchor!r}.")
        if self.cells_per_stage < 1:
            raise ValueError(f"cells_per_stage: expected at least 1, got {self.cells_per_stage}.")

    @property
    def sizes(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of values of every token."""
        most = self.num_cells[-1]
        return (
            len(self.activations),
            len(self.num_cells),
            *(len(self.mid_channels),) * self._stages(most),
            *(len(self.ops),) * most,
        )

    def _stages(self, num_cells: int) -> int:
        return -(-num_cells // self.cells_per_stage)

    def size(self) -> int:
        """Number of genotypes."""
        widths, ops = len(self.mid_channels), len(self.ops)
        chains = (widths ** self._stages(depth) * ops**depth for depth in self.num_cells)
        return len(self.activations) * sum(chains)

    def sandwich(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Rows ``(2 + count, T)``: the deepest and widest, the shallowest and narrowest, random.

        All have random operations and activations, so that every operation learns at every size.
        """
        tokens = self.random(2 + count, generator)
        measures = slice(1, 2 + self._stages(self.num_cells[-1]))
        tokens[0, measures] = torch.tensor(self.sizes[measures]) - 1
        tokens[1, measures] = 0
        return tokens

    def largest(self) -> ElasticGenotype:
        """The deepest and widest network of the first operation and activation."""
        return next(self.cover())

    def cover(self) -> Iterator[ElasticGenotype]:
        """The largest networks of each operation and activation, which have all weights."""
        stages = self._stages(self.num_cells[-1])
        measures = [len(self.num_cells) - 1, *(len(self.mid_channels) - 1,) * stages]
        ops, activations = len(self.ops), len(self.activations)
        for index in range(max(ops, activations)):
            chosen = (index % ops,) * self.num_cells[-1]
            yield self.decode([index % activations, *measures, *chosen])

    def decode(self, tokens: Sequence[int] | Tensor) -> ElasticGenotype:
        """The genotype of one row of tokens.

        Raises:
            GenotypeError: A wrong number of tokens, or a token out of its range.
        """
        found = check_tokens(tokens, self.sizes, "an elastic genotype")
        activation, depth, *rest = found
        depth = self.num_cells[depth]
        stages, ops = rest[: -self.num_cells[-1]], rest[-self.num_cells[-1] :]
        chosen: dict[str, Any] = dict(
            ops=tuple(self.ops[op] for op in ops[:depth]),
            widths=tuple(
                self.mid_channels[stages[cell // self.cells_per_stage]] for cell in range(depth)
            ),
            activation=self.activations[activation],
            anchor=self.anchor,
        )
        return ElasticGenotype(
            **chosen, upscale_factor=self.upscale_factor, in_channels=self.in_channels
        )

    def encode(self, genotype: ElasticGenotype) -> list[int]:
        """The tokens of a genotype.

        Raises:
            GenotypeError: The genotype is not in this space.
        """
        try:
            stages = [self.mid_channels.index(w) for w in genotype.widths[:: self.cells_per_stage]]
            ops = [self.ops.index(op) for op in genotype.ops]
            tokens = [
                self.activations.index(genotype.activation),
                self.num_cells.index(genotype.num_cells),
                *stages,
                *(0,) * (self._stages(self.num_cells[-1]) - len(stages)),
                *ops,
                *(0,) * (self.num_cells[-1] - len(ops)),
            ]
            if self.decode(tokens) == genotype:
                return tokens
        except ValueError:
            pass
        raise GenotypeError(f"{genotype} is not in the search space {self}.")
