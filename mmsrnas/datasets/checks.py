"""Checks of the data folders of a config, before anything is built."""

import logging
import os.path as osp
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from .file_names import files_of
from .image_io import IMAGE_SUFFIXES, has_color

__all__ = ["check_datasets", "data_folders", "is_gray_copy"]

COLOR_SETS = (
    *("Set5", "Set14", "B100", "BSD100", "BSDS100", "Urban100", "Manga109", "CBSD68", "Kodak24"),
    *("McMaster", "DIV2K", "DF2K", "Flickr2K"),
)
"""Sets of which gray copies are in use too."""

LOOKED_AT = 5  # images; one of Set14 is gray
CONVERTERS = "Prepare them with the scripts of tools/dataset_converters (docs/data.md)"


def check_datasets(cfg: Config, *modes: str) -> None:
    """Refuses a config whose data folders do not exist, naming all of them in one message.

    Known colour sets whose images are gray are named in a warning.

    With ``skip_missing_test_sets=True`` in the config, absent test sets are named in one warning
    and taken out of ``test_dataloader`` and ``test_evaluator`` instead.

    Args:
        cfg: A whole config; its lists of test sets may be shortened in place.
        *modes: What will run: ``'train'`` (which includes the data for the architecture or the
            policy of a search), ``'val'``, ``'test'``.

    Raises:
        FileNotFoundError: A folder is missing, or no test set is left.
    """
    missing = {mode: [p for ld in _dataloaders(cfg, mode) for p in _missing(ld)] for mode in modes}
    if missing.get("test") and cfg.get("skip_missing_test_sets"):
        missing["test"] = _skip_missing_test_sets(cfg, missing["test"])
    folders = list(dict.fromkeys(path for paths in missing.values() for path in paths))
    if folders:
        skip = ", or test the sets that exist with --cfg-options skip_missing_test_sets=True"
        raise FileNotFoundError(
            f"These data folders do not exist: {', '.join(folders)}. "
            f"{CONVERTERS}{skip if missing.get('test') else ''}."
        )
    for dataset in (d for mode in modes for ld in _dataloaders(cfg, mode) for d in _leaves(ld)):
        _warn_of_a_gray_copy(dataset)


def is_gray_copy(folder: str | Path) -> bool:
    """Whether the first images of a folder have no colour."""
    images = [f for f in files_of(folder) if f.lower().endswith(IMAGE_SUFFIXES)]
    looked_at = images[:LOOKED_AT]
    return bool(looked_at) and not any(has_color(osp.join(folder, f)) for f in looked_at)


def _warn_of_a_gray_copy(dataset: dict) -> None:
    """Names a colour set that is read in colour and has none."""
    folder = _folder(dataset, "gt")
    names = [part for part in Path(folder or "").parts if part in COLOR_SETS]
    loads = [t.get("color_type") for t in dataset.get("pipeline") or [] if isinstance(t, dict)]
    if folder and names and "grayscale" not in loads and is_gray_copy(folder):
        print_log(
            f"{names[-1]} is a set of colour images, but those of {folder} are gray: a gray copy "
            "gives other numbers than the published ones. Take the colour images.",
            logger="current",
            level=logging.WARNING,
        )


def data_folders(cfg: Config, mode: str) -> list[str]:
    """Data folders that a config reads.

    Args:
        cfg: A whole config.
        mode: ``'train'``, ``'val'`` or ``'test'``, as for :func:`check_datasets`.

    Returns:
        The folders, of all datasets.
    """
    return [folder for loader in _dataloaders(cfg, mode) for folder in _all_folders(loader)]


def _skip_missing_test_sets(cfg: Config, missing: list[str]) -> list[str]:
    """Shortens the lists of test sets; returns what is still missing: all, if no set is left."""
    loaders = list(_dataloaders(cfg, "test"))
    kept = [i for i, loader in enumerate(loaders) if not _missing(loader)]
    if not kept:
        return missing
    print_log(
        f"Test sets are skipped because these folders do not exist: {', '.join(missing)}.",
        logger="current",
        level=logging.WARNING,
    )
    cfg.test_dataloader = [loaders[i] for i in kept]
    cfg.test_evaluator = [cfg.test_evaluator[i] for i in kept]
    return []


def _dataloaders(cfg: Config, mode: str) -> Iterator[dict]:
    """The dataloaders that ``mode`` will build."""
    loaders = cfg.get(f"{mode}_dataloader") or []
    yield from loaders if isinstance(loaders, (list, tuple)) else [loaders]
    if mode == "train":
        hooks = [*(cfg.get("default_hooks") or {}).values(), *(cfg.get("custom_hooks") or [])]
        yield from (hook["dataloader"] for hook in hooks if hook and hook.get("dataloader"))
        policy = (cfg.get("train_cfg") or {}).get("policy_dataloader")
        yield from [policy] if policy else []


def _missing(loader: dict) -> list[str]:
    """Folders of a dataloader that do not exist."""
    return [folder for folder in _all_folders(loader) if not osp.isdir(folder)]


def _all_folders(loader: dict) -> list[str]:
    keys = ((d, key) for d in _leaves(loader) for key in d.get("data_prefix") or {})
    return [folder for d, key in keys if (folder := _folder(d, key)) is not None]


def _leaves(loader: dict) -> Iterator[dict]:
    """The dataset of a dataloader, or the datasets that it wraps."""
    if not loader:
        return
    inner = [loader["dataset"]] if loader.get("dataset") else loader.get("datasets")
    if inner:
        for dataset in inner:
            yield from _leaves(dataset)
    else:
        yield loader


def _folder(dataset: dict, key: str) -> str | None:
    """Folder of a dataset's images, LR (``img``) or HR (``gt``)."""
    folder = (dataset.get("data_prefix") or {}).get(key)
    if folder is None:
        return None
    folder = folder.replace("{scale}", str(dataset.get("scale")))
    return osp.join(dataset.get("data_root") or "", folder)
