"""Data of a search that is not the training loop's own."""

import hashlib
import os.path as osp
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset, Subset

__all__ = ["require_disjoint"]


def require_disjoint(
    train: Dataset, arch: Dataset, key: str = "ArchOptimizerHook.dataloader"
) -> None:
    """Refuses images that would both fit the weights and judge the architecture.

    Two files are the same image if they are one file, by whatever path or link, or if their
    contents are equal.

    Args:
        train: Dataset of the weights.
        arch: Dataset of the architecture.
        key: The config key of the latter's dataloader, for the error.

    Raises:
        ValueError: An image is in both, or a dataset does not say which images it reads.
    """
    shared = _shared(_image_paths(train, "train_dataloader"), _image_paths(arch, key))
    if shared:
        ours, theirs = shared[0]
        twin = "" if ours == theirs else f" (the same image as '{theirs}')"
        raise ValueError(
            f"{key}: {len(shared)} image(s) are in `train_dataloader` too, "
            f"the first is '{ours}'{twin}. Split the images between the two, or set "
            "`allow_shared_images=True`."
        )


def _image_paths(dataset: Any, key: str) -> set[str]:
    """Ground truth, or else input, of all images that a dataset reads, through its wrappers."""
    if isinstance(dataset, Subset) and isinstance(dataset.dataset, BaseDataset):
        return _paths_of(dataset.dataset, dataset.indices, key)
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if inner[0] is not None:
        return set().union(*(_image_paths(part, key) for part in inner))
    if not hasattr(dataset, "get_data_info"):
        raise ValueError(_unknown(dataset, key))
    return _paths_of(dataset, range(len(dataset)), key)


def _paths_of(dataset: Any, indices: Iterable[int], key: str) -> set[str]:
    paths: set[str] = set()
    for index in indices:
        record = dataset.get_data_info(index)
        found = record.get("gt_path", record.get("img_path"))
        if found is None:
            raise ValueError(_unknown(dataset, key))
        paths.update([found] if isinstance(found, str) else found)
    return paths


def _unknown(dataset: Any, key: str) -> str:
    return (
        f"{key}: {type(dataset).__name__} does not say which images it reads (get_data_info with "
        "'gt_path' or 'img_path'), so that images of the weights cannot be told from those of the "
        "architecture. Set `allow_shared_images=True` if they are different."
    )


def _shared(train: set[str], arch: set[str]) -> list[tuple[str, str]]:
    """Pairs of paths, of the architecture and of the weights, that are one image."""
    files = {osp.realpath(path): path for path in train}
    by_size = defaultdict(list)  # only files of one size are worth reading
    for file in files:
        if osp.isfile(file):
            by_size[osp.getsize(file)].append(file)
    digest = cache(lambda file: hashlib.sha256(Path(file).read_bytes()).digest())
    shared = []
    for path in sorted(arch):
        file = osp.realpath(path)
        twins = by_size[osp.getsize(file)] if osp.isfile(file) else []
        twin = (
            file if file in files else next((t for t in twins if digest(t) == digest(file)), None)
        )
        if twin is not None:
            shared.append((path, files[twin]))
    return shared
