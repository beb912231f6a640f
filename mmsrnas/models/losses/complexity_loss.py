"""The cost of an architecture as a loss of its search."""

from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["ComplexityLoss"]


@MODELS.register_module()
class ComplexityLoss(nn.Module):
    """Loss of the architecture step on the expected cost of a supernet.

    Where the supernet has no budget it is a share of its reference cost; with one, the relative
    excess ``max(cost / budget - 1, 0)``, which is no penalty below it.

    Args:
        loss_weight: Factor of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    @full_precision
    def forward(
        self, cost: Tensor, reference_cost: float = 1.0, budget: float | None = None
    ) -> Tensor:
        """Weighs a cost.

        Args:
            cost: Scalar, differentiable in the architecture parameters.
            reference_cost: The cost that counts as 1 where there is no budget, in the same unit.
            budget: Upper bound in the same unit, where there is one.

        Returns:
            Scalar loss.
        """
        excess = cost / reference_cost if budget is None else (cost / budget - 1).relu()
        return self.loss_weight * excess
