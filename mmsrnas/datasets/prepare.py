"""Makes LR images and patches: the work of the converters.

An output belongs to its exact input and parameters: their fingerprint stands in a text chunk of the
PNG, which appears together with the pixels.  What has another fingerprint is made again; a file
without one was not made here and is never overwritten.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.utils import ProgressBar
from PIL import Image, PngImagePlugin

from mmsrnas.files import atomic_write

from .image_io import IMAGE_SUFFIXES, MAX_PIXELS, image_size, printable, read_image
from .resize import imresize, mod_crop

__all__ = [
    "extract_sub_images",
    "list_images",
    "provide_lr_images",
    "write_lr_images",
    "write_pairs",
]

CHUNK = "mmsrnas"  # keyword of the text chunk that holds the fingerprint
VERSION = 1  # of the conversion: increase it when the same input gives other pixels
GRID = 24  # patches start at its multiples, which all of the scales 2, 3, 4 and 8 divide


def list_images(folder: str | Path) -> list[Path]:
    """The images of a folder, sorted by name.

    Raises:
        FileNotFoundError: The folder does not exist or holds no image.
        ValueError: A name is not UTF-8, a file is none, or two images differ only in their ending,
            so that their results would collide.
    """
    images, _, refused = _scan(Path(folder))
    if refused:
        raise ValueError("; ".join(refused))
    return images


def write_pairs(
    images: str | Path,
    out: str | Path,
    scales: Sequence[int],
    layout: str = "papers",
    jobs: int = 1,
    max_pixels: int = MAX_PIXELS,
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
        max_pixels: Larger images are refused.

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
    _convert_all(Path(images), Path(out), targets, jobs, max_pixels)


def write_lr_images(
    hr_folder: str | Path,
    lr_folder: str | Path,
    scale: int,
    jobs: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Writes ``NAMEx2.png`` (for scale 2) into ``lr_folder`` for every image of ``hr_folder``.

    Args:
        hr_folder: Folder of HR images.
        lr_folder: Folder of the LR images.
        scale: HR size divided by LR size.
        jobs: Number of processes.
        max_pixels: Larger images are refused.

    Raises:
        FileNotFoundError: There are no HR images.
        ValueError: Images cannot be read or are smaller than the scale; all of them are named.
    """
    targets = [(f"{{name}}x{scale}.png", scale, scale)]
    _convert_all(Path(hr_folder), Path(lr_folder), targets, jobs, max_pixels)


