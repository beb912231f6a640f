"""What the loss of channels costs in quality: scores of single ones, and of how many."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .groups import ChannelGroup
from .surgery import mask_channels

__all__ = ["IMPORTANCES", "damage_curves", "score_channels"]

IMPORTANCES = ("loss", "taylor", "l1", "random")

Batch = Mapping[str, Any]
Objective = Callable[[Batch], Tensor]
Curve = dict[int, float]
"""What is lost by how many channels remain."""


def score_channels(
    net: nn.Module,
    groups: Sequence[ChannelGroup],
    importance: str = "taylor",
    batches: Sequence[Batch] = (),
    objective: Objective | None = None,
    seed: int = 0,
) -> list[Tensor]:
    """How much every channel matters.

    * ``'taylor'``, ``'loss'``: the square of what the loss of a batch would change by, in first
      order, without the channel, averaged over the batches: that of the sum of weight times
      gradient over all that reads the channel (arXiv 1906.10771).
    * ``'l1'``: the sum of absolute weights of all that reads it.
    * ``'random'``: any number in [0, 1).

    Args:
        net: The network, whose weights stay as they are.
        groups: Its channel groups.
        importance: One of :data:`IMPORTANCES`.
        batches: Batches of the training data, for the first two.
        objective: Loss of a batch; runs ``net``.
        seed: Seed of ``'random'``.

    Returns:
        Scores ``(width,)`` of each group, at least 0.

    Raises:
        ValueError: Unknown ``importance``, or one that needs batches has none.
        FloatingPointError: The loss or its gradient is not finite.
    """
    if importance not in IMPORTANCES:
        raise ValueError(f"importance: expected one of {IMPORTANCES}, got {importance!r}.")
    if importance == "random":
        generator = torch.Generator().manual_seed(seed)
        return [torch.rand(group.width, generator=generator) for group in groups]
    weights = dict(net.named_parameters())
    if importance == "l1":
        return [_read(group, lambda name: weights[name].detach().abs()) for group in groups]
    if not batches or objective is None:
        raise ValueError(f"importance {importance!r} needs batches of training data and a loss.")
    scores = [torch.zeros(group.width, dtype=torch.double) for group in groups]
    with _with_gradients(net):
        for batch in batches:
            net.zero_grad()
            objective(batch).backward()
            products = {
                name: (weight * weight.grad).detach()
                for name, weight in weights.items()
                if weight.grad is not None
            }
            for score, group in zip(scores, groups, strict=True):
                score += _read(group, products.__getitem__).square() / len(batches)
        net.zero_grad()
    if not all(score.isfinite().all() for score in scores):
        raise FloatingPointError(
            "The loss of the training data or its gradient is not finite. Check the weights and "
            "the images."
        )
    return scores


def _read(group: ChannelGroup, values: Callable[[str], Tensor]) -> Tensor:
    """Sum of values over the weights that read each channel ``(width,)``."""
    total = torch.zeros(group.width, dtype=torch.double)
    for part in group.slices:
        if part.consumes:
            value = values(part.name)
            by_index = value.double().cpu().transpose(0, part.dim).flatten(1).sum(dim=1)
            total += by_index[torch.from_numpy(part.index)].sum(dim=1)
    return total


@contextmanager
def _with_gradients(net: nn.Module) -> Iterator[None]:
    """Evaluation mode, with gradients to all weights."""
    training, needs = net.training, {p: p.requires_grad for p in net.parameters()}
    net.eval().requires_grad_(True)
    try:
        yield
    finally:
        net.train(training)
        for param, need in needs.items():
            param.requires_grad_(need)


def damage_curves(
    net: nn.Module,
    groups: Sequence[ChannelGroup],
    scores: Sequence[Tensor],
    options: Sequence[Sequence[int]],
    batches: Sequence[Batch] = (),
    objective: Objective | None = None,
) -> list[Curve]:
    """What is lost at each width of each group, where those with the least scores go first.

    Args:
        net: The network, whose weights stay as they are.
        groups: Its channel groups.
        scores: Scores of their channels.
        options: Widths of each group.
        batches: Batches, to measure the loss of the network without the channels, one group at a
            time; without them it is the sum of the scores.
        objective: Loss of a batch; runs ``net``.

    Returns:
        A curve for each group; 0 at the full width.
    """
    if not batches or objective is None:
        return [
            {width: float(_lowest(score, len(score) - width).sum()) for width in widths}
            for score, widths in zip(scores, options, strict=True)
        ]
    curves: list[Curve] = []
    with torch.no_grad(), _with_gradients(net):
        full = _mean_loss(batches, objective)
        for group, score, widths in zip(groups, scores, options, strict=True):
            curve: Curve = {}
            for width in widths:
                with _masked(net, group, strongest(score, width)):
                    # Noise, and channels that do harm, make nothing cheaper than nothing.
                    curve[width] = max(0.0, _mean_loss(batches, objective) - full)
            curve[group.width] = 0.0
            curves.append(curve)
    return curves


def strongest(scores: Tensor, width: int) -> Tensor:
    """Indices of the channels with the largest scores, ascending ``(width,)``."""
    return scores.argsort(descending=True, stable=True)[:width].sort().values


def _lowest(scores: Tensor, count: int) -> Tensor:
    return scores.sort().values[:count]


def _mean_loss(batches: Sequence[Batch], objective: Objective) -> float:
    return float(np.mean([float(objective(batch)) for batch in batches]))


@contextmanager
def _masked(net: nn.Module, group: ChannelGroup, kept: Tensor) -> Iterator[None]:
    """Without some channels of a group, which come back afterwards."""
    tensors: dict[str, Tensor] = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    before = {part.name: tensors[part.name].detach().clone() for part in group.slices}
    mask_channels(net, [group], [kept])
    try:
        yield
    finally:
        for name, value in before.items():
            tensors[name].data.copy_(value)
