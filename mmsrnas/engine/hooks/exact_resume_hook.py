"""What mmengine's resume leaves out."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import barrier, broadcast, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner

from mmsrnas.checkpoint import find_checkpoint
from mmsrnas.engine.supernet import is_training, unwrap
from mmsrnas.files import atomic_write
from mmsrnas.registry import HOOKS

__all__ = ["ExactResumeHook", "repair_last_checkpoint"]


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes ``--resume`` continue to the very result of the uninterrupted run.

    mmengine restores weights, optimizer and schedulers, and fetches the training batches of the
    past once more, which puts samplers and worker processes where they were. This hook adds

    * the random state of the main process, which draws the augmentations when
      ``num_workers=0``: saved in the checkpoint, restored between the last batch of the past and
      the first new one; validation no longer changes it;
    * the validation that follows the iteration of the checkpoint, which mmengine saves first;
    * a ``last_checkpoint`` that names a whole file of this work dir, whenever the run was killed
      and wherever its work dir was moved.

    Exact on the same machine with the same seed and deterministic kernels. With several processes
    (DDP) the random states are not saved: use worker processes there. All processes validate with
    the buffers of the first one, which are those of the checkpoint.

    Raises:
        TypeError: The training loop is not iteration-based.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._before_val: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None
        self._validate_from: dict[str, Any] | None = None

    def before_run(self, runner: Runner) -> None:
        """Repairs what names the checkpoint that a resume reads."""
        if not is_training(runner):
            return
        self._seed = runner.seed  # of the training data, which a resume does not build again
        if runner._resume and runner._load_from is None and is_main_process():
            repair_last_checkpoint(runner.work_dir)
        barrier()

    def before_train(self, runner: Runner) -> None:
        """Plans the return of the random state where a run is resumed."""
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            raise TypeError(
                "ExactResumeHook: train_cfg needs an IterBasedTrainLoop, "
                f"got {type(runner.train_loop).__name__}; remove the hook."
            )
        resumed, self._resumed = self._resumed, None
        if not resumed or runner.iter == 0:
            return
        if resumed["seed"] != self._seed:
            runner.logger.warning(
                f"The checkpoint was made with seed {resumed['seed']}, the training data of this "
                f"run with {self._seed}: their order differs. For an exact resume set "
                f"randomness=dict(seed={resumed['seed']})."
            )
        loop: Any = runner.train_loop
        if resumed["state"]:
            loop.dataloader_iterator = _ResumedBatches(
                loop.dataloader_iterator, runner.iter, resumed["state"]
            )
        if not resumed["validated"]:
            self._validate_from = resumed

    def before_train_epoch(self, runner: Runner) -> None:
        """Runs the validation that the checkpoint did not wait for, if one was due."""
        resumed, self._validate_from = self._validate_from, None
        loop = cast(IterBasedTrainLoop, runner.train_loop)
        due = loop.iter >= loop.val_begin and (
            loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        )
        if resumed and due and runner.val_loop is not None:
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):  # which adds a best score to this file
                    hook.last_ckpt = runner.message_hub.get_info("last_ckpt")
            if resumed["state"]:
                _set_random_state(resumed["state"])
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Notes the random state, and gives all processes the buffers of the first."""
        self._before_val = _random_state()
        if is_distributed():
            for buffer in unwrap(runner.model).buffers():
                broadcast(buffer, src=0)

    def after_val(self, runner: Runner) -> None:
        """Puts the random state back."""
        _set_random_state(cast(dict, self._before_val))
        self._before_val = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves the random state."""
        state = None if is_distributed() else self._before_val or _random_state()
        validated = self._before_val is not None
        checkpoint["exact_resume"] = dict(state=state, seed=runner.seed, validated=validated)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the random state until training starts; it only applies to a resumed run."""
        self._resumed = checkpoint.get("exact_resume")


def repair_last_checkpoint(work_dir: str | Path) -> None:
    """Makes ``last_checkpoint`` name the newest whole checkpoint of a work dir.

    mmengine writes that file in place, with the path that the work dir had then. Where no whole
    checkpoint is left it is removed, so that the run starts over.

    Args:
        work_dir: Folder of the run.
    """
    pointer = Path(work_dir) / "last_checkpoint"
    if pointer.is_dir():
        pointer.rename(pointer.with_name("last_checkpoint.folder"))
    try:
        newest = find_checkpoint(work_dir)
    except FileNotFoundError as error:
        print_log(f"{error} The run starts over.", "current", 30)
        if pointer.is_file():
            pointer.unlink()
        return
    if not pointer.is_file() or pointer.read_bytes() != str(newest).encode():
        with atomic_write(pointer) as partial:
            partial.write_text(str(newest))


class _ResumedBatches:
    """The batches of a resumed loop: behind those of the past the random state is restored.

    Args:
        batches: All batches of the run.
        past: Number of batches before the checkpoint.
        state: Random state of the checkpoint.
    """

    def __init__(self, batches: Iterator[Any], past: int, state: dict[str, Any]) -> None:
        self._batches = batches
        self._past = past
        self._state = state

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._past == 0:
            _set_random_state(self._state)
        self._past -= 1
        return next(self._batches)

    def skip_iter(self, count: int) -> None:
        """Fetches batches of the past: onedl-mmengine asks its own iterator to skip them.

        That would skip the random numbers of the worker processes, too.
        """
        for _ in range(count):
            next(self)


def _random_state() -> dict[str, Any]:
    """The state of every generator of this process, in types that load safely."""
    state: Any = np.random.get_state()
    kind, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.cpu().numpy(), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"]:
        torch.cuda.set_rng_state_all([device.cpu() for device in state["cuda"]])
