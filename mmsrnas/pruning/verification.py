"""Proof that channels can be removed, before any is."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmsrnas.sizes import in_channels_of, min_size_of

from .groups import ChannelGroup, find_channels
from .surgery import mask_channels, remove_channels

__all__ = ["TOLERANCE", "Verified", "largest_error", "verified_groups"]

TOLERANCE = 1e-6
"""Largest difference in float64, relative to the largest output where that is above 1."""

ODD, EVEN = (19, 13), (24, 24)


@dataclass(frozen=True)
class Verified:
    """What can be removed from a network.

    Attributes:
        groups: Groups whose removal was tried.
        left_alone: Channels that stay, and why.
    """

    groups: tuple[ChannelGroup, ...]
    left_alone: tuple[str, ...]


def verified_groups(net: nn.Module) -> Verified:
    """Finds the channel groups of a network, and tries to remove half of each.

    With random weights, the network without the channels must do what the network does with all
    that they own at zero. A group for which it does not is refused by name: say, where the network
    keeps a number of channels in a place of its own.

    Args:
        net: The network; it is left as it was.

    Returns:
        The groups that passed, and what stays.
    """
    found = find_channels(net)
    left = [str(item) for item in found.left_alone]
    trial = _Trial(net)
    passed, refused = trial.split(list(found.groups))
    return Verified(tuple(passed), (*left, *refused))


def largest_error(
    net: nn.Module,
    groups: Sequence[ChannelGroup],
    kept: Sequence[Tensor],
    image: Tensor | None = None,
) -> float:
    """Difference between a network without channels and the network with them at zero.

    Args:
        net: The network with all of them; it is left as it was.
        groups: Its groups.
        kept: For each group the indices of the channels that remain.
        image: Image ``(N, C, H, W)`` in float64; a random one of odd size if None.

    Returns:
        Largest absolute difference in float64, relative to the largest output where that is above
        1.
    """
    exact = copy.deepcopy(net).double().eval()
    return _Trial(exact, randomise=False, image=image).error(groups, kept)


class _Trial:
    """A network in float64 and an image, to try removals on."""

    def __init__(self, net: nn.Module, randomise: bool = True, image: Tensor | None = None) -> None:
        self.net = copy.deepcopy(net).cpu().double().eval()
        if randomise:
            _randomise(self.net)
        self.image = _image(self.net) if image is None else image

    def split(self, groups: list[ChannelGroup]) -> tuple[list[ChannelGroup], list[str]]:
        """Groups that pass together, and those that do not, found by halving."""
        if not groups:
            return [], []
        generator = torch.Generator().manual_seed(0)
        kept = [
            torch.randperm(group.width, generator=generator)[: max(1, group.width // 2)]
            for group in groups
        ]
        try:
            error = self.error(groups, kept)
            reason = f"its removal changes the output by {error:.1e}"
        except Exception as caught:  # whatever a network does with a width of its own
            error, reason = float("inf"), f"its removal fails: {type(caught).__name__}: {caught}"
        if error <= TOLERANCE:
            return groups, []
        if len(groups) == 1:
            (group,) = groups
            return [], [f"'{group.name}' ({group.width} channels) {reason.splitlines()[0]}"]
        middle = len(groups) // 2
        first, second = self.split(groups[:middle]), self.split(groups[middle:])
        return first[0] + second[0], first[1] + second[1]

    @torch.no_grad()
    def error(self, groups: Sequence[ChannelGroup], kept: Sequence[Tensor]) -> float:
        """Largest difference between masked and pruned."""
        masked, pruned = copy.deepcopy(self.net), copy.deepcopy(self.net)
        mask_channels(masked, groups, kept)
        remove_channels(pruned, groups, kept)
        expected, found = masked(self.image.clone()), pruned(self.image.clone())
        if expected.shape != found.shape or not found.isfinite().all():
            return float("inf")
        scale = max(1.0, expected.abs().max().item())
        return (expected - found).abs().max().item() / scale


@torch.no_grad()
def _randomise(net: nn.Module) -> None:
    """Random weights, so that nothing hides behind a branch that starts at zero."""
    generator = torch.Generator().manual_seed(0)
    for param in net.parameters():
        fan = param[0].numel() if param.ndim > 1 else 1
        noise = torch.randn(param.shape, generator=generator, dtype=param.dtype)
        param.copy_(noise / max(fan, 1) ** 0.5)
    for name, buffer in net.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype))


@torch.no_grad()
def _image(net: nn.Module) -> Tensor:
    """A random image of odd size; of an even one where the network does not take that."""
    channels, least = in_channels_of(net), min_size_of(net)
    images = [
        torch.rand(1, channels, max(height, least), max(width, least), dtype=torch.double)
        for height, width in (ODD, EVEN)
    ]
    try:
        net(images[0].clone())
    except (RuntimeError, ValueError, AssertionError):
        return images[1]
    return images[0]
