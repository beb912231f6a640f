"""The closed loop of dual regression."""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .precision import full_precision

__all__ = ["DualRegressionLoss"]

UNPAIRED = ("composed", "lowest")

_distance = full_precision(F.l1_loss)


@MODELS.register_module()
class DualRegressionLoss(nn.Module):
    """Mean absolute error of SR images that dual networks bring back to LR (arXiv 2003.07018).

    For pairs of LR and HR every level counts, ``sum_k |D_k(SR_{k+1}) - LR_k|``. For an LR image
    without HR only the LR image itself is known, and the loop is

    * ``composed``: through all dual networks, from the final SR image;
    * ``lowest``: through the last of them alone, from the image at twice the LR size.

    Args:
        loss_weight: Weight beside the loss of the SR images.
        unpaired: ``'composed'`` or ``'lowest'``.

    Raises:
        ValueError: Unknown ``unpaired``.
    """

    def __init__(self, loss_weight: float = 0.1, unpaired: str = "composed") -> None:
        super().__init__()
        if unpaired not in UNPAIRED:
            raise ValueError(
                f"DualRegressionLoss.unpaired: expected one of {UNPAIRED}, got {unpaired!r}."
            )
        self.loss_weight = loss_weight
        self.unpaired = unpaired

    def forward(
        self,
        duals: Sequence[nn.Module],
        images: Sequence[Tensor],
        lrs: Sequence[Tensor],
        paired: Tensor | None = None,
    ) -> Tensor:
        """Closes the loop.

        Args:
            duals: The dual networks, the lowest resolution first.
            images: SR images ``(N, C, H_k, W_k)`` that the dual networks read, in their order.
            lrs: What they should give, in their order; the first is the LR image.
            paired: Which of the N samples have an HR image; all of them where it is None.

        Returns:
            Scalar loss.
        """
        if paired is None or paired.all():
            return self.loss_weight * _levels(duals, images, lrs)
        share = paired.float().mean()
        alone = [image[~paired] for image in images]
        loss = (1 - share) * _distance(self._cycle(duals, alone), lrs[0][~paired])
        if paired.any():
            pairs = [[x[paired] for x in tensors] for tensors in (images, lrs)]
            loss = loss + share * _levels(duals, *pairs)
        return self.loss_weight * loss

    def _cycle(self, duals: Sequence[nn.Module], images: Sequence[Tensor]) -> Tensor:
        if self.unpaired == "lowest":
            return duals[0](images[0])
        image = images[-1]
        for dual in reversed(duals):
            image = dual(image)
        return image


def _levels(duals: Sequence[nn.Module], images: Sequence[Tensor], lrs: Sequence[Tensor]) -> Tensor:
    levels = zip(duals, images, lrs, strict=True)
    return reduce(add, (_distance(dual(image), lr) for dual, image, lr in levels))
