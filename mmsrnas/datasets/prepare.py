"""Makes LR images, unpacks archives and extracts sub-images: the work of the converters."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmagic.datasets.basic_image_dataset import IMG_EXTENSIONS
from mmengine.utils import track_parallel_progress

from mmsrnas.files import atomic_write

from .resize import imresize, mod_crop

__all__ = ["extract_sub_images", "list_images", "obtain_folder", "write_lr_images", "write_pairs"]


def list_images(folder: str | Path) -> list[Path]:
    """The images of a folder, sorted by name.

    Raises:
        FileNotFoundError: The folder does not exist or holds no image.
        ValueError: Two images differ only in their suffix, so that their results would collide.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    images = sorted(path for path in folder.iterdir() if path.name.endswith(IMG_EXTENSIONS))
    if not images:
        raise FileNotFoundError(f"no image ({', '.join(IMG_EXTENSIONS)}) in {folder}")
    twice = [stem for stem, n in Counter(path.stem for path in images).items() if n > 1]
    if twice:
        raise ValueError(f"{folder} has several images named {', '.join(twice[:3])}")
    return images


def write_pairs(
    images: str | Path,
    out: str | Path,
    scales: Sequence[int],
    layout: str = "papers",
    jobs: int = 1,
) -> None:
    """Turns a folder of HR images into a paired data set.

    ``'papers'`` writes ``HR/NAME.png``, uncropped, and ``LR_bicubic/X2/NAMEx2.png`` made from HR
    cropped to a multiple of the scale: what published tables use.  ``'mmagic'`` writes
    ``GTmod12/NAME.png``, cropped to a multiple of 12, and ``LRbicx2/NAME.png``.

    Args:
        images: Folder of HR images.
        out: Folder of the data set.
        scales: Scales to write.
        layout: ``'papers'`` or ``'mmagic'``.
        jobs: Number of processes.

    Raises:
        FileNotFoundError: There are no images.
        ValueError: Images cannot be read or are smaller than a scale; all of them are named.
    """
    if layout == "papers":
        targets = [("HR/{name}.png", 1, 1)]
        targets += [(f"LR_bicubic/X{s}/{{name}}x{s}.png", s, s) for s in scales]
    else:
        targets = [("GTmod12/{name}.png", 12, 1)]
        targets += [(f"LRbicx{s}/{{name}}.png", 12, s) for s in scales]
    _convert_all(list_images(images), Path(out), targets, jobs)


def write_lr_images(
    hr_folder: str | Path, lr_folder: str | Path, scale: int, jobs: int = 1
) -> None:
    """Writes ``NAMEx2.png`` (for scale 2) into ``lr_folder`` for every image of ``hr_folder``.

    Args:
        hr_folder: Folder of HR images.
        lr_folder: Folder of the LR images.
        scale: HR size divided by LR size.
        jobs: Number of processes.

    Raises:
        FileNotFoundError: There are no HR images.
        ValueError: Images cannot be read or are smaller than the scale; all of them are named.
    """
    targets = [(f"{{name}}x{scale}.png", scale, scale)]
    _convert_all(list_images(hr_folder), Path(lr_folder), targets, jobs)


def extract_sub_images(
    hr_folder: str | Path, lr_folder: str | Path, scale: int, size: int, step: int, jobs: int = 1
) -> None:
    """Cuts pairs into overlapping squares, which load faster than whole images.

    ``0001.png`` and ``0001x2.png`` become ``0001_s001.png`` ... in both ``<hr_folder>_sub`` and
    ``<lr_folder>_sub``, the names of mmagic.

    Args:
        hr_folder: Folder of HR images.
        lr_folder: Folder of their LR images.
        scale: HR size divided by LR size.
        size: Size of the HR squares in pixels.
        step: Distance between them; the last one ends at the border of the image.
        jobs: Number of processes.

    Raises:
        ValueError: ``size`` or ``step`` is no multiple of ``scale``, or images cannot be read.
    """
    if size % scale or step % scale:
        raise ValueError(f"size={size} and step={step} must be multiples of scale={scale}")
    hr_folder, lr_folder = Path(hr_folder), Path(lr_folder)
    outs = [folder.with_name(folder.name + "_sub") for folder in (hr_folder, lr_folder)]
    for out in outs:
        out.mkdir(parents=True, exist_ok=True)
    tasks = [
        (path, lr_folder / f"{path.stem}x{scale}{path.suffix}", outs, scale, size, step)
        for path in list_images(hr_folder)
    ]
    _run(_extract, tasks, jobs)


