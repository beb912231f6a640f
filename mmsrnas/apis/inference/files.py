"""Restoration of many files: folders, patterns and videos."""

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from mmsrnas.datasets.image_io import IMAGE_SUFFIXES, printable
from mmsrnas.files import atomic_write

from .pictures import check_format, read_picture, write_picture
from .restorer import Restorer

__all__ = ["EXISTING", "VIDEO_SUFFIXES", "Outcome", "Plan", "plan_files", "restore_files"]

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
EXISTING = ("refuse", "skip", "overwrite")


@dataclass(frozen=True)
class Plan:
    """What is to be restored, with everything checked that can be checked before.

    Attributes:
        pairs: Source and target of each file.
        kept: Targets that are there already, and stay.
    """

    pairs: list[tuple[Path, Path]]
    kept: list[Path] = field(default_factory=list)


@dataclass
class Outcome:
    """What came of a restoration of many files.

    Attributes:
        done: Files that were written.
        kept: Files that were there already, and stayed.
        failed: Message by source that could not be restored.
        notes: Messages by source about what was changed in reading.
        tiling: How tiles overlap, where an image needed any.
        runtime: What ran the network, and why not a faster one.
    """

    done: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    notes: dict[Path, str] = field(default_factory=dict)
    tiling: str | None = None
    runtime: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON-serialisable data."""
        return {
            "done": [str(path) for path in self.done],
            "kept": [str(path) for path in self.kept],
            "failed": {str(path): message for path, message in self.failed.items()},
            "notes": {str(path): message for path, message in self.notes.items()},
            "tiling": self.tiling,
            "runtime": self.runtime,
        }


def plan_files(
    source: str | Path, out: str | Path, suffix: str | None = None, existing: str = "refuse"
) -> Plan:
    """Says which file becomes which, and finds out whether they can be written.

    Args:
        source: A picture, a video, a folder (with its subfolders), or a pattern such as
            ``'shots/*.png'``.
        out: Target file, or folder where there are several sources.
        suffix: Ending of the targets, e.g. ``'.png'``; that of each source if None.
        existing: What happens to targets that are there: ``'refuse'``, ``'skip'`` or
            ``'overwrite'``.

    Raises:
        FileNotFoundError: There is no such source.
        FileExistsError: Targets are there already, or are sources.
        PermissionError: The target folder cannot be written.
        ValueError: Two sources have one target, or a target has an ending that is not written.
    """
    if existing not in EXISTING:
        raise ValueError(f"existing: expected one of {', '.join(EXISTING)}, got {existing!r}.")
    out = Path(out)
    sources = dict(_sources(str(source)))
    single = len(sources) == 1 and Path(source).is_file()
    if single and out.suffix and not out.is_dir():
        pairs = [(next(iter(sources)), out)]
    else:
        _require_folder(out)
        ending = {path: suffix or path.suffix for path in sources}
        pairs = [(path, out / name.with_suffix(ending[path])) for path, name in sources.items()]
    targets = [target for _, target in pairs]
    if twice := [str(target) for target, count in Counter(targets).items() if count > 1]:
        raise ValueError(f"OUT: several images would become {', '.join(twice[:3])}; rename one.")
    for path, target in pairs:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            check_format(target.suffix, path=target)
    taken = {path.resolve() for path in sources}
    if own := [str(target) for target in targets if target.resolve() in taken]:
        raise FileExistsError(f"OUT: {own[0]} is one of the images that are read; choose another.")
    there = [target for target in targets if target.exists()]
    if there and existing == "refuse":
        raise FileExistsError(
            f"OUT: {len(there)} of {len(targets)} files are there already, first {there[0]}. Let "
            "them be with --existing skip, or replace them with --existing overwrite."
        )
    for folder in sorted({target.parent for target in targets}):
        _require_writable(folder)
    if existing == "skip":
        pairs = [(path, target) for path, target in pairs if not target.exists()]
        return Plan(pairs, there)
    return Plan(pairs)


def _sources(source: str) -> Iterator[tuple[Path, Path]]:
    """Files, and the name that each has below the target folder."""
    endings = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    path = Path(source)
    if path.is_file():
        yield path, Path(path.name)
        return
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = {file: file.relative_to(path) for file in files}
    else:
        files = sorted(map(Path, glob.glob(source, recursive=True)))
        names = {file: Path(file.name) for file in files if file.is_file()}
    found = [(file, name) for file, name in names.items() if name.suffix.lower() in endings]
    if not found:
        kind = "folder has" if path.is_dir() else "file or pattern matches"
        raise FileNotFoundError(
            f"IN: '{printable(source)}': the {kind} no image or video; known endings are "
            f"{', '.join(endings)}."
        )
    yield from found


def _require_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"OUT: '{out}' is a file; several images need a folder.")


def _require_writable(folder: Path) -> None:
    """Makes a folder, and a file in it for a moment."""
    probe = folder / f".mmsrnas-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"OUT: nothing can be written to '{folder}': {error.strerror}."
        ) from None


def restore_files(restorer: Restorer, plan: Plan, progress: bool = True) -> Outcome:
    """Restores files one after the other; a broken one does not stop the others.

    Args:
        restorer: The network.
        plan: What becomes what.
        progress: Show a bar with the time that is left.

    Returns:
        What was written, and what could not be restored.
    """
    outcome = Outcome(kept=plan.kept, runtime=str(restorer.model))
    sizes = {source: _pixels_of(source) for source, _ in plan.pairs}
    total = sum(sizes.values()) / 1e6
    with tqdm(total=round(total, 2), unit="MP", disable=not progress, smoothing=0.1) as bar:
        for source, target in plan.pairs:
            bar.set_postfix_str(source.name[:30], refresh=False)
            before = bar.n
            try:
                note = _restore_file(restorer, source, target, bar)
            except (OSError, ValueError, RuntimeError, MemoryError) as error:
                outcome.failed[source] = str(error) or type(error).__name__
            else:
                outcome.done.append(target)
                if note:
                    outcome.notes[source] = note
            bar.update(round(before + sizes[source] / 1e6 - bar.n, 6))
    if "halo" in vars(restorer):
        outcome.tiling = str(restorer.halo)
    return outcome


def _pixels_of(source: Path) -> int:
    """Pixels of a picture or of all frames of a video; 0 where the header cannot be read."""
    if source.suffix.lower() in VIDEO_SUFFIXES:
        video = cv2.VideoCapture(str(source))
        sides = (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        return max(0, int(np.prod([video.get(side) for side in sides])))
    from PIL import Image

    try:
        with Image.open(source) as image:
            return image.width * image.height
    except Exception:  # what is wrong is said when the picture is read
        return 0


def _restore_file(restorer: Restorer, source: Path, target: Path, bar: Any) -> str:
    def advance(pixels: int) -> None:
        bar.update(pixels / 1e6)

    if source.suffix.lower() in VIDEO_SUFFIXES:
        _restore_video(restorer, source, target, advance)
        return ""
    picture = read_picture(source)
    check_format(target.suffix, picture.alpha is not None, target)
    write_picture(restorer.picture(picture, advance), target)
    return "; ".join(picture.notes)


def _restore_video(restorer: Restorer, source: Path, target: Path, advance: Any) -> None:
    """Restores the frames of a video; sound is not carried over."""
    video = cv2.VideoCapture(str(source))
    if not video.isOpened():
        raise ValueError(f"cannot read video {source}: OpenCV does not decode it")
    rate, scale = video.get(cv2.CAP_PROP_FPS) or 25.0, restorer.model.upscale_factor
    size = tuple(
        int(video.get(side)) * scale
        for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    code = cv2.VideoWriter.fourcc(*("mp4v" if target.suffix.lower() != ".avi" else "MJPG"))
    with atomic_write(target) as part:
        writer = cv2.VideoWriter(str(part), code, rate, size)
        if not writer.isOpened():
            raise ValueError(
                f"{target}: OpenCV has no encoder for {target.suffix}; take .mp4 or .avi"
            )
        frames = 0
        while True:
            read, frame = video.read()
            if not read:
                break
            writer.write(np.ascontiguousarray(restorer(frame[..., ::-1])[..., ::-1]))
            advance(frame.shape[0] * frame.shape[1])
            frames += 1
        writer.release()
        if not frames:
            raise ValueError(f"cannot read video {source}: it has no frame")
