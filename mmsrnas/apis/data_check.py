"""Check of all the images of a config, before a run that would stop at the first bad one."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.datasets import read_image
from mmsrnas.datasets.checks import color_types, dataloaders, folders_of, gray_copy, leaves
from mmsrnas.datasets.file_names import files_of
from mmsrnas.datasets.image_io import IMAGE_SUFFIXES, printable
from mmsrnas.engine.data import require_disjoint
from mmsrnas.files import atomic_write
from mmsrnas.registry import DATASETS

__all__ = ["DataReport", "Finding", "check_data"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the data.

    Attributes:
        where: Config key of the dataloader.
        problem: What is wrong; it names the file or folder.
        stops: Whether a run stops at it; else it gives numbers that mean something else.
    """

    where: str
    problem: str
    stops: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass
class DataReport:
    """What was looked at, and what is wrong.

    Attributes:
        samples: Number of samples of each dataset that can be built, by config key.
        images: Number of images that were decoded.
        findings: What is wrong.
    """

    samples: dict[str, int] = field(default_factory=dict)
    images: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether no run would stop."""
        return not any(finding.stops for finding in self.findings)

    def save(self, path: str | Path) -> None:
        """Writes the report as JSON."""
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2))


def check_data(cfg: Config, threads: int = 4) -> DataReport:
    """Decodes every image that training, architecture step, validation and test of a config read.

    A run stops at the first bad image, where it meets it; this names all of them. It also names
    folders that do not exist, whatever a dataset refuses (names, sizes, patches, lists), images
    that are in the training data and in those of the architecture, files with the same image, and
    gray copies of colour sets.

    Args:
        cfg: A whole config.
        threads: Threads that decode.

    Returns:
        The report.
    """
    init_default_scope(cfg.get("default_scope", "mmagic"))
    check = _Check(threads)
    loaders = [item for mode in ("train", "val", "test") for item in dataloaders(cfg, mode)]
    for key, loader in loaders:
        check.dataloader(key, loader)
    weights, *searched = [key for key, _ in dataloaders(cfg, "train")] or [""]
    for key in searched:
        if {weights, key} <= check.built.keys():
            train, arch = check.built[weights], check.built[key]
            check.attempt(key, partial(require_disjoint, train, arch, key))
    return check.report


class _Check:
    """A check in progress.

    Args:
        threads: Threads that decode.
    """

    def __init__(self, threads: int) -> None:
        self.report = DataReport()
        self.built: dict[str, Any] = {}
        self._threads = threads
        self._decoded: dict[tuple[str, str], str | None] = {}

    def dataloader(self, key: str, loader: dict) -> None:
        """Checks the datasets of a dataloader."""
        datasets = list(leaves(loader))
        folders = {folder for dataset in datasets for folder in folders_of(dataset).values()}
        if missing := sorted(folder for folder in folders if not Path(folder).is_dir()):
            names = ", ".join(map(printable, missing))
            self._find(key, f"these data folders do not exist: {names}")
            return
        known = [error for dataset in datasets for error in self._decode(dataset)]
        for error in known:
            self._find(key, error)
        for dataset in datasets:
            for problem in (
                *_twins(dataset),
                *([] if known else filter(None, [gray_copy(dataset)])),
            ):
                self._find(key, problem, stops=False)

        def build() -> None:
            self.built[key] = DATASETS.build(dict(loader["dataset"]))
            self.report.samples[key] = len(self.built[key])

        self.attempt(key, build, known)

    def attempt(self, key: str, work: Callable[[], None], known: list[str] | None = None) -> None:
        """Does what raises errors about data, and notes them unless they are known."""
        try:
            work()
        except (ValueError, OSError) as error:
            if str(error) not in (known or []):
                self._find(key, str(error))

    def _find(self, key: str, problem: str, stops: bool = True) -> None:
        self.report.findings.append(Finding(key, problem, stops))

    def _decode(self, dataset: dict) -> list[str]:
        """Errors of the images in the folders of a dataset; each image is decoded once."""
        wanted = [(path, color) for path in _images(dataset) for color in color_types(dataset)]
        new = [image for image in wanted if image not in self._decoded]
        with ThreadPoolExecutor(self._threads) as pool:
            errors = pool.map(lambda image: _error_of(*image), new)
            self._decoded |= dict(zip(new, errors, strict=True))
        self.report.images += len(new)
        return [error for image in wanted if (error := self._decoded[image])]


def _images(dataset: dict, *keys: str) -> list[str]:
    """Image files in the folders of a dataset, or in some of them."""
    folders = folders_of(dataset)
    return [
        str(Path(folder) / file)
        for folder in dict.fromkeys(folders[key] for key in keys or folders if key in folders)
        for file in files_of(folder, dataset.get("recursive", False))
        if file.lower().endswith(IMAGE_SUFFIXES)
    ]


def _error_of(path: str, color_type: str) -> str | None:
    try:
        read_image(path, color_type)
    except ValueError as error:
        return str(error)
    return None


def _twins(dataset: dict) -> Iterator[str]:
    """Files of HR images that have one content."""
    by_content = defaultdict(list)
    for path in filter(lambda path: Path(path).is_file(), _images(dataset, "gt")):
        by_content[sha256(Path(path).read_bytes()).digest()].append(printable(path))
    for paths in by_content.values():
        if len(paths) > 1:
            yield f"{len(paths)} files are one image: {', '.join(paths[:3])}"
