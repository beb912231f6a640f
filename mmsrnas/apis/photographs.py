"""Own photographs as data of a search: looked at, split by photograph, cut into pairs."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from mmsrnas.datasets import imresize
from mmsrnas.datasets.image_io import IMAGE_SUFFIXES, printable, read_image
from mmsrnas.files import atomic_write

__all__ = ["PARTS", "Inspection", "inspect_photographs", "prepare_pairs", "split"]

PARTS = {"weights": 0.65, "architecture": 0.2, "test": 0.15}
"""Share of the photographs that train the weights, judge the architecture, and test."""
MIN_PHOTOGRAPHS = 6
CROP, TRAINING_CROP = 384, 192
CROPS_PER_PHOTOGRAPH, TRAINING_CROPS_PER_PHOTOGRAPH = 4, 16
"""Those that train are small, because each step loads a few of them whole."""
GRID = 24
NEAR = 4
"""Bits of 64 in which the fingerprints of near duplicates differ at most."""


@dataclass(frozen=True)
class Inspection:
    """What a folder of photographs is good for.

    Attributes:
        groups: Files by photograph: crops and near duplicates of one photograph belong together.
        broken: Message by file that cannot be used.
        sizes: Smallest and largest ``(height, width)``.
        gray: Number of files without colour.
    """

    groups: list[list[str]]
    broken: dict[str, str]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    gray: int

    @property
    def count(self) -> int:
        """Number of usable files."""
        return sum(map(len, self.groups))

    def to_dict(self) -> dict[str, Any]:
        """The inspection as JSON-serialisable data."""
        return asdict(self)

    def __str__(self) -> str:
        (low_h, low_w), (high_h, high_w) = self.sizes
        lines = [
            f"{self.count} images of {len(self.groups)} photographs, {low_w}x{low_h} to "
            f"{high_w}x{high_h} pixels, {self.gray} of them gray; {len(self.broken)} left out."
        ]
        return "\n".join([*lines, *(f"  {message}" for message in self.broken.values())])


def inspect_photographs(folder: str | Path, min_side: int, progress: bool = False) -> Inspection:
    """Reads every image of a folder, and finds out which ones show the same.

    Args:
        folder: Folder with images, also in its subfolders.
        min_side: Images with a shorter side are left out.
        progress: Show a bar.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: Fewer than six photographs can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"PHOTOS: no folder '{printable(folder)}'.")
    paths = sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
    )
    if not paths:
        raise FileNotFoundError(f"PHOTOS: no image in '{printable(folder)}'.")
    names, hashes, sizes, broken, gray = [], [], [], {}, 0
    for path in tqdm(paths, unit="image", disable=not progress):
        name = str(path.relative_to(folder))
        try:
            image = read_image(path)
        except ValueError as error:
            broken[name] = str(error)
            continue
        if min(image.shape[:2]) < min_side:
            height, width = image.shape[:2]
            broken[name] = f"{path}: {width}x{height} pixels, less than {min_side}"
            continue
        names.append(name)
        sizes.append((image.shape[0], image.shape[1]))
        hashes.append(_fingerprint(image))
        gray += not (image != image[..., :1]).any()
    groups = _group(names, np.array(hashes, np.uint64))
    if len(groups) < MIN_PHOTOGRAPHS:
        reasons = "".join(f"\n  {message}" for message in list(broken.values())[:5])
        raise ValueError(
            f"PHOTOS: {len(groups)} different photographs can be used in '{printable(folder)}'; a "
            f"search needs at least {MIN_PHOTOGRAPHS}, for {', '.join(PARTS)}.{reasons}"
        )
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    return Inspection(groups, broken, (by_area[0], by_area[-1]), gray)


