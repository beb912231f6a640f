"""Several networks on the same test sets, by the same protocol."""

import csv
import hashlib
import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

import mmsrnas
from mmsrnas.apis import init_generator
from mmsrnas.apis.config import read_config
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.datasets import imresize
from mmsrnas.datasets.checks import data_folders
from mmsrnas.engine import FiniteCheckHook
from mmsrnas.files import atomic_write
from mmsrnas.latency import Target, measure
from mmsrnas.registry import MODELS
from mmsrnas.sizes import HR_SIZE

from .complexity import CONVENTION, count_complexity, input_size_of, upscale_factor_of
from .plots import plot_tradeoff

__all__ = [
    "Bicubic",
    "Comparison",
    "compare",
    "cost_of",
    "evaluate",
    "to_markdown",
    "write_csv",
]

Row = dict[str, Any]

BASELINES = ("bicubic", "noisy")
NO_COSTS = {"params": None, "multi_adds": None, "latency_ms": None}
# One value serves gray and colour.
UNIT_RANGE = dict(type="DataPreprocessor", mean=[0.0], std=[255.0])


@dataclass(frozen=True)
class _Job:
    """A row to be made.

    Attributes:
        name: Of the network, in the table.
        network: The network; without costs where it is a baseline.
        preprocessor: Config of its data preprocessor.
        fingerprint: Of everything that decides the row.
    """

    name: str
    network: nn.Module
    preprocessor: Mapping[str, Any]
    fingerprint: str


