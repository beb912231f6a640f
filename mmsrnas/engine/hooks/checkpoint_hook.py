"""Checkpoints that are never lost."""

import os
import shutil
import signal
import threading
from collections import deque
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from mmengine.dist import all_reduce, barrier, is_distributed, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as StockCheckpointHook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmsrnas.engine.plain_checkpoint import make_plain
from mmsrnas.engine.supernet import is_training, unwrap
from mmsrnas.engine.workers import leaving_signals_to_parent
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype
from mmsrnas.registry import HOOKS

__all__ = ["RESUME_ME", "CheckpointHook"]

# EX_TEMPFAIL of sysexits.h: try again.
RESUME_ME = 75
# The second is what Slurm sends before a time limit, with `--signal=USR1@SECONDS`.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# Processes of a distributed run agree on whether one of them was told to stop.
AGREE_INTERVAL = 10


class AtomicBackend(LocalBackend):
    """Local files that are written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes to a file.

        Args:
            obj: Content.
            filepath: Target.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_write(path) as partial:
                partial.write_bytes(obj)
        except OSError as error:
            free = shutil.disk_usage(path.parent).free
            raise OSError(
                error.errno,
                f"checkpoint '{path}' of {len(obj) / 1e6:.1f} MB cannot be written "
                f"({free / 1e6:.1f} MB are free): {error.strerror}. What was saved before is "
                "whole: make space, then continue with --resume",
            ) from error


register_backend("atomic", AtomicBackend)


@HOOKS.register_module()
class CheckpointHook(StockCheckpointHook):
    """mmengine's hook, of the same arguments, that loses nothing.

    * Files are written whole or not at all, and an old one goes when the new one is on the disk.
    * A run that is stopped early, or by SIGTERM or SIGUSR1, saves a checkpoint at the end of its
      iteration; a signal then ends the process with status 75, "resume me", in a run by iterations.
    * ``meta.genotype`` of a file is the genotype of the generator, where it has one.
    * A file consists of tensors and plain values only.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.backend_args is None and "://" not in str(self.out_dir or ""):
            self.backend_args = {"backend": "atomic"}
        self._last_step: int | None = None
        self._told_to_stop = 0
        self._previous_handlers: dict[int, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Makes the workers of the validation leave signals to this process."""
        loop: Any = runner._val_loop if is_training(runner) else None
        for loader in getattr(loop, "dataloaders", None) or [getattr(loop, "dataloader", None)]:
            if loader is not None:
                loader.worker_init_fn = leaving_signals_to_parent(loader.worker_init_fn)

    def before_train(self, runner: Runner) -> None:
        """Starts to listen for signals, which a run by epochs leaves to the process."""
        super().before_train(runner)
        if threading.current_thread() is threading.main_thread() and not self.by_epoch:
            self._pid = os.getpid()
            self._previous_handlers = {
                number: signal.signal(number, self._on_signal) for number in SIGNALS
            }

    def after_run(self, runner: Runner) -> None:
        """Stops listening."""
        self._stop_listening()

    def _stop_listening(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._pid:
            self._told_to_stop = number
            self._stop_listening()  # a second signal ends the process at once
        elif number == signal.SIGTERM:  # a process that inherited the handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Saves when it is time, and when the run ends here."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if self.by_epoch:
            return
        told = self._must_stop(runner.iter + 1)
        if not (told or cast(IterBasedTrainLoop, runner.train_loop).stop_training):
            return
        if self._last_step != runner.iter + 1:
            self._save_checkpoint(runner)
        if told:
            runner.logger.warning(
                f"{signal.Signals(told).name}: the run ends after iteration {runner.iter + 1}, "
                f"which is saved as '{self.last_ckpt}'. Continue with --resume."
            )
            _leave_together()
            raise SystemExit(RESUME_ME)

    def _must_stop(self, step: int) -> int:
        """Number of the signal that one of the processes got; 0 where none did."""
        if not is_distributed():
            return self._told_to_stop
        if step % AGREE_INTERVAL:
            return 0
        told = torch.tensor(float(self._told_to_stop))
        all_reduce(told, op="max")
        return int(told)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the genotype, and makes the state of the run plain."""
        genotype = getattr(getattr(unwrap(runner.model), "generator", None), "genotype", None)
        if isinstance(genotype, Genotype):
            checkpoint["meta"]["genotype"] = genotype.to_dict()
        for key in ("message_hub", "param_schedulers"):
            if key in checkpoint:
                checkpoint[key] = make_plain(checkpoint[key])

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Saves first, then removes what is too old."""
        dropped: list[int] = []
        if self.max_keep_ckpts > 0:
            steps = [old for old in self.keep_ckpt_ids if old != step] + [step]
            dropped, kept = steps[: -self.max_keep_ckpts], steps[-self.max_keep_ckpts :]
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info("keep_ckpt_ids", kept)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._last_step = step
        if is_main_process():
            with atomic_write(Path(runner.work_dir) / "last_checkpoint") as pointer:
                pointer.write_text(self.last_ckpt)
            for old in dropped:
                self._remove(self.file_backend.join_path(self.out_dir, self._name(old)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Saves a better checkpoint, and removes the old best one afterwards."""
        if not self.save_best:
            return
        old = self._best()
        self._set_best(dict.fromkeys(old))  # or the stock hook would remove them first
        super()._save_best_checkpoint(runner, metrics)
        new = self._best()
        self._set_best({key: new.get(key) or path for key, path in old.items()})
        for key, path in old.items():
            if path and new.get(key) and new[key] != path and is_main_process():
                self._remove(path)
                runner.logger.info(f"The previous best checkpoint {path} is removed")

    def _best(self) -> dict[str | None, str | None]:
        if len(self.key_indicators) == 1:
            return {None: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str | None, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[None]
        else:
            self.best_ckpt_path_dict = paths

    def _name(self, step: int) -> str:
        return self.filename_tmpl.format(step)

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)


def _leave_together() -> None:
    """Waits for the process that saves: launchers end all others when the first one leaves."""
    if is_distributed():
        barrier()
        for number in SIGNALS:  # the launcher's: the status of all is that of this one
            signal.signal(number, signal.SIG_IGN)
