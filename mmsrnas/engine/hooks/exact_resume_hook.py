"""What mmengine's resume leaves out."""

from pathlib import Path
from typing import Any, cast

from mmengine.dist import (
    barrier,
    broadcast,
    get_rank,
    get_world_size,
    is_distributed,
    is_main_process,
)
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner

from mmsrnas.checkpoint import find_checkpoint
from mmsrnas.engine.batches import Stream, training_stream
from mmsrnas.engine.random_state import seed_from
from mmsrnas.engine.supernet import is_training, unwrap
from mmsrnas.files import atomic_write
from mmsrnas.registry import HOOKS

__all__ = ["ExactResumeHook", "repair_last_checkpoint"]

# What random numbers are for; those of samples have none of these.
ITERATION, VALIDATION = 1, 2


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes ``--resume`` continue to the very result of the uninterrupted run, within seconds.

    mmengine restores weights, optimizer and schedulers, and loads all batches of the past once
    more. With this hook

    * the position in the data is a number: the loop takes its batches from a
      :class:`~mmsrnas.engine.batches.BatchStream`, which loads nothing of the past. A sample draws
      its random numbers from the seed and its place in the data, so that worker processes, their
      number and whether they persist change nothing;
    * all other random numbers, those of dropout for instance, depend on the seed, the process and
      the iteration alone;
    * the validation that follows the iteration of the checkpoint, which mmengine saves first, is
      made up for;
    * ``last_checkpoint`` names a whole file of this work dir, whenever the run was killed and
      wherever its work dir was moved.

    Exact on the same machine with the same seed and deterministic kernels, with several processes
    (DDP), too. All processes validate with the buffers of the first one, which are those of the
    checkpoint. The seed is that of the checkpoint; where the number of images or the size of a
    batch differs, a warning says so.

    Raises:
        TypeError: The training loop is not iteration-based.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._validates = False
        self._resumed: dict[str, Any] | None = None
        self._to_validate = False

    def before_run(self, runner: Runner) -> None:
        """Repairs what names the checkpoint that a resume reads."""
        if not is_training(runner):
            return
        file = runner._load_from
        inside = file is None or Path(file).parent.resolve() == Path(runner.work_dir).resolve()
        if runner._resume and inside and is_main_process():
            repair_last_checkpoint(runner.work_dir)
        barrier()

    def before_train(self, runner: Runner) -> None:
        """Puts the data where the run is."""
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            raise TypeError(
                "ExactResumeHook: train_cfg needs an IterBasedTrainLoop, "
                f"got {type(runner.train_loop).__name__}; remove the hook."
            )
        loop = cast(Any, runner.train_loop)
        if not isinstance(loop.dataloader_iterator, Stream):
            loop.dataloader_iterator = training_stream(loop, runner._train_dataloader)
        resumed, self._resumed = self._resumed, None
        if runner.iter == 0:
            return
        loop.dataloader_iterator.skip(runner.iter)
        loop.dataloader_iterator = _WithoutReplay(loop.dataloader_iterator, runner.iter)
        if resumed:
            self._warn_of_changes(runner, resumed)
            self._to_validate = not resumed["validated"]

    def _warn_of_changes(self, runner: Runner, resumed: dict[str, Any]) -> None:
        for name, value in self._conditions(runner).items():
            if (old := resumed.get(name)) != value:
                runner.logger.warning(
                    f"The checkpoint was made with {old} {name}, this run has {value}: the order "
                    "of the images differs, and the end of the run with it."
                )

    def _conditions(self, runner: Runner) -> dict[str, int]:
        """What the order of the training data depends on."""
        loader = cast(IterBasedTrainLoop, runner.train_loop).dataloader
        return {
            "images": len(cast(Any, loader.dataset)),
            "images per iteration": (loader.batch_size or 0) * get_world_size(),
        }

    def before_train_epoch(self, runner: Runner) -> None:
        """Runs the validation that the checkpoint did not wait for, if one was due."""
        to_validate, self._to_validate = self._to_validate, False
        loop = cast(IterBasedTrainLoop, runner.train_loop)
        due = loop.iter >= loop.val_begin and (
            loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        )
        if to_validate and due and runner.val_loop is not None:
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):  # which adds a best score to this file
                    hook.last_ckpt = runner.message_hub.get_info("last_ckpt")
            runner.val_loop.run()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seeds the iteration."""
        seed_from(runner.seed, get_rank(), runner.iter, ITERATION)

    def before_val(self, runner: Runner) -> None:
        """Seeds the validation, and gives all processes the buffers of the first."""
        if is_training(runner):
            seed_from(runner.seed, get_rank(), runner.iter, VALIDATION)
            self._validates = True
        if is_distributed():
            for buffer in unwrap(runner.model).buffers():
                broadcast(buffer, src=0)

    def after_val(self, runner: Runner) -> None:
        """Notes that a checkpoint has no validation behind it any more."""
        self._validates = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves what the order of the data depends on, beside the iteration."""
        if is_training(runner):
            state = self._conditions(runner) | {"validated": self._validates}
            checkpoint["exact_resume"] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state until training starts; it only applies to a resumed run."""
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


class _WithoutReplay:
    """A stream behind whose past a loop asks for that past again, and gets nothing.

    Args:
        stream: The batches that follow.
        past: Number of batches that the loop asks for first.
    """

    def __init__(self, stream: Stream, past: int) -> None:
        self._stream = stream
        self._past = past

    def __next__(self) -> Any:
        if self._past:
            self._past -= 1
            return None
        return next(self._stream)

    def skip_iter(self, count: int) -> None:
        """Answers the loop of onedl-mmengine, which asks for its past in one call."""
        self._past -= count