@dataclass
class Comparison:
    """Rows of a table that is on disk, as far as it is known.

    Attributes:
        folder: Of ``table.md``, ``table.csv``, ``tradeoff.png`` and ``rows.json``.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        rows: One per network, in the order of the table.
        failures: Networks whose test ended in an error, with its message.
    """

    folder: Path
    hr_size: tuple[int, int]
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The table as Markdown, with what failed under it."""
        failed = [f"{name} is missing: {error}" for name, error in self.failures.items()]
        return "\n".join([to_markdown(self.rows, self.hr_size), *failed])

    def write(self) -> None:
        """Writes table and plot."""
        with atomic_write(self.folder / "table.md") as path:
            path.write_text(self.table)
        with atomic_write(self.folder / "table.csv") as path:
            write_csv(self.rows, path)
        columns = (column for row in self.rows for column in row)
        if metric := next((c for c in columns if c.endswith("PSNR")), None):
            with atomic_write(self.folder / "tradeoff.png") as path:
                plot_tradeoff(self.rows, metric, path)


def compare(
    models: Sequence[tuple[str, str, str]],
    test_cfg: Config,
    folder: str | Path,
    hr_size: tuple[int, int] = HR_SIZE,
    resume: bool = False,
    target: Target | None = None,
    max_spread: float = 0.1,
) -> Comparison:
    """Tests networks and measures their costs, beside what the test images are without a network.

    The first row is bicubic interpolation, or the noisy images where the scale is 1. The others
    run as ``tools/test.py`` runs them: with the weights that their editor infers with, and its data
    preprocessor. Every row is on disk as soon as it is known, and the error of a network does not
    end the comparison.

    Args:
        models: Name, config and checkpoint of every network.
        test_cfg: Config with ``test_dataloader``, ``test_evaluator`` and ``test_cfg``.
        folder: Where table, plot and logs go.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        resume: Takes rows over from ``rows.json`` of the folder if network, test sets and target
            are the same.
        target: Where latency is measured; None leaves it out.
        max_spread: Largest spread of its samples that is trusted.

    Returns:
        The comparison.

    Raises:
        ValueError: Two networks have one name, another scale, or a checkpoint does not fit.
    """
    jobs = _jobs(models, test_cfg, (list(hr_size), str(target)))
    result = Comparison(Path(folder), (hr_size[0], hr_size[1]))
    result.folder.mkdir(parents=True, exist_ok=True)
    store = result.folder / "rows.json"
    known: dict[str, Row] = json.loads(store.read_text()) if resume and store.is_file() else {}
    for job in jobs:
        if job.fingerprint not in known:
            print(f"Testing {job.name} ...", flush=True)
            try:
                row: Row = {"model": job.name}
                if job.name in BASELINES:
                    row |= NO_COSTS
                else:
                    row |= cost_of(job.network, hr_size, target, max_spread)
                row |= evaluate(job.network, test_cfg, result.folder / "logs", job.preprocessor)
            except Exception as error:  # of one network; the others' results count
                traceback.print_exc()
                result.failures[job.name] = f"{type(error).__name__}: {error}"
                result.write()
                continue
            known[job.fingerprint] = row
            with atomic_write(store) as path:
                path.write_text(json.dumps(known))
        result.rows.append(known[job.fingerprint])
        result.write()
    return result


def _jobs(models: Sequence[tuple[str, str, str]], test_cfg: Config, options: Any) -> list[_Job]:
    """The rows to be made; whatever can be refused is refused here, before anything is tested."""
    names = [name for name, _, _ in models]
    for name in names:
        if names.count(name) > 1 or name in BASELINES:
            raise ValueError(f"--model: the name {name!r} is taken; give every row its own.")
    shared = _hash(
        mmsrnas.__version__,
        options,
        {key: test_cfg[key] for key in ("test_dataloader", "test_evaluator", "test_cfg")},
        _files(test_cfg),
    )
    jobs, scales = [], {}
    for name, config, source in models:
        cfg, checkpoint = read_config(config), read_checkpoint(source, f"--model {name}")
        network = init_generator(cfg, checkpoint)
        scales[name] = upscale_factor_of(network)
        content = Path(checkpoint.source)
        digest = _digest(content) if content.is_file() else checkpoint.source
        fingerprint = _hash(shared, name, cfg.model.to_dict(), digest)
        jobs.append(
            _Job(name, network, cfg.model.get("data_preprocessor", UNIT_RANGE), fingerprint)
        )
    scale, *others = set(scales.values())
    if others:
        raise ValueError(f"--model: the networks have different scales: {scales}")
    name, network = ("noisy", nn.Identity()) if scale == 1 else ("bicubic", Bicubic(scale))
    return [_Job(name, network, UNIT_RANGE, _hash(shared, name, scale)), *jobs]


def _files(test_cfg: Config) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of the test sets."""
    folders = (Path(folder) for folder in data_folders(test_cfg, "test"))
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _hash(*values: Any) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Bicubic(nn.Module):
    """MATLAB's bicubic interpolation as a network without parameters.

    Args:
        upscale_factor: Ratio of HR to LR size.
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges images ``(N, C, H, W)`` in [0, 1], rounded to 8 bits as MATLAB does."""
        images = (x * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        enlarged = np.stack([imresize(image, self.upscale_factor) for image in images])
        return torch.from_numpy(enlarged).permute(0, 3, 1, 2).to(x) / 255


class _Metrics(Hook):
    """Keeps the metrics, which mmagic's loop over several test sets does not return."""

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.values = {name: float(value) for name, value in (metrics or {}).items()}


def evaluate(
    network: nn.Module,
    test_cfg: Config,
    work_dir: str | Path,
    data_preprocessor: Mapping[str, Any] = UNIT_RANGE,
) -> dict[str, float]:
    """Tests a network with the test sets and metrics of a config.

    Args:
        network: The network.
        test_cfg: Config with ``test_dataloader``, ``test_evaluator`` and ``test_cfg``.
        work_dir: Folder of the log.
        data_preprocessor: Config of the data preprocessor of the network; RGB in [0, 1] where it
            is not given.

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
            data_preprocessor=data_preprocessor,
        )
    )
    editor.generator = network
    runner = Runner(
        model=editor,
        work_dir=str(work_dir),
        test_dataloader=test_cfg.test_dataloader,
        test_evaluator=test_cfg.test_evaluator,
        test_cfg=test_cfg.test_cfg,
        default_scope="mmagic",
        log_level="WARNING",
        experiment_name=f"compare_{id(network)}",
    )
    metrics = _Metrics()
    runner.register_hook(metrics)
    runner.register_hook(FiniteCheckHook())
    runner.test()
    return metrics.values


def cost_of(
    network: nn.Module,
    hr_size: tuple[int, int],
    target: Target | None = None,
    max_spread: float = 0.1,
) -> Row:
    """Columns with the costs of a network.

    Args:
        network: The network.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
        target: Where latency is measured, for an image of its size; None leaves the column out.
        max_spread: Largest spread of its samples that is trusted.

    Returns:
        ``params``, ``multi_adds``, ``latency_ms`` and ``target``.

    Raises:
        NoisyMeasurementError: The machine is too busy to measure a latency.
    """
    counts = count_complexity(network, input_size_of(network, hr_size))
    row: Row = {"params": counts.params, "multi_adds": counts.multi_adds}
    if target:
        measured = measure(network, target, max_spread=max_spread)
        row |= {"latency_ms": measured.milliseconds, "target": str(target)}
    return row


def to_markdown(rows: Sequence[Row], hr_size: tuple[int, int]) -> str:
    """A table, and under it how its numbers came about.

    Args:
        rows: One per network; ``model``, the columns of :func:`cost_of`, and metrics.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.

    Returns:
        Markdown.
    """
    columns = [column for column in _columns(rows) if column != "target"]
    titles = {"params": "Params", "multi_adds": "Multi-Adds", "latency_ms": "Latency"}
    lines = [[titles.get(column, column) for column in columns]]
    lines += [["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[_format(column, row.get(column)) for column in columns] for row in rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = [f"Multi-Adds are for one {hr_size[1]}x{hr_size[0]} output. {CONVENTION}"]
    targets = sorted({row["target"] for row in rows if row.get("target")})
    notes += [f"Latency: median for one image, on {target}." for target in targets]
    return "\n\n".join([table, *notes]) + "\n"


def write_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Writes the unrounded numbers of all rows."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _columns(rows: Sequence[Row]) -> list[str]:
    filled = (column for row in rows for column in row)
    return [c for c in dict.fromkeys(filled) if any(row.get(c) is not None for row in rows)]


def _format(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column == "params":
        return f"{value:,}"
    if column == "multi_adds":
        return f"{value / 1e9:.2f} G"
    if column == "latency_ms":
        return f"{value:.3g} ms"
    if column.endswith("SSIM"):
        return f"{value:.4f}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
