"""Files that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A file that appears at once, when the ``with`` block has ended without an error.

    The block writes a file of the yielded name, by whatever means; a kill or a full disk at any
    moment leaves the old file, or none. Works for a folder too, where there is no old one.

    Args:
        path: Target file. One process at a time may write it.

    Yields:
        Name beside the target, with its suffix and hidden from ``glob('*')``. Nothing has it yet:
        what a killed process left there is removed.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    _remove(partial)
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