def provide_lr_images(
    hr_folder: str | Path, lr_folder: str | Path, scale: int, jobs: int = 1
) -> None:
    """Checks the LR images that were downloaded, or makes them if there are none.

    Args:
        hr_folder: Folder of HR images.
        lr_folder: Folder of the LR images.
        scale: HR size divided by LR size.
        jobs: Number of processes.

    Raises:
        ValueError: A downloaded LR image is absent or has a wrong size; or as ``write_lr_images``.
    """
    lr_folder = Path(lr_folder)
    files = lr_folder.iterdir() if lr_folder.is_dir() else ()
    if all(_fingerprint_in(path) for path in files if _is_image(path.name)):
        write_lr_images(hr_folder, lr_folder, scale, jobs)
        return
    complaints = []
    for hr_path in list_images(hr_folder):
        path = lr_folder / f"{hr_path.stem}x{scale}{hr_path.suffix}"
        if not path.is_file():
            complaints.append(f"{path} is missing")
            continue
        expected = tuple(length // scale for length in image_size(hr_path))
        if image_size(path) != expected:
            complaints.append(f"{path} has not the size {expected[0]}x{expected[1]}")
    _report(complaints)


def extract_sub_images(
    hr_folder: str | Path,
    lr_folder: str | Path,
    scale: int,
    size: int,
    step: int,
    jobs: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Cuts pairs into overlapping patches, which load faster than whole images.

    ``0001.png`` and ``0001x2.png`` become ``0001_s001.png`` ... in both ``<hr_folder>_sub`` and
    ``<lr_folder>_sub``, the names of mmagic.  Patches start at multiples of 24 HR pixels, so that
    one folder of HR patches serves every scale; up to 23 pixels at the lower and right borders
    lie in no patch.

    Args:
        hr_folder: Folder of HR images.
        lr_folder: Folder of their LR images.
        scale: HR size divided by LR size.
        size: Size of the HR patches in pixels.
        step: Distance between them.
        jobs: Number of processes.
        max_pixels: Larger images are refused.

    Raises:
        ValueError: ``size`` or ``step`` is no multiple of 24, ``scale`` does not divide 24, or
            images cannot be read or are smaller than a patch; all of them are named.
    """
    if GRID % scale or size % GRID or step % GRID or min(size, step) <= 0:
        raise ValueError(
            f"size={size} and step={step} must be multiples of {GRID}, and scale={scale} must "
            f"divide {GRID}: so one folder of HR patches serves every scale"
        )
    hr_folder, lr_folder = Path(hr_folder), Path(lr_folder)
    outs = [folder.with_name(folder.name + "_sub") for folder in (hr_folder, lr_folder)]
    for out in outs:
        out.mkdir(parents=True, exist_ok=True)
    images, left_out, refused = _scan(hr_folder)
    pairs = [(path, lr_folder / f"{path.stem}x{scale}{path.suffix}") for path in images]
    cut = partial(_cut, outs=outs, scale=scale, size=size, step=step, max_pixels=max_pixels)
    _report(refused + _run(cut, pairs, jobs), left_out)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _scan(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Images of a folder; what is left out and why; what would be an image but is refused."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {printable(folder)}")
    images, left_out, refused = [], [], []
    for root, folders, files in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if (Path(root) / name).is_symlink()]
        left_out += [f"{printable(Path(root) / name)} is a linked folder" for name in linked]
        for path in (Path(root) / name for name in sorted(files)):
            shown = printable(path)
            if Path(root) != folder:
                left_out.append(f"{shown} lies in a subfolder")
            elif not _is_image(path.name):
                left_out.append(f"{shown} is hidden or none of {', '.join(IMAGE_SUFFIXES)}")
            elif shown != str(path):
                refused.append(f"{shown}: the name is not UTF-8; rename the file")
            elif not path.is_file():
                refused.append(f"{shown} is no file, or a link to none")
            else:
                images.append(path)
    if not images:
        others = "; ".join(refused + left_out[:3])
        raise FileNotFoundError(f"no image in {printable(folder)}{others and f' ({others})'}")
    twice = [stem for stem, n in Counter(path.stem for path in images).items() if n > 1]
    if twice:
        raise ValueError(f"{folder} has several images named {', '.join(twice[:3])}")
    return images, left_out, refused


def _convert_all(
    folder: Path, out: Path, targets: list[tuple[str, int, int]], jobs: int, max_pixels: int
) -> None:
    images, left_out, refused = _scan(folder)
    for template, _, _ in targets:
        (out / template).parent.mkdir(parents=True, exist_ok=True)
    convert = partial(_convert, out=out, targets=targets, max_pixels=max_pixels)
    complaints = refused + _run(convert, [(path,) for path in images], jobs)
    _report(complaints, left_out + _left_over(images, out, targets))


def _report(complaints: list[str], left_out: Sequence[str] = ()) -> None:
    """Names every file of the input that did not become an output."""
    for line in left_out:
        print(f"Left out: {line}")
    if complaints:
        raise ValueError(f"{len(complaints)} images cannot be used: " + "; ".join(complaints))


def _left_over(images: list[Path], out: Path, targets: list[tuple[str, int, int]]) -> list[str]:
    """Outputs of earlier runs whose image is gone."""
    expected = {
        out / template.format(name=path.stem) for template, _, _ in targets for path in images
    }
    folders = {(out / template).parent for template, _, _ in targets}
    others = sorted(path for folder in folders for path in folder.iterdir() if path not in expected)
    return [
        f"{printable(path)} was made from an image that is gone; delete it"
        for path in others
        if _is_image(path.name) and _fingerprint_in(path)
    ]


def _run(
    function: Callable[[Any], str | None], tasks: list[tuple[Path, ...]], jobs: int
) -> list[str]:
    """Runs the tasks with a progress bar; what they return are complaints."""
    results: list[str | None] = []
    bar = ProgressBar(len(tasks))
    if jobs <= 1:
        for task in tasks:
            results.append(function(task))
            bar.update()
    else:
        with ProcessPoolExecutor(min(jobs, len(tasks))) as pool:
            waiting, running = iter(tasks), {}
            while True:
                while len(running) < jobs and (task := next(waiting, None)):
                    running[pool.submit(function, task)] = task
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                try:
                    results += [future.result() for future in done]
                except BrokenProcessPool as error:
                    names = ", ".join(printable(task[0]) for task in running.values())
                    raise RuntimeError(
                        f"A process died while it converted one of {names}; is there enough "
                        "memory?  What is finished stays: run the command again, with --jobs 1 if "
                        "memory is short."
                    ) from error
                for future in done:
                    del running[future]
                    bar.update()
    print()
    return [complaint for complaint in results if complaint]


def _convert(
    task: tuple[Path], out: Path, targets: list[tuple[str, int, int]], max_pixels: int
) -> str | None:
    """Writes the images of one HR image that are absent or belong to another one."""
    (path,) = task
    try:
        content = _digest(path)
    except OSError as error:
        return f"cannot read image {path}: {error.strerror}"
    todo = []
    for template, mod, scale in targets:
        target = out / template.format(name=path.stem)
        fingerprint = _fingerprint(content, f"mod={mod} scale={scale}")
        must_write = _must_write(target, fingerprint, path)
        if isinstance(must_write, str):
            return must_write
        if must_write:
            todo.append((target, mod, scale, fingerprint))
    if not todo:
        return None
    try:
        image = read_image(path, max_pixels=max_pixels)
    except ValueError as error:
        return str(error)
    for target, mod, scale, fingerprint in todo:
        cropped = mod_crop(image, mod)
        if cropped.size == 0:
            return f"{path} is smaller than {mod} pixels"
        _write(target, cropped if scale == 1 else imresize(cropped, 1 / scale), fingerprint)
    return None


def _cut(
    task: tuple[Path, Path], outs: list[Path], scale: int, size: int, step: int, max_pixels: int
) -> str | None:
    """Writes the patches of one pair."""
    hr_path, lr_path = task
    try:
        hr, lr = (read_image(path, max_pixels=max_pixels) for path in task)
    except ValueError as error:
        return str(error)
    if tuple(length // scale for length in hr.shape[:2]) != lr.shape[:2]:
        return f"{hr_path} is not {scale} times {lr_path}"
    if min(hr.shape[:2]) < size:
        return f"{hr_path} is smaller than {size} pixels"
    corners = [
        (y, x) for y in _starts(hr.shape[0], size, step) for x in _starts(hr.shape[1], size, step)
    ]
    for path, image, out, shrink in ((hr_path, hr, outs[0], 1), (lr_path, lr, outs[1], scale)):
        fingerprint = _fingerprint(_digest(path), f"size={size} step={step} shrink={shrink}")
        for i, (y, x) in enumerate(corners, 1):
            target = out / f"{hr_path.stem}_s{i:03}.png"
            must_write = _must_write(target, fingerprint, path)
            if isinstance(must_write, str):
                return must_write
            if must_write:
                y0, x0, side = y // shrink, x // shrink, size // shrink
                _write(target, image[y0 : y0 + side, x0 : x0 + side], fingerprint)
        _remove_patches_behind(len(corners), out, hr_path.stem)
    return None


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where the patches of one axis begin; together they cover it, but for a rest of the grid."""
    starts = list(range(0, length - size + 1, step))
    last = (length - size) // GRID * GRID
    return starts if starts[-1] == last else [*starts, last]


def _remove_patches_behind(count: int, out: Path, stem: str) -> None:
    """Removes the further patches that a larger image of this name had."""
    number = count + 1
    while _fingerprint_in(path := out / f"{stem}_s{number:03}.png"):
        path.unlink()
        number += 1


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fingerprint(content: str, parameters: str) -> str:
    text = f"{VERSION} {content} {parameters}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _fingerprint_in(path: Path) -> str | None:
    """Fingerprint of an output; None for a file that was not made here."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get(CHUNK)
    except (OSError, ValueError, SyntaxError):
        return None


def _must_write(target: Path, fingerprint: str, source: Path) -> bool | str:
    """Whether an output is absent or outdated; a complaint if it was not made here."""
    if not target.exists():
        return True
    if target.samefile(source):  # HR images that already lie where HR images belong
        return False
    found = _fingerprint_in(target)
    if found is None:
        return f"{target} was not made by this converter; move it away"
    return found != fingerprint


def _write(path: Path, image: np.ndarray, fingerprint: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text(CHUNK, fingerprint)
    with atomic_write(path) as part:
        Image.fromarray(image).save(part, "PNG", pnginfo=info, compress_level=3)
