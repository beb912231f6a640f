"""Fronts of quality and cost: what no other network beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mmsrnas.genotypes import Genotype

__all__ = ["Scored", "hypervolume", "pareto_front"]


class HasScores(Protocol):
    """Anything with a quality and a cost."""

    @property
    def psnr(self) -> float:
        """PSNR in dB."""
        ...

    @property
    def cost(self) -> float:
        """Cost in absolute units."""
        ...


@dataclass(frozen=True)
class Scored:
    """A genotype that was judged.

    Attributes:
        genotype: The genotype.
        psnr: PSNR in dB.
        cost: Cost in absolute units.
    """

    genotype: Genotype
    psnr: float
    cost: float


T = TypeVar("T", bound=HasScores)


def pareto_front(candidates: Sequence[T]) -> list[T]:
    """The candidates than which no other is both better and at most as costly, by cost."""
    front: list[T] = []
    for candidate in sorted(candidates, key=lambda c: (c.cost, -c.psnr)):
        if not front or candidate.psnr > front[-1].psnr:
            front.append(candidate)
    return front


def hypervolume(candidates: Sequence[HasScores], worst_psnr: float, worst_cost: float) -> float:
    """Area in dB times units of cost that is dominated by candidates, above a reference point.

    Args:
        candidates: The candidates.
        worst_psnr: PSNR in dB of the reference point.
        worst_cost: Cost of the reference point; dearer candidates do not count.
    """
    inside = [c for c in candidates if c.cost <= worst_cost and c.psnr >= worst_psnr]
    front = pareto_front(inside)
    ends = [c.cost for c in front[1:]] + [worst_cost]
    return sum((c.psnr - worst_psnr) * (end - c.cost) for c, end in zip(front, ends, strict=False))
