"""Where a genotype comes from."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import mmsrnas

__all__ = ["provenance"]


def provenance(config: str | None, seed: int | None, iteration: int | None) -> dict[str, Any]:
    """What the genotype of a search says about its origin.

    Args:
        config: Path of the search config, or the name of its experiment, if there is one.
        seed: Random seed of the search.
        iteration: Number of iterations that the supernet was trained.

    Returns:
        JSON-serialisable record of these and of the package versions.
    """
    # The installed package does not say for which CUDA it was built.
    versions = {"mmsrnas": mmsrnas.__version__, "torch": torch.__version__}
    return {
        "config": Path(config).name if config else None,
        "seed": seed,
        "iteration": iteration,
        "versions": versions | {name: _version(name) for name in ("mmengine", "mmagic")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # a fork that is installed under another name
        return None
