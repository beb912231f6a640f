"""Anything that restores images, on the same test sets, by the same protocol."""

import hashlib
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

import mmsrnas
from mmsrnas.datasets.checks import data_folders
from mmsrnas.datasets.image_io import read_image
from mmsrnas.engine import FiniteCheckHook
from mmsrnas.files import atomic_write
from mmsrnas.latency import NoisyMeasurementError, Target, measure, peak_memory
from mmsrnas.registry import MODELS
from mmsrnas.sizes import HR_SIZE

from .complexity import count_complexity, input_size_of
from .contenders import Contender
from .plots import plot_crops, plot_tradeoff
from .tables import Row, to_markdown, write_csv
from .test_sets import require_fit

__all__ = ["Comparison", "compare", "cost_of", "evaluate"]

TRUTH = "HR"
"""Folder and name of the images that are to be reached."""
SHOWN = 3
"""Images of the first test set that are kept, to be looked at."""


@dataclass
class Comparison:
    """Rows of a table that is on disk, as far as it is known.

    Attributes:
        folder: Of ``table.md``, ``table.csv``, ``tradeoff.png``, ``crops.png``, ``images`` and
            ``rows.json``.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        published: Rows that others have printed.
        rows: One per contender, in the order of the table.
        failures: Contenders whose test ended in an error, with its message.
    """

    folder: Path
    hr_size: tuple[int, int]
    published: Sequence[Row] = ()
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def all_rows(self) -> list[Row]:
        """What was measured, and the published rows of the same test sets behind it."""
        metrics = {column for row in self.rows for column in row if "/" in column}
        known = [
            {k: v for k, v in row.items() if "/" not in k or k in metrics} for row in self.published
        ]
        return [*self.rows, *(row for row in known if metrics & row.keys())]

    @property
    def table(self) -> str:
        """The table as Markdown, with what failed under it."""
        failed = [f"{name} is missing: {error}" for name, error in self.failures.items()]
        return "\n".join([to_markdown(self.all_rows, self.hr_size), *failed])

    def write(self) -> None:
        """Writes tables and pictures."""
        rows = self.all_rows
        with atomic_write(self.folder / "table.md") as path:
            path.write_text(self.table)
        with atomic_write(self.folder / "table.csv") as path:
            write_csv(rows, path)
        columns = (column for row in self.rows for column in row)
        if metric := next((c for c in columns if c.endswith("PSNR")), None):
            with atomic_write(self.folder / "tradeoff.png") as path:
                plot_tradeoff([row for row in rows if metric in row], metric, path)
        if images := self._images():
            with atomic_write(self.folder / "crops.png") as path:
                plot_crops(images, path, differences=True)

    def _images(self) -> list[dict[str, np.ndarray]]:
        """The images that are shown, by name of who made them, the truth first."""
        names = [TRUTH, *(row["model"] for row in self.rows)]
        folders = {name: self.folder / "images" / name for name in names}
        whole = [
            {
                name: read_image(file)
                for name, folder in folders.items()
                if (file := folder / truth.name).is_file()
            }
            for truth in sorted(folders[TRUTH].glob("*.png"))
        ]
        return [images for images in whole if len(images) == len(names)]


def compare(
    contenders: Sequence[Contender],
    test_cfg: Config,
    folder: str | Path,
    hr_size: tuple[int, int] = HR_SIZE,
    resume: bool = False,
    target: Target | None = None,
    max_spread: float = 0.1,
    published: Sequence[Row] = (),
) -> Comparison:
    """Tests contenders on the same images and measures their costs.

    Every row is on disk as soon as it is known, and the error of one contender does not end the
    comparison.

    Args:
        contenders: What :func:`~mmsrnas.analysis.contenders.load_contenders` made ready.
        test_cfg: Config with ``test_dataloader``, ``test_evaluator`` and ``test_cfg``.
        folder: Where tables, pictures and logs go.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        resume: Takes rows over from ``rows.json`` of the folder if contender, test sets and target
            are the same.
        target: Where latency and memory are measured; None leaves them out.
        max_spread: Largest spread of its samples that is trusted.
        published: Rows that others have printed, see
            :func:`~mmsrnas.analysis.tables.read_published`.

    Returns:
        The comparison.

    Raises:
        ValueError: A contender does not fit the test sets.
    """
    require_fit(test_cfg, contenders)
    result = Comparison(Path(folder), (hr_size[0], hr_size[1]), published)
    result.folder.mkdir(parents=True, exist_ok=True)
    store = result.folder / "rows.json"
    known: dict[str, Row] = json.loads(store.read_text()) if resume and store.is_file() else {}
    keys = ("test_dataloader", "test_evaluator", "test_cfg")
    options = (list(hr_size), str(target))
    tests = {key: test_cfg[key] for key in keys}
    shared = _hash(mmsrnas.__version__, options, tests, _files(test_cfg))
    for contender in contenders:
        key = _hash(shared, contender.name, contender.upscale_factor, contender.fingerprint)
        if key not in known:
            print(f"Testing {contender.name} ...", file=sys.stderr, flush=True)
            try:
                row = {"model": contender.name} | cost_of(contender, hr_size, target, max_spread)
                row |= evaluate(contender, test_cfg, result.folder)
            except Exception as error:  # of one contender; the others' results count
                traceback.print_exc()
                result.failures[contender.name] = f"{type(error).__name__}: {error}"
                result.write()
                continue
            if "note" not in row:  # what could not be measured is tried again
                known[key] = row
            with atomic_write(store) as path:
                path.write_text(json.dumps(known))
        result.rows.append(known.get(key) or row)
        result.write()
    return result


