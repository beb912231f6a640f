"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A file that appears at once, when the ``with`` block has ended without an error.

    The block writes a file of the yielded name, by whatever means; a kill or a full disk at any
    moment leaves the old file, or none. Works for folders too, where there is no old one.

    Args:
        path: Target file.

    Yields:
        Name beside the target, with its suffix and hidden from ``glob('*')``.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        if partial.is_file():
            partial.unlink()


def _flush(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
