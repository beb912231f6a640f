"""Hand-made networks at the same cost: what a search has to beat."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from mmsrnas.analysis.measured import within_measured
from mmsrnas.analysis.scaling import widest
from mmsrnas.costs import BudgetError, Cost
from mmsrnas.registry import MODELS

from .budget import MAX_SPREAD, Budget

__all__ = ["handmade_networks"]

MAX_WIDTH = 256
NEARLY = 0.85
CHANNELS_PER_CONV = 2
"""Least ratio of width and depth of a plain chain: 16 convolutions of 16 channels are 0.2 dB below
8 of 24, which take as long (``docs/experiments/elastic-front.md``)."""
LATENCY_STEP = 8
"""Distance of the widths where time counts; runtimes compute channels in blocks of 8."""


def handmade_networks(budget: Budget, upscale_factor: int) -> dict[str, dict[str, Any]]:
    """Configs of hand-made networks, brought to a budget by depth and width.

    Of each kind it is the deepest network that uses nearly as much of the budget as any, as a wide
    one of a single layer fills it best, and is no match; but a plain chain that is narrow for its
    depth is none either.

    Args:
        budget: The budget.
        upscale_factor: Ratio of HR to LR size; EDSR is none for scale 1.

    Returns:
        Config of the generator by name; kinds that cannot be so cheap are left out.

    Raises:
        BudgetError: No kind can.
    """
    edsr = dict(type="EDSRNet", in_channels=3, out_channels=3, upscale_factor=upscale_factor)
    compact = dict(type="mmsrnas.CompactNet", in_channels=3, upscale_factor=upscale_factor)
    compact["anchor"] = "linear"  # as elastic networks have
    kinds = {"compact": [compact | {"num_convs": depth} for depth in (16, 8, 4, 1)]}
    if upscale_factor > 1:
        kinds["edsr"] = [edsr | {"num_blocks": depth} for depth in (8, 4, 2)]
    found, refused = {}, []
    for name, configs in kinds.items():
        try:
            found[name] = _scaled(budget, configs).config
        except BudgetError as error:
            refused.append(error)
    if not found:
        raise min(refused, key=lambda error: error.least)
    return found


@dataclass(frozen=True)
class _Scaled:
    """A network of some depth and width."""

    config: dict[str, Any]
    network: nn.Module
    cost: float


def _is_balanced(scaled: _Scaled) -> bool:
    """Neither narrow for its depth nor of a single convolution; EDSR, which has skips, always."""
    depth, width = scaled.config.get("num_convs"), scaled.config["mid_channels"]
    return depth is None or (depth > 1 and width >= CHANNELS_PER_CONV * depth)


def _scaled(budget: Budget, configs: list[dict[str, Any]]) -> _Scaled:
    """The network of one kind for a budget, of configs from the deepest on."""

    def find(limit: float) -> _Scaled:
        fitting, refused = [], []
        for config in configs:
            try:
                fitting.append(_widest(budget.cost, limit, config))
            except BudgetError as error:
                refused.append(error)
        if not fitting:
            raise min(refused, key=lambda error: error.least)
        most = max(scaled.cost for scaled in fitting)
        near = [scaled for scaled in fitting if scaled.cost >= NEARLY * most]
        return next(filter(_is_balanced, near), near[0])

    if not budget.is_latency:
        return find(budget.limit)
    found, _ = within_measured(
        find, lambda scaled: scaled.network, budget.cost, budget.limit, max_spread=MAX_SPREAD
    )
    return found


def _widest(cost: Cost, limit: float, config: dict[str, Any]) -> _Scaled:
    step = LATENCY_STEP if cost.type == "latency" else 2  # costs rise at each of these

    def build(width: int) -> nn.Module:
        return MODELS.build(config | {"mid_channels": width})

    def cost_at(width: int) -> float:
        return cost.of((*config.items(), width), lambda: build(width))

    width = widest(cost_at, limit, cost.unit, step, step, MAX_WIDTH, ahead=0)
    return _Scaled(config | {"mid_channels": width}, build(width), cost_at(width))