def _files(test_cfg: Config) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of the test sets."""
    folders = (Path(folder) for folder in data_folders(test_cfg, "test"))
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _hash(*values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class _Record(Hook):
    """Keeps the metrics, which mmagic's loop over several test sets does not return, and images.

    Args:
        name: Of what is tested.
        folder: Where ``images`` is.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder / "images"
        self.metrics: dict[str, float] = {}

    def before_test(self, runner: Runner) -> None:
        """Chooses the images that are kept."""
        loop: Any = runner.test_loop
        first = loop.dataloaders[0] if hasattr(loop, "dataloaders") else loop.dataloader
        count = len(first.dataset)
        self.kept = {round(i * (count - 1) / max(1, SHOWN - 1)) for i in range(SHOWN)}

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Writes what was made, and what was to be made."""
        if batch_idx not in self.kept:
            return
        sample = outputs[0]
        name = f"{batch_idx:03}_{Path(sample.gt_path).stem}.png"
        for who, image in ((TRUTH, sample.gt_img), (self.name, sample.output.pred_img)):
            (self.folder / who).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(self.folder / who / name), _pixels(image))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keeps the metrics of all test sets."""
        self.metrics = {name: float(value) for name, value in (metrics or {}).items()}


def _pixels(image: Tensor) -> np.ndarray:
    """8-bit pixels ``(H, W, C)`` of an image ``(C, H, W)`` in 0..255, in the order that it has.

    mmagic gives BGR, which OpenCV writes.
    """
    return image.float().clamp(0, 255).round().byte().permute(1, 2, 0).cpu().numpy()


def evaluate(contender: Contender, test_cfg: Config, folder: str | Path) -> dict[str, float]:
    """Tests a contender as ``tools/test.py`` does, with the test sets and metrics of a config.

    Args:
        contender: The contender.
        test_cfg: Config with ``test_dataloader``, ``test_evaluator`` and ``test_cfg``.
        folder: Folder of the log, and of a few images in ``images``.

    Returns:
        The metrics, e.g. ``{"Set5/PSNR": 38.04}``.

    Raises:
        FloatingPointError: A metric is NaN.
    """
    init_default_scope("mmagic")
    editor = MODELS.build(
        dict(
            type="BaseEditModel",
            generator=dict(type=nn.Identity),
            pixel_loss=dict(type="L1Loss"),
            data_preprocessor=contender.preprocessor,
        )
    )
    editor.generator = contender.run
    runner = Runner(
        model=editor,
        work_dir=str(Path(folder) / "logs"),
        test_dataloader=test_cfg.test_dataloader,
        test_evaluator=test_cfg.test_evaluator,
        test_cfg=test_cfg.test_cfg,
        default_scope="mmagic",
        log_level="WARNING",
        experiment_name=f"compare_{id(contender)}",
    )
    record = _Record(contender.name, Path(folder))
    runner.register_hook(record)
    runner.register_hook(FiniteCheckHook())
    runner.test()
    return record.metrics


def cost_of(
    contender: Contender,
    hr_size: tuple[int, int],
    target: Target | None = None,
    max_spread: float = 0.1,
) -> Row:
    """Columns with the costs of a contender.

    Args:
        contender: The contender.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        target: Where latency and memory are measured, for an image of its size; None leaves the
            columns out. An ONNX file is measured by onnxruntime alone.
        max_spread: Largest spread of its samples that is trusted.

    Returns:
        ``params``, ``multi_adds``, ``latency_ms``, ``memory_mb`` and ``target``, as far as the
        contender has them; ``note`` says why a latency is missing.
    """
    network, row = contender.costs_of, {}
    if isinstance(network, nn.Module):
        counts = count_complexity(network, input_size_of(network, hr_size))
        row = {"params": counts.params, "multi_adds": counts.multi_adds}
    if network is None or target is None:
        return row
    if isinstance(network, Path) and target.runtime != "onnxruntime":
        return row | {"note": f"an ONNX file is not measured on {target}."}
    row |= {"memory_mb": peak_memory(network, target), "target": str(target)}
    try:
        row["latency_ms"] = measure(network, target, max_spread=max_spread).milliseconds
    except NoisyMeasurementError as error:  # the quality counts even so
        row["note"] = str(error)
    return row
