"""Independent choices with a loss and a cost each: the best of all combinations for every cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Choices"]

MAX_COSTS = 2000
"""Different costs that are told apart; of more, those within 1/2000 of the limit count as one."""


@dataclass(frozen=True)
class Choices:
    """Combinations of choices, for every cost the one with the least loss.

    Attributes:
        costs: Cost of each combination ``(K,)``, ascending.
        losses: Its loss ``(K,)``, a sum over the choices.
        picks: What it chose ``(K, D)``, an index for each choice.
        limit: Combinations that cost more are not here.
    """

    costs: np.ndarray
    losses: np.ndarray
    picks: np.ndarray
    limit: float

    @classmethod
    def nothing(cls, limit: float, cost: float = 0.0) -> "Choices":
        """Before the first choice; ``cost`` is spent already."""
        found = cls(np.array([cost]), np.zeros(1), np.zeros((1, 0), int), limit)
        return found._reduced()

    def __len__(self) -> int:
        return len(self.costs)

    def and_one_of(self, costs: ArrayLike, losses: ArrayLike) -> "Choices":
        """With one more choice, between options of these costs and losses."""
        added = np.asarray(costs, float)
        all_costs = (self.costs[:, None] + added).ravel()
        all_losses = (self.losses[:, None] + np.asarray(losses, float)).ravel()
        old = np.repeat(self.picks, len(added), axis=0)
        new = np.tile(np.arange(len(added)), len(self))[:, None]
        picks = np.concatenate([old, new], axis=1)
        return Choices(all_costs, all_losses, picks, self.limit)._reduced()

    def and_pick(self, pick: int, cost: float, loss: float) -> "Choices":
        """With one more choice that is made: its index, cost and loss."""
        picks = np.concatenate([self.picks, np.full((len(self), 1), pick)], axis=1)
        return Choices(self.costs + cost, self.losses + loss, picks, self.limit)._reduced()

    @staticmethod
    def any_of(branches: Sequence["Choices"]) -> "Choices":
        """The combinations of several, with as many choices each."""
        parts = [(b.costs, b.losses, b.picks) for b in branches]
        costs, losses, picks = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Choices(costs, losses, picks, branches[0].limit)._reduced()

    def best(self, least: float = 0.0) -> int | None:
        """Index of the least loss among those that cost at least so much; None if there is none."""
        allowed = np.flatnonzero(self.costs >= least)
        return int(allowed[self.losses[allowed].argmin()]) if len(allowed) else None

    def _reduced(self) -> "Choices":
        """Without what costs too much, and with one combination for each cost."""
        # Sums of the same costs in another order differ by rounding.
        bins = np.round(self.costs / max(self.limit, 1e-300), 12)
        affordable = np.flatnonzero(bins <= 1)
        order = affordable[np.lexsort((self.losses[affordable], bins[affordable]))]
        order = order[_first(bins[order])]
        if len(order) > MAX_COSTS:
            coarse = np.floor(bins[order] * MAX_COSTS)
            regrouped = np.lexsort((self.losses[order], coarse))
            order = order[regrouped[_first(coarse[regrouped])]]
            order = order[np.argsort(self.costs[order], kind="stable")]
        return Choices(self.costs[order], self.losses[order], self.picks[order], self.limit)


def _first(groups: np.ndarray) -> np.ndarray:
    """Whether an item is the first of its group, in a sorted array."""
    return np.concatenate([np.ones(min(len(groups), 1), bool), groups[1:] != groups[:-1]])
