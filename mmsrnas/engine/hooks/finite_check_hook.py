"""The end of a run that has diverged."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint

from mmsrnas.engine.supernet import unwrap
from mmsrnas.finite import not_finite, require_finite
from mmsrnas.registry import HOOKS

__all__ = ["FiniteCheckHook"]

REMEDY = (
    "The optimisation has diverged: lower the learning rate (optim_wrapper.optimizer.lr; that of "
    "the ArchOptimizerHook where architecture parameters are named), clip the gradient "
    "(optim_wrapper.clip_grad=dict(max_norm=...)), or train without --amp. If it is always the "
    "same images, look at them."
)


@HOOKS.register_module()
class FiniteCheckHook(Hook):
    """Stops a run as soon as a loss, a weight or an architecture parameter is not finite.

    Without it, training goes on with NaN: the checkpoints of the divergence replace the good ones,
    and the genotype is the argmax of NaN. The error names the iteration, the images of the batch,
    the last checkpoint, which is good, and what to do.

    All losses and all parameters are checked after every iteration, before anything is saved,
    validated or decoded. That costs little: reading every parameter once, in one fused pass, is a
    part of what the optimizer has done with it just before. On a GPU it adds no waiting, because
    mmengine fetches the losses for its log after every iteration and has waited already. A
    gradient that is not finite shows in the parameters that it was applied to; one that a gradient
    scaler has skipped is no fault.

    A validation or test with a metric that is NaN is an error as well. Infinite ones pass: that is
    the PSNR of a perfect image.
    """

    # After the architecture step and the log, before checkpoints, genotypes and metric files.
    priority = "LOW"

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Checks losses and parameters.

        Raises:
            FloatingPointError: One of them is not finite.
        """
        losses = {k: torch.as_tensor(v).item() for k, v in (outputs or {}).items() if "loss" in k}
        bad = {name: value for name, value in losses.items() if not math.isfinite(value)}
        model = unwrap(runner.model)
        cause = ", ".join(f"{name} is {value}" for name, value in bad.items()) or not_finite(model)
        if cause:
            raise FloatingPointError(
                f"Iteration {runner.iter + 1}: {cause}. {_images(data_batch)} {_last(runner)} "
                f"{REMEDY}"
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuses to save what is not finite, whoever wants to.

        Raises:
            FloatingPointError: A parameter is not finite.
        """
        require_finite(unwrap(runner.model), f"The model at iteration {runner.iter}")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Checks the metrics of a validation.

        Raises:
            FloatingPointError: One of them is NaN.
        """
        _check_metrics(metrics, _last(runner))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Checks the metrics of a test.

        Raises:
            FloatingPointError: One of them is NaN.
        """
        _check_metrics(metrics, "Test another checkpoint.")


def _images(batch: Mapping[str, Any] | None) -> str:
    samples = batch.get("data_samples", []) if isinstance(batch, Mapping) else []
    paths = [sample.get("gt_path") or sample.get("img_path") for sample in samples]
    names = [str(path) for path in paths if path]
    return f"Images of the batch: {', '.join(names)}." if names else "The batch names no images."


def _last(runner: Runner) -> str:
    last = runner.message_hub.runtime_info.get("last_ckpt")
    last = last or find_latest_checkpoint(runner.work_dir)
    if last and Path(last).exists():
        return f"The last good checkpoint is '{last}'."
    return "There is no checkpoint yet."


def _check_metrics(metrics: Mapping[str, float] | None, advice: str) -> None:
    nan = [name for name, value in (metrics or {}).items() if math.isnan(float(value))]
    if nan:
        raise FloatingPointError(
            f"{', '.join(nan)} is NaN: the network returns values that are no numbers. {advice}"
        )
