"""Validation of what a search would keep, beside that of its supernet."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmsrnas.engine.supernet import find_supernet, unwrap
from mmsrnas.models.bn_calibration import estimate_statistics
from mmsrnas.models.supernet import DiscreteSupernet
from mmsrnas.registry import HOOKS

__all__ = ["DiscreteValHook"]


@HOOKS.register_module()
class DiscreteValHook(Hook):
    """Validates the discretised sub-network with the weights of the supernet.

    A supernet may do well with mixed operations that its genotype does not have. After each
    validation the supernet is switched to what it would derive, by its attribute ``discrete``;
    the statistics of its normalisations are estimated again on some training batches, because
    they belong to the mixed features; and it is validated on the same images. The metrics are
    logged under ``discrete/``. Everything is then as it was before.

    Args:
        num_batches: Training batches for the statistics.

    Raises:
        TypeError: The supernet has no attribute ``discrete``.
    """

    def __init__(self, num_batches: int = 10) -> None:
        self.num_batches = num_batches

    def before_train(self, runner: Runner) -> None:
        """Checks the model before work is spent."""
        supernet = find_supernet(runner.model)
        if not isinstance(supernet, DiscreteSupernet):
            raise TypeError(
                f"DiscreteValHook: {type(supernet).__name__} has no attribute `discrete`; take "
                "the hook out of the config."
            )

    @torch.no_grad()
    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Validates the discretised sub-network."""
        supernet = unwrap(runner.model).generator
        with _unchanged(supernet):
            supernet.discrete = True
            self._estimate_statistics(runner, supernet)
            for name, value in _validate(runner).items():
                runner.message_hub.update_scalar(f"val/discrete/{name}", value)

    def _estimate_statistics(self, runner: Runner, supernet: nn.Module) -> None:
        cfg = dict(runner.cfg.train_dataloader, num_workers=0, persistent_workers=False)
        preprocess = unwrap(runner.model).data_preprocessor
        batches = islice(runner.build_dataloader(cfg, seed=runner.seed), self.num_batches)
        images = (preprocess(batch, True)["inputs"] for batch in batches)
        estimate_statistics(supernet, supernet, images)


@contextmanager
def _unchanged(supernet: Any) -> Iterator[None]:
    """Restores statistics, momentum and mode."""
    norms = [m for m in supernet.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    training = supernet.training
    try:
        yield
    finally:
        supernet.discrete = False
        supernet.train(training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for name, buffer in supernet.named_buffers():
            buffer.copy_(buffers[name])


def _validate(runner: Runner) -> dict[str, float]:
    """The metrics of the validation loop, without its hooks."""
    loop: Any = runner.val_loop
    editor = unwrap(runner.model)
    results = {}
    for evaluator, dataloader in zip(loop.evaluators, loop.dataloaders, strict=True):
        for metrics, batches in evaluator.prepare_samplers(editor, dataloader):
            for batch in batches:
                evaluator.process(editor.val_step(batch), batch, metrics)
        results |= evaluator.evaluate()
    return results
