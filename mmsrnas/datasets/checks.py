"""Checks of the data folders of a config, before anything is built."""

import logging
import os.path as osp
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.logging import print_log

__all__ = ["check_datasets"]

CONVERTERS = "Prepare them with the scripts of tools/dataset_converters (docs/data.md)"


def check_datasets(cfg: Config, *modes: str) -> None:
    """Refuses a config whose data folders do not exist, naming all of them in one message.

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
    return [path for path in _folders(loader.get("dataset")) if not osp.isdir(path)]


def _folders(dataset: dict | None) -> Iterator[str]:
    """Data folders of a dataset, or of the datasets that it wraps."""
    if not dataset:
        return
    for inner in [dataset.get("dataset"), *dataset.get("datasets", [])]:
        yield from _folders(inner)
    for folder in (dataset.get("data_prefix") or {}).values():
        folder = folder.replace("{scale}", str(dataset.get("scale")))
        yield osp.join(dataset.get("data_root") or "", folder)
