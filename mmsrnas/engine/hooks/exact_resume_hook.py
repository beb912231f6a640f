"""What mmengine's resume leaves out."""

import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner

from mmsrnas.engine.supernet import is_training
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
    * a ``last_checkpoint`` that names a whole file, whenever the run was killed.

    Exact on the same machine with the same seed, one process and deterministic kernels. With
    several processes (DDP) the random states are not saved: use worker processes there.

    Raises:
        TypeError: The training loop is not iteration-based.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._before_val: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None
        self._validate_from: dict[str, Any] | None = None

    def before_run(self, runner: Runner) -> None:
        """Looks after the checkpoint that a resume would read."""
        if not is_training(runner):
            return
        self._seed = runner.seed  # of the training data, which a resume does not build again
        if is_main_process():
            repair_last_checkpoint(runner.work_dir)
        barrier()

    def before_train(self, runner: Runner) -> None:
        """Plans the return of the random state where a run is resumed."""
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            raise TypeError(
                "ExactResumeHook: train_cfg needs an IterBasedTrainLoop, "
                f"got {type(runner.train_loop).__name__}; remove the hook."
            )
        if any(isinstance(h, CheckpointHook) and h.max_keep_ckpts == 1 for h in runner.hooks):
            runner.logger.warning(
                "default_hooks.checkpoint.max_keep_ckpts=1 deletes the only checkpoint before the "
                "next one is written: a run that is killed then starts over. Keep 2."
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
        loop = runner.train_loop
        loop.dataloader_iterator = _ResumedBatches(loop.dataloader_iterator, runner.iter, resumed)
        if not resumed["validated"]:
            self._validate_from = resumed

    def before_train_epoch(self, runner: Runner) -> None:
        """Runs the validation that the checkpoint did not wait for, if one was due."""
        state, self._validate_from = self._validate_from, None
        loop = runner.train_loop
        due = loop.iter >= loop.val_begin and (
            loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        )
        if state and due and runner.val_loop is not None:
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):  # which adds a best score to this file
                    hook.last_ckpt = runner.message_hub.get_info("last_ckpt")
            _set_random_state(state)
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Notes the random state."""
        self._before_val = _random_state()

    def after_val(self, runner: Runner) -> None:
        """Puts the random state back."""
        _set_random_state(self._before_val)
        self._before_val = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves the random state."""
        if not is_distributed():
            state = self._before_val or _random_state()
            validated = self._before_val is not None
            checkpoint["random_state"] = state | {"seed": runner.seed, "validated": validated}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the random state until training starts; it only applies to a resumed run."""
        self._resumed = checkpoint.get("random_state")


def repair_last_checkpoint(work_dir: str | Path) -> None:
    """Makes ``last_checkpoint`` name the newest whole checkpoint.

    mmengine writes checkpoints, and that pointer to the last one, in place: a run that is killed
    may leave either of them empty or cut off. Nothing changes where the pointer is right.

    Args:
        work_dir: Folder of the run.
    """
    pointer = Path(work_dir) / "last_checkpoint"
    if not pointer.is_file():
        return
    last = pointer.read_text().strip()
    if last and _is_whole(Path(last)):
        return
    steps = [path for path in pointer.parent.glob("*_*.pth") if _step(path) is not None]
    whole = (path for path in sorted(steps, key=_step, reverse=True) if _is_whole(path))
    newest = next(whole, None)
    found = f"continuing from '{newest}'" if newest else "none is left, starting over"
    print_log(f"'{pointer}' names no whole checkpoint ('{last}'): {found}.", "current", 30)
    if newest is None:
        pointer.unlink()
        return
    partial = pointer.with_suffix(".part")
    partial.write_text(str(newest))
    partial.replace(pointer)


def _step(checkpoint: Path) -> int | None:
    """The number in ``iter_100.pth`` or ``epoch_3.pth``."""
    kind, _, step = checkpoint.stem.rpartition("_")
    return int(step) if kind in ("iter", "epoch") and step.isdigit() else None


def _is_whole(checkpoint: Path) -> bool:
    """Reads the whole archive against its checksums."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


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
    kind, keys, *rest = np.random.get_state()
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
