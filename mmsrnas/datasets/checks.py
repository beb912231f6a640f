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
CONVERTERS = "Prepare them by mmsrnas data folder, div2k, df2k, bsd500 or benchmarks"


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
    missing = {
        mode: [p for _, ld in dataloaders(cfg, mode) for p in _missing(ld)] for mode in modes
    }
    if missing.get("test") and cfg.get("skip_missing_test_sets"):
        missing["test"] = _skip_missing_test_sets(cfg, missing["test"])
    folders = list(dict.fromkeys(path for paths in missing.values() for path in paths))
    if folders:
        skip = ", or test the sets that exist with --cfg-options skip_missing_test_sets=True"
        raise FileNotFoundError(
            f"These data folders do not exist: {', '.join(folders)}. "
            f"{CONVERTERS}{skip if missing.get('test') else ''}."
        )
    for dataset in (d for mode in modes for _, ld in dataloaders(cfg, mode) for d in leaves(ld)):
        if problem := gray_copy(dataset):
            print_log(problem, logger="current", level=logging.WARNING)


def is_gray_copy(folder: str | Path) -> bool:
    """Whether the first images of a folder have no colour."""
    images = [f for f in files_of(folder) if f.lower().endswith(IMAGE_SUFFIXES)]
    looked_at = images[:LOOKED_AT]
    return bool(looked_at) and not any(has_color(osp.join(folder, f)) for f in looked_at)


def gray_copy(dataset: dict) -> str | None:
    """What is wrong with a colour set that is read in colour and has none.

    Args:
        dataset: Config of a dataset that reads files.

    Returns:
        A message; None where nothing is wrong.
    """
    folder = folders_of(dataset).get("gt")
    names = [part for part in Path(folder or "").parts if part in COLOR_SETS]
    if not folder or not names or "grayscale" in color_types(dataset) or not is_gray_copy(folder):
        return None
    return (
        f"{names[-1]} is a set of colour images, but those of {folder} are gray: a gray copy gives "
        "other numbers than the published ones. Take the colour images."
    )


def color_types(dataset: dict) -> set[str]:
    """How a dataset loads its images: ``'color'``, ``'grayscale'``.

    Args:
        dataset: Config of a dataset that reads files.
    """
    pipeline = [t for t in dataset.get("pipeline") or [] if isinstance(t, dict)]
    loads = [t for t in pipeline if "LoadImageFromFile" in str(t.get("type"))]
    return {t.get("color_type", "color") for t in loads} or {"color"}


def data_folders(cfg: Config, mode: str) -> list[str]:
    """Data folders that a config reads.

    Args:
        cfg: A whole config.
        mode: ``'train'``, ``'val'`` or ``'test'``, as for :func:`check_datasets`.

    Returns:
        The folders, of all datasets.
    """
    return [folder for _, loader in dataloaders(cfg, mode) for folder in _all_folders(loader)]


def _skip_missing_test_sets(cfg: Config, missing: list[str]) -> list[str]:
    """Shortens the lists of test sets; returns what is still missing: all, if no set is left."""
    loaders = [loader for _, loader in dataloaders(cfg, "test")]
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


def dataloaders(cfg: Config, mode: str) -> Iterator[tuple[str, dict]]:
    """The dataloaders that a run will build, by their config keys.

    Args:
        cfg: A whole config.
        mode: ``'train'`` (its first is that of the weights), ``'val'`` or ``'test'``.
    """
    key = f"{mode}_dataloader"
    loaders = cfg.get(key) or []
    if isinstance(loaders, list | tuple):
        yield from ((f"{key}[{i}]", loader) for i, loader in enumerate(loaders))
    else:
        yield key, loaders
    if mode != "train":
        return
    hooks = {f"default_hooks.{name}": h for name, h in (cfg.get("default_hooks") or {}).items()}
    hooks |= {f"custom_hooks[{i}]": hook for i, hook in enumerate(cfg.get("custom_hooks") or [])}
    for name, hook in hooks.items():
        if hook and hook.get("dataloader"):
            yield f"{name}.dataloader", hook["dataloader"]
    if policy := (cfg.get("train_cfg") or {}).get("policy_dataloader"):
        yield "train_cfg.policy_dataloader", policy


def _missing(loader: dict) -> list[str]:
    """Folders of a dataloader that do not exist."""
    return [folder for folder in _all_folders(loader) if not osp.isdir(folder)]


def _all_folders(loader: dict) -> list[str]:
    return [folder for dataset in leaves(loader) for folder in folders_of(dataset).values()]


def leaves(loader: dict) -> Iterator[dict]:
    """The dataset of a dataloader, or the datasets that it wraps.

    Args:
        loader: Config of a dataloader or of a dataset.
    """
    if not loader:
        return
    inner = [loader["dataset"]] if loader.get("dataset") else loader.get("datasets")
    if inner:
        for dataset in inner:
            yield from leaves(dataset)
    else:
        yield loader


def folders_of(dataset: dict) -> dict[str, str]:
    """Folders of a dataset's images, LR (``img``) and HR (``gt``).

    Args:
        dataset: Config of a dataset that reads files.
    """
    folders = {}
    for key, folder in (dataset.get("data_prefix") or {}).items():
        if folder is not None:
            folder = folder.replace("{scale}", str(dataset.get("scale")))
            folders[key] = osp.join(dataset.get("data_root") or "", folder)
    return folders
