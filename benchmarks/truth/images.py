"""The images of the tables: photographs for training, two sets that no training sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from mmsrnas.datasets import imresize

__all__ = [
    "HELD_OUT_PHOTOGRAPHS",
    "Images",
    "held_out_sets",
    "proxy_images",
    "read_images",
    "sample_batch",
    "training_images",
]

HELD_OUT_PHOTOGRAPHS = 20
"""Photographs, the last by name, that judge; one crop of each."""
HELD_OUT_BSDS = 20
PROXY_SIZE = 64
"""Side of the degraded crops that judge shared weights."""


@dataclass(frozen=True)
class Images:
    """Degraded and clean images in the same order, ``uint8`` arrays ``(H, W, C)``."""

    inputs: Sequence[np.ndarray]
    targets: Sequence[np.ndarray]


def training_images(data: Path, scale: int, gray: bool) -> Images:
    """All crops of the photographs that do not judge.

    Args:
        data: Folder with ``photos`` (files ``PHOTOGRAPH_CROP.jpg``) and ``BSDS500``.
        scale: Ratio of HR to LR size; 1 leaves the images as they are.
        gray: Read luma only.
    """
    crops = _photographs(data)[:-HELD_OUT_PHOTOGRAPHS]
    return _read([crop for photograph in crops for crop in photograph], scale, gray)


def held_out_sets(data: Path, scale: int, gray: bool) -> dict[str, Images]:
    """The sets ``photos`` (of photographs without a crop in training) and ``bsds``."""
    judges = [crops[0] for crops in _photographs(data)[-HELD_OUT_PHOTOGRAPHS:]]
    bsds = sorted((data / "BSDS500/train").glob("*.jpg"))[:HELD_OUT_BSDS]
    return {"photos": _read(judges, scale, gray), "bsds": _read(bsds, scale, gray)}


def proxy_images(
    data: Path, scale: int, gray: bool, sigma: float = 0.0
) -> list[tuple[Tensor, Tensor]]:
    """Middles of images of BSDS500 that neither train nor judge, for scores of shared weights.

    Args:
        data: Folder with ``BSDS500``.
        scale: Ratio of HR to LR size.
        gray: Read luma only.
        sigma: Standard deviation of the noise in 0..255.

    Returns:
        Degraded and clean images ``(1, C, H, W)`` in [0, 1].
    """
    paths = sorted((data / "BSDS500/train").glob("*.jpg"))[HELD_OUT_BSDS:][:HELD_OUT_BSDS]
    images = _read(paths, scale, gray)
    rng = np.random.default_rng(0)
    pairs = []
    for low, high in zip(images.inputs, images.targets, strict=True):
        y, x = (max(size - PROXY_SIZE, 0) // 2 for size in low.shape[:2])
        low = low[y : y + PROXY_SIZE, x : x + PROXY_SIZE]
        high = high[scale * y :, scale * x :][: scale * PROXY_SIZE, : scale * PROXY_SIZE]
        noisy = low + sigma * rng.standard_normal(low.shape)
        tensors = (torch.from_numpy(np.ascontiguousarray(a)).float() / 255 for a in (noisy, high))
        pairs.append(tuple(tensor.permute(2, 0, 1)[None] for tensor in tensors))
    return pairs


def read_images(folder: Path, scale: int, gray: bool) -> Images:
    """All JPEG images of a folder.

    Args:
        folder: The folder.
        scale: Ratio of HR to LR size; 1 leaves the images as they are.
        gray: Read luma only.
    """
    return _read(sorted(folder.glob("*.jpg")), scale, gray)


def _photographs(data: Path) -> list[list[Path]]:
    crops: dict[str, list[Path]] = {}
    for path in sorted((data / "photos").glob("*.jpg")):
        crops.setdefault(path.stem.rpartition("_")[0], []).append(path)
    if len(crops) <= HELD_OUT_PHOTOGRAPHS:
        raise FileNotFoundError(
            f"{data / 'photos'}: expected crops of more than {HELD_OUT_PHOTOGRAPHS} photographs "
            f"named PHOTOGRAPH_CROP.jpg, found {len(crops)}."
        )
    return list(crops.values())


def _read(paths: Sequence[Path], scale: int, gray: bool) -> Images:
    mode = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    targets = []
    for path in paths:
        image = cv2.imread(str(path), mode)
        if image is None:
            raise ValueError(f"{path} is no image that can be read.")
        height, width = (size - size % scale for size in image.shape[:2])
        image = image[:height, :width].reshape(height, width, -1)
        targets.append(image[..., ::-1].copy())
    inputs = targets if scale == 1 else [imresize(image, 1 / scale) for image in targets]
    return Images(inputs, targets)


def sample_batch(
    images: Images, size: int, patch: int, scale: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Random patches, flipped and turned.

    Args:
        images: Where they come from.
        size: Number of patches.
        patch: Height and width of the degraded patch.
        scale: Ratio of clean to degraded size.
        rng: Source of randomness.

    Returns:
        Degraded ``(N, C, patch, patch)`` and clean patches, both in [0, 1], channels last.
    """
    pairs = []
    for index in rng.integers(len(images.inputs), size=size):
        low, high = images.inputs[index], images.targets[index]
        y, x = (int(rng.integers(length - patch + 1)) for length in low.shape[:2])
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        pair = [
            low[y : y + patch, x : x + patch],
            high[y * scale : (y + patch) * scale, x * scale : (x + patch) * scale],
        ]
        pairs.append([np.rot90(p[:, ::-1] if mirror else p, turns) for p in pair])
    low, high = (torch.from_numpy(np.stack(stack)) for stack in zip(*pairs, strict=True))
    return tuple(batch.permute(0, 3, 1, 2).float() / 255 for batch in (low, high))
