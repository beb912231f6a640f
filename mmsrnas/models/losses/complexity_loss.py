"""The cost of an architecture as a loss of its search."""

from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["ComplexityLoss"]


@MODELS.register_module()
class ComplexityLoss(nn.Module):
    """Loss of the architecture step on the expected cost of a supernet.

    Args:
        loss_weight: Factor of the loss.
        budget: Upper bound of the cost, in the unit of the supernet's ``expected_cost()``; there
            is no penalty below it. Without a budget the cost itself is the loss; with one, only
            the relative excess ``max(cost / budget - 1, 0)`` is.

    Raises:
        ValueError: ``budget`` is not positive.
    """

    def __init__(self, loss_weight: float = 1.0, budget: float | None = None) -> None:
        super().__init__()
        if budget is not None and budget <= 0:
            raise ValueError(f"complexity_loss.budget: expected a number > 0, got {budget!r}.")
        self.loss_weight = loss_weight
        self.budget = budget

    @full_precision
    def forward(self, cost: Tensor) -> Tensor:
        """Weighs a cost.

        Args:
            cost: Scalar, differentiable in the architecture parameters.

        Returns:
            Scalar loss.
        """
        if self.budget is not None:
            cost = (cost / self.budget - 1).relu()
        return self.loss_weight * cost
