"""A start from which the features of a network neither fade nor grow."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["init_unit_variance"]

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


@torch.no_grad()
def init_unit_variance(
    net: nn.Module,
    images: Tensor,
    skip: Sequence[str] = (),
    zero_last: bool = True,
    architectures: Iterable[Any] | None = None,
) -> int:
    """Scales each convolution to outputs of unit variance, and the last one to zero.

    With the default initialisation a plain chain of 16 convolutions has learned nothing after 500
    iterations: its features fade from one to the next. Where it is trained for long, or has its own
    paths around its convolutions, the start matters less.

    Biases start at zero. What gives zero already stays as it is; so do convolutions that do not run
    as modules, and those with an attribute ``initialised = True``, whose weights mean something
    from the start. Random numbers and buffers are as before.

    Args:
        net: A network that has not been trained; changed in place.
        images: Its inputs ``(N, C, H, W)``, a batch of the training data.
        skip: Names of parts that stay as they are, e.g. ``'spynet'``.
        zero_last: Start the convolution that runs last at zero: the network then starts as the
            enlargement that it adds its output to, or as a constant.
        architectures: For a supernet, the architectures that are run one after the other until
            every convolution has been reached.

    Returns:
        Number of convolutions that were scaled.

    Raises:
        ValueError: ``skip`` names a part that the network does not have.

    Source: layer-sequential unit-variance, arXiv 1511.06422, in one pass.
    """
    convs = _convolutions(net, skip)
    reached: dict[nn.Module, None] = {}
    last: list[Any] = []

    def scale(conv: Any, args: tuple, kwargs: dict, output: Tensor) -> Tensor:
        last[:] = [conv]
        if conv in reached:
            return output
        reached[conv] = None
        if conv.bias is not None:
            conv.bias.zero_()
        std = conv.forward(*args, **kwargs).float().std()
        conv.weight.div_(std if std > 0 else 1.0)
        return conv.forward(*args, **kwargs)

    hooks = [conv.register_forward_hook(scale, with_kwargs=True) for conv in convs]
    try:
        with _unchanged(net, images.device):
            for arguments in [()] if architectures is None else ((a,) for a in architectures):
                net(images, *arguments)
                if len(reached) == len(convs):
                    break
    finally:
        for hook in hooks:
            hook.remove()
    if zero_last and last:
        nn.init.zeros_(last[0].weight)
    return len(reached)


def _convolutions(net: nn.Module, skip: Sequence[str]) -> list[nn.Module]:
    parts = dict(net.named_modules())
    unknown = set(skip) - set(parts)
    if unknown:
        raise ValueError(
            f"skip: {type(net).__name__} has no part {', '.join(sorted(unknown))}; expected names "
            f"as in named_modules(), e.g. {', '.join(name for name, _ in net.named_children())}."
        )
    kept = {module for name in skip for module in parts[name].modules()}
    return [
        module
        for module in parts.values()
        if isinstance(module, CONVOLUTIONS)
        and module not in kept
        and not getattr(module, "initialised", False)
        and "weight" in module._parameters  # not computed from others, as with spectral norms
    ]


@contextmanager
def _unchanged(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Keeps running statistics and random numbers from moving."""
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for name, buffer in net.named_buffers():
            buffer.copy_(buffers[name])
