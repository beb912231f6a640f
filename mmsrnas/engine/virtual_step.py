"""The architecture gradient at the weights that one step would give."""

from collections.abc import Callable, Sequence

import torch
from mmengine.dist import all_reduce_params
from torch import Tensor, nn

__all__ = ["virtual_step_gradients"]

STEP_NORM = 0.01  # length of the finite difference, as in DARTS


def virtual_step_gradients(
    train_loss: Callable[[], Tensor],
    arch_loss: Callable[[], Tensor],
    arch: Sequence[nn.Parameter],
    weights: Sequence[nn.Parameter],
    rates: Sequence[float],
    decays: Sequence[float],
    second_order: bool = True,
) -> tuple[Tensor, list[Tensor]]:
    """Gradient of the architecture loss after one step of the weights (DARTS, equations 7 and 8).

    The step is ``w' = w - rate * (dL_train(w)/dw + decay * w)``. Its dependence on the architecture
    enters, with ``second_order``, by a central difference of ``dL_train/da`` along
    ``rate * dL_arch(w')/dw'``. The weights are moved and put back; gradients of the weights are
    averaged over the processes.

    Args:
        train_loss: Computes the loss of the training batch with the current weights.
        arch_loss: The same for the architecture batch.
        arch: Architecture parameters.
        weights: Weights that the training step will update.
        rates: Learning rate of each weight.
        decays: Weight decay of each weight.
        second_order: Whether the step's dependence on the architecture counts.

    Returns:
        The architecture loss at ``w'`` and its gradient for each architecture parameter, both of
        this process only.
    """

    def gradients(loss: Tensor, params: Sequence[nn.Parameter]) -> list[Tensor]:
        found = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
        return list(found)

    before = [weight.detach().clone() for weight in weights]
    try:
        descent = gradients(train_loss(), weights)
        all_reduce_params(descent, op="mean")
        steps = zip(before, descent, rates, decays, strict=True)
        _assign(weights, [w - rate * (d + decay * w) for w, d, rate, decay in steps])

        loss = arch_loss()
        if not second_order:
            return loss.detach(), gradients(loss, arch)
        found = gradients(loss, [*arch, *weights])
        direct, ahead = found[: len(arch)], found[len(arch) :]
        all_reduce_params(ahead, op="mean")
        direction = [rate * a for rate, a in zip(rates, ahead, strict=True)]
        norm = torch.stack([d.norm() for d in direction]).norm()
        if norm == 0:
            return loss.detach(), direct
        size = STEP_NORM / norm

        sides = []
        for sign in (1, -1):
            pairs = zip(before, direction, strict=True)
            _assign(weights, [w + sign * size * d for w, d in pairs])
            sides.append(gradients(train_loss(), arch))
    finally:
        _assign(weights, before)
    terms = zip(direct, *sides, strict=True)
    return loss.detach(), [d - (plus - minus) / (2 * size) for d, plus, minus in terms]


@torch.no_grad()
def _assign(params: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for param, value in zip(params, values, strict=True):
        param.copy_(value)
