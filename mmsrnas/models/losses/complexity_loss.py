"""The price of an architecture in its search."""

from torch import Tensor, nn

from mmsrnas.registry import MODELS

__all__ = ["ComplexityLoss"]


@MODELS.register_module()
class ComplexityLoss(nn.Module):
    """Turns the expected cost of a supernet into a loss of the architecture step.

    Args:
        loss_weight: Factor of the loss.
        budget: Cost that is free of charge, in the unit of the supernet's ``expected_cost()``.
            Without a budget the cost itself is the loss; with one, only the relative excess
            ``max(cost / budget - 1, 0)`` is.

    Raises:
        ValueError: ``budget`` is not positive.
    """

    def __init__(self, loss_weight: float = 1.0, budget: float | None = None) -> None:
        super().__init__()
        if budget is not None and budget <= 0:
            raise ValueError(f"complexity_loss.budget: expected a number > 0, got {budget!r}.")
        self.loss_weight = loss_weight
        self.budget = budget

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
