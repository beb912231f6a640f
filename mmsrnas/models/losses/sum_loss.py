"""The sum of several losses where an editor takes one."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["SumLoss"]


@MODELS.register_module()
class SumLoss(nn.Module):
    """Sum of losses of ``(pred, target)``; every loss carries its own ``loss_weight``.

    Args:
        losses: Configs of the losses.
    """

    def __init__(self, losses: Sequence[dict]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(MODELS.build(loss) for loss in losses)

    @full_precision
    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compares two batches ``(N, C, H, W)``.

        Returns:
            Scalar loss.
        """
        return reduce(add, (loss(pred, target) for loss in self.losses))
