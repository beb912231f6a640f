"""Data workers that leave signals to the process that started them."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

__all__ = ["leaving_signals_to_parent"]

Init = Callable[[int], None]


def leaving_signals_to_parent(init: Init | None) -> Init:
    """What a data worker does first, so that it outlives a signal to all processes of a job.

    The parent may need its batches until it has saved a checkpoint. A SIGTERM of the parent itself
    ends the worker, and so does the end of the parent.

    Args:
        init: What the worker is to do besides, if anything.

    Returns:
        A ``worker_init_fn`` of a dataloader.
    """
    return partial(_start, init)


def _start(init: Init | None, worker: int) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if init:
        init(worker)


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
