"""What a network may cost."""

from dataclasses import dataclass

from mmsrnas.costs import Cost

__all__ = ["MAX_SPREAD", "Budget"]

MAX_SPREAD = 0.5
"""Spread of a measurement that is accepted: work of hours must not end at a busy moment."""


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost.

    Attributes:
        cost: Its kind, and the target of a latency.
        limit: In the unit of the cost.
    """

    cost: Cost
    limit: float

    def __str__(self) -> str:
        return f"{self.amount(self.limit)} {self.cost.unit}"

    def amount(self, value: float) -> str:
        """A cost as text, without its unit."""
        return f"{value:.4g}" if self.is_latency else f"{value:,.0f}"

    @property
    def is_latency(self) -> bool:
        """Whether it can be measured."""
        return self.cost.type == "latency"
