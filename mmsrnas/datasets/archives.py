"""Downloaded folders, from archives that may come from anybody."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mmsrnas.files import atomic_write

__all__ = ["obtain_folder"]

MAX_RATIO = 100  # images hardly shrink in an archive; what grows more is a bomb
MAX_MEMBERS = 10**6
DISK_RESERVE = 2**30  # bytes that stay free
Member = TypeVar("Member")
STAMP = ".mmsrnas_archive"  # notes from which archive a folder was unpacked


def obtain_folder(name: str, archives: Iterable[str], downloads: str | Path, out: Path) -> bool:
    """Makes the downloaded folder ``name`` available as ``out/name``, by a link.

    It is searched in ``downloads``, and in the archives of ``downloads``, which are unpacked into
    ``out/unpacked``: once, and again when an archive has changed.  A folder ``out/name`` that is no
    link is taken as it is.

    Args:
        name: Folder as it lies in the download, e.g. ``'DIV2K_train_LR_bicubic/X2'``.
        archives: File names of the archives that may hold it.
        downloads: Folder of archives, or of what they held.
        out: Folder of the data set.

    Returns:
        Whether the folder was found.

    Raises:
        ValueError: An archive is damaged, reaches out of its folder, or would fill the disk.
    """
    target = out / name
    if target.is_dir() and not target.is_symlink():
        return True
    downloads, unpacked = Path(downloads), out / "unpacked"
    source = _find(name, downloads, skip=(target, unpacked))
    if source is None:
        for archive in archives:
            if (downloads / archive).is_file():
                _unpack(downloads / archive, unpacked)
        source = _find(name, unpacked)
    if source is None:
        return target.is_dir()
    target.unlink(missing_ok=True)  # a link of an earlier run
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve(), target_is_directory=True)
    return True


def _find(name: str, root: Path, skip: tuple[Path, ...] = ()) -> Path | None:
    """A folder at most two levels below ``root``: archives wrap what they hold."""
    candidates = [root / name, *root.glob(f"*/{name}"), *root.glob(f"*/*/{name}")]
    return next(
        (p for p in candidates if p.is_dir() and not any(map(p.is_relative_to, skip))), None
    )


def _unpack(archive: Path, out: Path) -> None:
    target = out / archive.name  # with its suffix, which no folder inside has
    status = archive.stat()
    stamp = f"{status.st_size} {status.st_mtime_ns}"
    if (target / STAMP).is_file() and (target / STAMP).read_text() == stamp:
        return
    print(f"Unpacking {archive} into {target}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    limit = min(shutil.disk_usage(out).free - DISK_RESERVE, MAX_RATIO * status.st_size + 2**20)
    with atomic_write(target) as part:
        part.mkdir()
        try:
            _extract(archive, part, limit)
        except Exception as error:  # damaged archives raise errors of every kind
            raise ValueError(f"{archive} cannot be unpacked: {error}") from error
        (part / STAMP).write_text(stamp)


def _extract(archive: Path, folder: Path, limit: int) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            # The sizes bind: zipfile never writes more than the directory of the archive says.
            for member in _bounded(file.infolist(), lambda m: m.file_size, limit):
                _require_inside(member.filename)
                file.extract(member, folder)
    else:
        with tarfile.open(archive) as file:
            for member in _bounded(file, lambda m: m.size, limit):
                file.extract(member, folder, filter="data")  # refuses what reaches out


def _bounded(members: Iterable[Member], size: Callable[[Member], int], limit: int) -> Iterator:
    """The members of an archive, until they are too many or too large together."""
    total = 0
    for number, member in enumerate(members, 1):
        total += size(member)
        if total > limit or number > MAX_MEMBERS:
            raise ValueError(
                f"its contents need more than {limit / 2**20:.0f} MiB or {MAX_MEMBERS} files. That "
                "is more than images can need or the disk has; if you trust the archive, unpack it "
                "by hand."
            )
        yield member


def _require_inside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0]:
        raise ValueError(f"its member {name!r} reaches out of the folder")
