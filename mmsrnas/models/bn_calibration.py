"""Statistics of batch normalisation for one sub-network of a supernet."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["estimate_statistics"]


@torch.no_grad()
def estimate_statistics(
    model: nn.Module, forward: Callable[[Tensor], Tensor], batches: Iterable[Tensor]
) -> None:
    """Replaces the running statistics of a model by those of its activations on some batches.

    Args:
        model: The model, whose mode stays as it is.
        forward: Runs what the statistics are for; normalisations that it does not use are reset.
        batches: Images ``(N, C, H, W)``; statistics are averaged over the batches.
    """
    norms, training = [m for m in model.modules() if isinstance(m, _BatchNorm)], model.training
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    try:
        for seen, batch in enumerate(batches):
            for norm in norms:
                norm.momentum = 1 / (seen + 1)  # the mean over the batches
            forward(batch)
    finally:
        model.train(training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