def _fingerprint(image: np.ndarray) -> np.uint64:
    """64 bits that change little with size, brightness and compression: signs of gradients."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return np.uint64(int("".join("01"[int(bit)] for bit in bits), 2))


def _group(names: Sequence[str], hashes: np.ndarray) -> list[list[str]]:
    """Joins near duplicates, and crops that a number behind one name marks."""
    parent = list(range(len(names)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    stems = defaultdict(list)
    for i, name in enumerate(names):
        stems[re.sub(r"[-_ ]\d+$", "", str(Path(name).with_suffix("")))].append(i)
    # Numbers count crops where there are many names; in IMG_0001 they count photographs.
    if len(stems) >= max(MIN_PHOTOGRAPHS, len(names) / 20):
        for members in stems.values():
            for i in members[1:]:
                parent[root(i)] = root(members[0])
    for i in range(len(names) - 1):
        different = (hashes[i] ^ hashes[i + 1 :]).view(np.uint8).reshape(-1, 8)
        distance = np.unpackbits(different, axis=1).sum(axis=1)
        for j in np.flatnonzero(distance <= NEAR):
            parent[root(i + 1 + int(j))] = root(i)
    groups = defaultdict(list)
    for i, name in enumerate(names):
        groups[root(i)].append(name)
    return list(groups.values())


def split(groups: Sequence[Sequence[str]], seed: int = 0) -> dict[str, list[str]]:
    """Deals photographs out to the parts; no photograph is in two of them.

    Args:
        groups: Files by photograph.
        seed: Of the order.

    Returns:
        Files by part, at least one photograph in each.
    """
    order: list[Any] = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    ends = np.cumsum([share * len(order) for share in PARTS.values()]).round().astype(int)
    ends[-1] = len(order)
    ends[1] = min(ends[1], len(order) - 1)
    ends[0] = max(1, min(ends[0], ends[1] - 1))
    starts = [0, *ends[:-1]]
    return {
        part: sorted(name for group in order[start:end] for name in group)
        for part, start, end in zip(PARTS, starts, ends, strict=True)
    }


def prepare_pairs(
    folder: str | Path, parts: dict[str, list[str]], out: str | Path, scale: int
) -> dict[str, int]:
    """Cuts the photographs where they are rich in detail, and makes each crop small.

    Crops have at most 384 pixels a side, and a photograph gives at most four; for training 192 and
    16. ``out/PART/HR`` and, for scales above 1, ``out/PART/LR_bicubic/X2`` are written; what is
    there already is kept.

    Args:
        folder: Folder of the photographs.
        parts: Files by part.
        out: Target folder.
        scale: HR size divided by LR size.

    Returns:
        Number of crops by part.
    """
    done = Path(out) / "parts.json"
    wanted = {"scale": scale, "parts": parts}
    if done.is_file() and (stored := json.loads(done.read_text())).get("made_of") == wanted:
        return stored["crops"]
    counts = {}
    for part, names in parts.items():
        hr_folder, lr_folder = (Path(out) / part / sub for sub in ("HR", f"LR_bicubic/X{scale}"))
        for target in (hr_folder, lr_folder) if scale > 1 else (hr_folder,):
            target.mkdir(parents=True, exist_ok=True)
            for old in target.iterdir():
                old.unlink()
        counts[part] = 0
        for name in names:
            image = read_image(Path(folder) / name)
            stem = re.sub(r"[^\w-]+", "_", str(Path(name).with_suffix("")))
            trains = part == "weights"
            suffix = ".bmp" if trains else ".png"  # decoded in a fifth of the time
            for crop in _crops(image, trains):
                target = f"{counts[part]:05}_{stem}"
                _save(crop, hr_folder / f"{target}{suffix}")
                if scale > 1:
                    _save(imresize(crop, 1 / scale), lr_folder / f"{target}x{scale}{suffix}")
                counts[part] += 1
    with atomic_write(done) as path:
        path.write_text(json.dumps({"made_of": wanted, "crops": counts}))
    return counts


def _crops(image: np.ndarray, trains: bool) -> list[np.ndarray]:
    """The places of a photograph with the strongest gradients."""
    side = min(TRAINING_CROP if trains else CROP, *image.shape[:2]) // GRID * GRID
    most = TRAINING_CROPS_PER_PHOTOGRAPH if trains else CROPS_PER_PHOTOGRAPH
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    energy = np.abs(cv2.Laplacian(gray, cv2.CV_32F))
    places = [
        (float(energy[y : y + side, x : x + side].mean()), y, x)
        for y in range(0, image.shape[0] - side + 1, side)
        for x in range(0, image.shape[1] - side + 1, side)
    ]
    best = sorted(places, reverse=True)[:most]
    return [np.ascontiguousarray(image[y : y + side, x : x + side]) for _, y, x in best]


def _save(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path)
