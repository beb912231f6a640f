"""The learning rate of a HiNAS search."""

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from mmsrnas.registry import PARAM_SCHEDULERS

__all__ = ["CosinePolyLR"]


@PARAM_SCHEDULERS.register_module()
class CosinePolyLR(LRSchedulerMixin, _ParamScheduler):
    """Cosine with warm restarts under a polynomial envelope, constant within an epoch.

    In epoch ``t = 1..num_epochs`` the rate is

    ``eta_min + (lr - eta_min) * (1 + cos(2 pi t / period)) / 2 * (1 - t / num_epochs) ** power``.

    Args:
        optimizer: The optimizer, or its wrapper.
        iters_per_epoch: Iterations in an epoch, with ``by_epoch=False``.
        num_epochs: Epochs of the search.
        period: Epochs of a period of the cosine.
        eta_min: Least rate.
        power: Exponent of the envelope.
        kwargs: As for mmengine's schedulers: ``by_epoch``, ``begin``, ``end``, ``last_step``...
    """

    def __init__(
        self,
        optimizer: Any,
        iters_per_epoch: int,
        num_epochs: int = 100,
        period: int = 20,
        eta_min: float = 1e-3,
        power: float = 0.9,
        **kwargs: Any,
    ) -> None:
        self.iters_per_epoch = iters_per_epoch
        self.num_epochs = num_epochs
        self.period = period
        self.eta_min = eta_min
        self.power = power
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> list[float]:
        epoch = min(self.last_step // self.iters_per_epoch + 1, self.num_epochs)
        cosine = (1 + math.cos(2 * math.pi * epoch / self.period)) / 2
        factor = cosine * (1 - epoch / self.num_epochs) ** self.power
        return [self.eta_min + (base - self.eta_min) * factor for base in self.base_values]