def obtain_folder(name: str, archives: Iterable[str], downloads: str | Path, out: Path) -> bool:
    """Makes the downloaded folder ``name`` available as ``out/name``, by a link.

    It is searched in ``downloads``, and in the archives of ``downloads``, which are unpacked once
    into ``out/unpacked``.

    Args:
        name: Folder as it lies in the download, e.g. ``'DIV2K_train_LR_bicubic/X2'``.
        archives: File names of the archives that may hold it.
        downloads: Folder of archives, or of what they held.
        out: Folder of the data set.

    Returns:
        Whether the folder was found.
    """
    target = out / name
    if target.is_dir():
        return True
    downloads, unpacked = Path(downloads), out / "unpacked"
    source = _find(name, downloads)
    if source is None:
        for archive in archives:
            if (downloads / archive).is_file():
                _unpack(downloads / archive, unpacked)
        source = _find(name, unpacked)
    if source is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source.resolve(), target_is_directory=True)
    return True


def _find(name: str, root: Path) -> Path | None:
    """A folder at most two levels below ``root``: archives wrap what they hold."""
    candidates = [root / name, *root.glob(f"*/{name}"), *root.glob(f"*/*/{name}")]
    return next((path for path in candidates if path.is_dir()), None)


def _unpack(archive: Path, out: Path) -> None:
    target = out / archive.name  # with its suffix, which no folder inside has
    if target.is_dir():
        return
    print(f"Unpacking {archive} into {target}", flush=True)
    options = {} if archive.suffix == ".zip" else {"filter": "data"}
    with atomic_write(target) as part:
        shutil.unpack_archive(archive, part, **options)


def _convert_all(
    images: list[Path], out: Path, targets: list[tuple[str, int, int]], jobs: int
) -> None:
    for template, _, _ in targets:
        (out / template).parent.mkdir(parents=True, exist_ok=True)
    _run(_convert, [(path, out, targets) for path in images], jobs)


def _run(function: Callable[[tuple], str | None], tasks: list[tuple], jobs: int) -> None:
    """Runs the tasks with a progress bar; what they return are complaints."""
    complaints = [c for c in track_parallel_progress(function, tasks, jobs) if c]
    if complaints:
        raise ValueError(f"{len(complaints)} images cannot be used: " + "; ".join(complaints))


def _convert(task: tuple[Path, Path, list[tuple[str, int, int]]]) -> str | None:
    """Writes the images of one HR image that do not exist yet."""
    path, out, targets = task
    todo = [
        (target, mod, scale)
        for template, mod, scale in targets
        if not (target := out / template.format(name=path.stem)).exists()
    ]
    if not todo:
        return None
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        return f"{path} cannot be read"
    for target, mod, scale in todo:
        cropped = mod_crop(image, mod)
        if cropped.size == 0:
            return f"{path} is smaller than {mod} pixels"
        _write(target, cropped if scale == 1 else imresize(cropped, 1 / scale))
    return None


def _extract(task: tuple[Path, Path, list[Path], int, int, int]) -> str | None:
    """Writes the squares of one pair."""
    hr_path, lr_path, (hr_out, lr_out), scale, size, step = task
    hr, lr = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in (hr_path, lr_path))
    for path, image in ((hr_path, hr), (lr_path, lr)):
        if image is None:
            return f"{path} cannot be read"
    hr = mod_crop(hr, scale)
    if hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
        return f"{hr_path} is not {scale} times {lr_path}"
    if min(hr.shape[:2]) < size:
        return f"{hr_path} is smaller than {size} pixels"
    corners = [
        (y, x) for y in _starts(hr.shape[0], size, step) for x in _starts(hr.shape[1], size, step)
    ]
    for i, (y, x) in enumerate(corners, 1):
        name = f"{hr_path.stem}_s{i:03}.png"
        _write(hr_out / name, hr[y : y + size, x : x + size])
        y, x, part = y // scale, x // scale, size // scale
        _write(lr_out / name, lr[y : y + part, x : x + part])
    return None


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where the squares of one axis begin; together they cover it."""
    starts = list(range(0, length - size + 1, step))
    return starts if starts[-1] + size == length else [*starts, length - size]


def _write(path: Path, image: np.ndarray) -> None:
    """Writes a PNG at once, so that an interrupted run leaves no half image behind."""
    if path.exists():
        return
    with atomic_write(path) as part:
        part.write_bytes(cv2.imencode(".png", image)[1].tobytes())
