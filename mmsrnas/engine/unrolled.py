"""Architecture gradients that look one weight step ahead."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["unrolled_gradient"]

Loss = Callable[[], Tensor]


def unrolled_gradient(
    train_loss: Loss,
    val_loss: Loss,
    weights: Sequence[nn.Parameter],
    alphas: Sequence[nn.Parameter],
    lr: float,
    weight_decay: float = 0.0,
    second_order: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Gradient of ``L_val(w', a)`` with ``w' = w - lr * (dL_train(w, a)/dw + weight_decay * w)``.

    First order (two passes) takes ``w'`` as a constant. Second order (four passes) adds
    ``-lr * d2L_train / (da dw) * dL_val(w')/dw'``, the product by central differences with a step
    of ``0.01 / |dL_val/dw'|`` (DARTS, arXiv 1806.09055, equations 7 and 8). The weights are the
    same afterwards.

    Args:
        train_loss: Computes the loss of the training batch.
        val_loss: Computes the loss of the architecture batch.
        weights: The weights that the virtual step changes.
        alphas: The architecture parameters.
        lr: Size of the virtual step.
        weight_decay: Weight decay of the virtual step.
        second_order: Whether to follow how ``w'`` depends on the alphas.

    Returns:
        ``L_val(w', a)``, detached, and its gradient for each of ``alphas``.
    """
    step = [
        g + weight_decay * w.detach()
        for g, w in zip(_gradient(train_loss(), weights), weights, strict=True)
    ]
    with _moved(weights, step, -lr):
        value = val_loss()
        wanted = [*alphas, *weights] if second_order else list(alphas)
        gradients = _gradient(value, wanted)
    first, along = gradients[: len(alphas)], gradients[len(alphas) :]
    if not second_order:
        return value.detach(), first
    epsilon = 0.01 / torch.stack([v.norm() for v in along]).norm().item()
    sides = []
    for sign in (1, -1):
        with _moved(weights, along, sign * epsilon):
            sides.append(_gradient(train_loss(), alphas))
    product = [(plus - minus) / (2 * epsilon) for plus, minus in zip(*sides, strict=True)]
    return value.detach(), [d - lr * p for d, p in zip(first, product, strict=True)]


def _gradient(loss: Tensor, params: Sequence[nn.Parameter]) -> list[Tensor]:
    """Zeros where the loss does not depend on a parameter."""
    return list(torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True))


@contextmanager
def _moved(
    weights: Sequence[nn.Parameter], direction: Sequence[Tensor], factor: float
) -> Iterator[None]:
    """Weights moved along a direction, and put back to the bit."""
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_add_(list(weights), list(direction), alpha=factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, kept, strict=True):
                weight.copy_(old)
