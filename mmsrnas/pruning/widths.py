"""How many channels remain in every group, within a budget."""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mmsrnas.costs import BudgetError, Cost, build_cost, positive_budget

from .groups import ChannelGroup, Term, find_channels
from .surgery import remove_channels

__all__ = ["GroupCost", "choose_widths", "scaled_widths", "width_options"]

MAX_ROUNDS = 8
MAX_PASSES = 4
STEP_DOWN = 0.2
FILLED = 0.97
"""Share of a budget in milliseconds that is close enough."""

Widths = tuple[int, ...]


class GroupCost:
    """What a network costs as a function of the widths of its channel groups.

    Counts are a sum over parameters, or over calls of operators, of products of sizes: exact, and
    no network is built. Milliseconds are that of the full network, less what its convolutions take
    less at the smaller widths, by the table of the target; :meth:`exact` predicts them for the
    whole network.

    Args:
        net: The full network.
        groups: Its channel groups, or some of them.
        cost: The cost, or its config.

    Attributes:
        unit: What the numbers are.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: Sequence[ChannelGroup],
        cost: Cost | Mapping[str, Any] | str = "multi_adds",
    ) -> None:
        self.cost = build_cost(cost)
        self.unit = self.cost.unit
        self.groups = list(groups)
        self.full_widths: Widths = tuple(group.width for group in groups)
        self._net = [net]  # not a submodule of whoever owns this
        self._known: dict[Any, float] = {}
        self.terms = self._params() if self.cost.type == "params" else self._operators()
        self.terms_of: dict[int, list[int]] = defaultdict(list)
        for number, term in enumerate(self.terms):
            for group in {group for shares in term.shares for group in shares}:
                self.terms_of[group].append(number)
        self._offset = 0.0
        self._offset = self.exact(self.full_widths) - self(self.full_widths)

    def __call__(self, widths: Sequence[int]) -> float:
        """Cost of the network at some widths."""
        return self._offset + sum(self.term(number, widths) for number in range(len(self.terms)))

    def term(self, number: int, widths: Sequence[int]) -> float:
        """What one parameter or operator costs at some widths."""
        term = self.terms[number]
        shape = tuple(
            size - sum(n * (self.full_widths[g] - widths[g]) for g, n in shares.items())
            for size, shares in zip(term.shape, term.shares, strict=True)
        )
        if self.cost.type != "latency":
            return float(term.factor * math.prod(shape))
        if term.conv is None:
            return 0.0
        key = (shape, *((name, str(value)) for name, value in sorted(term.conv.items())))
        if key not in self._known:
            conv, size = _convolution(shape, term.conv)
            self._known[key] = self.cost(conv, size)
        return self._known[key]

    def exact(self, widths: Sequence[int]) -> float:
        """Cost of the very network."""
        return self.cost(self.pruned(widths))

    def pruned(self, widths: Sequence[int]) -> nn.Module:
        """A copy of the network with the first channels of every group."""
        net = copy.deepcopy(self._net[0])
        remove_channels(net, self.groups, [torch.arange(width) for width in widths])
        return net

    def _params(self) -> list[Term]:
        shares: dict[str, dict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        for number, group in enumerate(self.groups):
            for part in group.slices:
                shares[part.name][part.dim][number] = part.index.shape[1]
        return [
            Term(1, tuple(param.shape), tuple(shares[name][d] for d in range(param.ndim)))
            for name, param in self._net[0].named_parameters()
        ]

    def _operators(self) -> list[Term]:
        found = find_channels(self._net[0], self.cost.image_size(self._net[0]))
        place = {group.name: number for number, group in enumerate(self.groups)}
        number_of = {g: place[own.name] for g, own in enumerate(found.groups) if own.name in place}

        def ours(shares: Mapping[int, int]) -> dict[int, int]:
            return {number_of[g]: n for g, n in shares.items() if g in number_of}

        return [replace(t, shares=tuple(map(ours, t.shares))) for t in found.terms]


def _convolution(
    shape: tuple[int, ...], conv: Mapping[str, Any]
) -> tuple[nn.Module, tuple[int, int, int]]:
    """A convolution with a weight of this shape, and the size of what it reads."""
    first, second = shape
    names = ("kernel_size", "stride", "padding", "dilation", "bias")
    arguments = {name: conv[name] for name in names}
    groups = first if conv["depthwise"] else conv["groups"]
    if conv["transposed"]:
        inputs, outputs = first, second * groups
        return nn.ConvTranspose2d(inputs, outputs, groups=groups, **arguments), (
            inputs,
            *conv["size"],
        )
    inputs, outputs = second * groups, first
    return nn.Conv2d(inputs, outputs, groups=groups, **arguments), (inputs, *conv["size"])


def width_options(groups: Sequence[ChannelGroup], divisor: int = 8) -> list[list[int]]:
    """Widths that a group may keep: multiples of a step that suits the hardware, and all.

    Args:
        groups: The groups.
        divisor: The step.
    """
    if divisor < 1:
        raise ValueError(f"divisor: expected at least 1, got {divisor}.")
    return [[*range(divisor, group.width, divisor), group.width] for group in groups]


def choose_widths(
    cost: GroupCost,
    options: Sequence[Sequence[int]],
    curves: Sequence[Mapping[int, float]],
    budget: float,
) -> Widths:
    """Widths that lose least within a budget.

    Step by step, the narrowing with the least damage for each unit of the cost is done, until the
    budget is met; then what fits is given back, and groups exchange steps as long as less is lost.
    All narrower widths of a group are weighed in each step, because milliseconds do not fall with
    every one of them.

    Args:
        cost: The cost of widths.
        options: Possible widths of each group, ascending.
        curves: What is lost at each of them.
        budget: Largest cost, absolute.

    Returns:
        A width for each group.

    Raises:
        BudgetError: Even the smallest widths cost more.
        ValueError: The budget is not positive, or there is no group.
    """
    best, most = _narrowest(cost, options, budget)
    if cost.exact(cost.full_widths) <= budget:
        return cost.full_widths
    limit = budget
    for number in range(MAX_ROUNDS):
        widths = _greedy(cost, options, curves, limit)
        exact = cost.exact(widths)
        if exact <= budget and exact > most:
            best, most = widths, exact
        if FILLED * budget <= exact <= budget or cost.cost.type != "latency":
            break
        # What the sum over convolutions leaves out hardly changes from one choice to the next.
        limit = budget - (exact - cost(widths)) - number * STEP_DOWN * max(0.0, exact - budget)
    return _filled(cost, options, curves, best, budget) if cost.cost.type == "latency" else best


def scaled_widths(cost: GroupCost, options: Sequence[Sequence[int]], budget: float) -> Widths:
    """Widths that are the same share of the full ones everywhere, within a budget.

    Args:
        cost: The cost of widths.
        options: Possible widths of each group, ascending.
        budget: Largest cost, absolute.

    Returns:
        A width for each group.

    Raises:
        BudgetError: Even the smallest widths cost more.
        ValueError: The budget is not positive, or there is no group.
    """
    narrowest, _ = _narrowest(cost, options, budget)

    def scaled(share: float) -> Widths:
        return tuple(
            min(widths, key=lambda width: abs(width - share * full))
            for widths, full in zip(options, cost.full_widths, strict=True)
        )

    candidates = dict.fromkeys(scaled(step / 200) for step in range(200, -1, -1))
    # The sum over convolutions of milliseconds is off by more than from one width to the next.
    price = cost.exact if cost.cost.type == "latency" else cost
    return next((w for w in candidates if price(w) <= budget), narrowest)


def _narrowest(
    cost: GroupCost, options: Sequence[Sequence[int]], budget: float
) -> tuple[Widths, float]:
    """The smallest widths and what they cost, which is within the budget."""
    budget = positive_budget(budget, cost.unit)
    if not options:
        raise ValueError("the network has no channels that can be removed.")
    narrowest = tuple(widths[0] for widths in options)
    least = cost.exact(narrowest)
    if least > budget:
        raise BudgetError(budget, least, cost.unit, "the network with the smallest widths")
    return narrowest, least


def _filled(
    cost: GroupCost,
    options: Sequence[Sequence[int]],
    curves: Sequence[Mapping[int, float]],
    widths: Widths,
    budget: float,
) -> Widths:
    """The next larger width of every group where the very network still keeps to the budget."""
    wider = {}
    for group, width in enumerate(widths):
        larger = [option for option in options[group] if option > width]
        if larger:
            wider[group] = larger[0]
    relief = {group: curves[group][widths[group]] - curves[group][w] for group, w in wider.items()}
    for group in sorted(wider, key=lambda group: -relief[group]):
        trial = (*widths[:group], wider[group], *widths[group + 1 :])
        if relief[group] >= 0 and cost.exact(trial) <= budget:
            widths = trial
    return widths


def _greedy(
    cost: GroupCost,
    options: Sequence[Sequence[int]],
    curves: Sequence[Mapping[int, float]],
    limit: float,
) -> Widths:
    state = _State(cost, options, curves)
    state.narrow(limit)
    state.widen(limit)
    for _ in range(MAX_PASSES):
        better = _exchanged(state, limit)
        if better.damage >= state.damage:
            break
        state = better
    return tuple(state.widths)


def _exchanged(state: "_State", limit: float) -> "_State":
    """The better of some widths, and those after one group gave to or took from the others."""
    for group, options in enumerate(state.options):
        place = options.index(state.widths[group])
        for width in options[max(0, place - 1) : place + 2]:
            trial = state.copy()
            trial.move(group, width)
            trial.narrow(limit, but=group)
            trial.widen(limit)
            if trial.total <= limit and trial.damage < state.damage:
                state = trial
    return state


class _State:
    """Widths on the way, with what each change of one group would save."""

    def __init__(
        self,
        cost: GroupCost,
        options: Sequence[Sequence[int]],
        curves: Sequence[Mapping[int, float]],
    ) -> None:
        self.cost, self.options, self.curves = cost, options, curves
        self.widths = list(cost.full_widths)
        self.total = cost(self.widths)
        self._rates: dict[int, tuple[float, int] | None] = {}
        self._neighbours = {
            group: {g for t in terms for shares in cost.terms[t].shares for g in shares}
            for group, terms in cost.terms_of.items()
        }

    def change(self, group: int, width: int) -> float:
        """What the cost changes by if a group gets a width."""
        terms = self.cost.terms_of[group]
        other = list(self.widths)
        other[group] = width
        term = self.cost.term
        return sum(term(t, other) for t in terms) - sum(term(t, self.widths) for t in terms)

    def move(self, group: int, width: int) -> None:
        self.total += self.change(group, width)
        self.widths[group] = width
        for other in self._neighbours.get(group, {group}):
            self._rates.pop(other, None)

    @property
    def damage(self) -> float:
        """What is lost in all."""
        return sum(curve[width] for curve, width in zip(self.curves, self.widths, strict=True))

    def copy(self) -> "_State":
        """The same widths, to try something."""
        other = copy.copy(self)
        other.widths, other._rates = list(self.widths), dict(self._rates)
        return other

    def narrow(self, limit: float, but: int = -1) -> None:
        """Narrows groups, all but one, until a limit is kept or nothing can go."""
        while self.total > limit and (move := self.best_narrowing(but)):
            self.move(*move)

    def widen(self, limit: float) -> None:
        """Gives back what fits."""
        while move := self.best_widening(limit):
            self.move(*move)

    def best_narrowing(self, but: int = -1) -> tuple[int, int] | None:
        """Group and width with the least damage for what is saved."""
        best: tuple[float, int, int] | None = None
        for group in range(len(self.widths)):
            if group == but:
                continue
            if group not in self._rates:
                self._rates[group] = self._rate(group)
            rate = self._rates[group]
            if rate is not None and (best is None or rate[0] < best[0]):
                best = (rate[0], group, rate[1])
        return None if best is None else best[1:]

    def _rate(self, group: int) -> tuple[float, int] | None:
        now, curve = self.widths[group], self.curves[group]
        rates = []
        for width in self.options[group]:
            if width < now and (saved := -self.change(group, width)) > 0:
                rates.append((max(0.0, curve[width] - curve[now]) / saved, width))
        # Of equal rates the smallest step.
        return min(rates, key=lambda rate: (rate[0], -rate[1]), default=None)

    def best_widening(self, limit: float) -> tuple[int, int] | None:
        """Group and width that undo most damage within a limit."""
        best: tuple[float, int, int] | None = None
        for group, now in enumerate(self.widths):
            curve = self.curves[group]
            for width in self.options[group]:
                relief = curve[now] - curve[width]
                fits = width > now and self.total + self.change(group, width) <= limit
                if fits and relief >= 0 and (best is None or relief > best[0]):
                    best = (relief, group, width)
        return None if best is None else best[1:]
