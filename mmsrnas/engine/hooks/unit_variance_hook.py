"""A start of training from features of unit variance."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather, broadcast
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.engine.supernet import unwrap
from mmsrnas.models.supernet import PathSupernet
from mmsrnas.models.unit_variance import init_unit_variance
from mmsrnas.registry import HOOKS

__all__ = ["UnitVarianceHook"]


@HOOKS.register_module()
class UnitVarianceHook(Hook):
    """Starts the convolutions of a generator with outputs of unit variance.

    The first batch of a new training is run once more, before its step, and scales the initial
    weights (:func:`~mmsrnas.models.unit_variance.init_unit_variance`). Nothing happens in a run
    that is resumed or whose weights were loaded. It helps short trainings of plain networks most.
    A supernet whose networks run one at a time is started network by network.

    With several processes, the batch is that of all processes together.

    Args:
        skip: Names of parts of the generator that stay as they are, as in ``named_modules()``.
        zero_last: Start the convolution that runs last at zero.
    """

    priority = "HIGH"  # before an architecture step sees the weights

    def __init__(self, skip: Sequence[str] = (), zero_last: bool = True) -> None:
        self.skip = skip
        self.zero_last = zero_last
        self._loaded = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Notes that the weights are no initial ones."""
        self._loaded = True

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Scales the weights before the first step."""
        if runner.iter > 0:
            return
        editor = unwrap(runner.model)
        if self._loaded or _is_pretrained(editor):
            runner.logger.info("UnitVarianceHook: the weights were loaded and stay as they are.")
            return
        inputs = editor.data_preprocessor(data_batch, True)["inputs"]
        inputs = torch.cat(all_gather(inputs.contiguous()))
        net = editor.generator
        count = init_unit_variance(net, inputs, self.skip, self.zero_last, _architectures(net))
        for param in net.parameters():  # kernels need not be deterministic
            broadcast(param.data)
        runner.logger.info(f"UnitVarianceHook: {count} convolutions start with unit variance.")


def _is_pretrained(editor: Any) -> bool:
    """Whether the config of the model itself names a checkpoint."""
    configs = (getattr(part, "init_cfg", None) or {} for part in editor.modules())
    types = (
        cfg.get("type")
        for group in configs
        for cfg in (group if isinstance(group, list) else [group])
    )
    return bool(getattr(editor, "pretrained", None)) or "Pretrained" in types


def _architectures(net: Any) -> Iterator[Any] | None:
    """The networks of a supernet that together have all weights, where they run one at a time."""
    return net.space.cover() if isinstance(net, PathSupernet) else None
