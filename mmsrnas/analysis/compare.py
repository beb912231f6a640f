"""Several networks on the same test sets, by the same protocol."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsrnas.datasets import imresize
from mmsrnas.registry import MODELS

from .complexity import CONVENTION, count_complexity, input_size_of
from .latency import measure_latency

__all__ = ["Bicubic", "cost_of", "evaluate", "to_markdown", "write_csv"]

Row = dict[str, Any]

UNIT_RANGE = dict(type="DataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0])


class Bicubic(nn.Module):
    """MATLAB's bicubic interpolation as a network without parameters.

    Args:
        upscale_factor: Ratio of HR to LR size.
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges 8-bit images ``(N, C, H, W)`` in [0, 1]."""
        images = (x * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
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
    data_preprocessor: dict = UNIT_RANGE,
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
    runner.test()
    return metrics.values


def cost_of(network: nn.Module, hr_size: tuple[int, int], **latency: Any) -> Row:
    """Columns with the costs of a network for one HR image.

    Args:
        network: The network.
        hr_size: ``(height, width)`` of the HR image.
        latency: Arguments of :func:`measure_latency`; ``repeats=0`` leaves the column out.

    Returns:
        ``params``, ``multi_adds`` and ``latency_ms``.
    """
    input_size = input_size_of(network, hr_size)
    counts = count_complexity(network, input_size)
    row: Row = {"params": counts.params, "multi_adds": counts.multi_adds}
    if latency.get("repeats", 1):
        measured = measure_latency(network, input_size, **latency)
        row |= {"latency_ms": measured.seconds * 1e3, "conditions": measured.conditions}
    return row


def to_markdown(rows: Sequence[Row], hr_size: tuple[int, int]) -> str:
    """A table, and under it how its numbers came about.

    Args:
        rows: One per network; ``model``, the columns of :func:`cost_of`, and metrics.
        hr_size: ``(height, width)`` of the HR image of the costs.

    Returns:
        Markdown.
    """
    columns = [column for column in _columns(rows) if column != "conditions"]
    titles = {"params": "Params", "multi_adds": "Multi-Adds", "latency_ms": "Latency"}
    lines = [[titles.get(column, column) for column in columns]]
    lines += [["---"] + ["---:"] * (len(columns) - 1)]
    lines += [[_format(column, row.get(column)) for column in columns] for row in rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    notes = [f"Costs are for one {hr_size[1]}x{hr_size[0]} output. {CONVENTION}"]
    conditions = sorted({row["conditions"] for row in rows if "conditions" in row})
    notes += [f"Latency: median, {condition}." for condition in conditions]
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
        return f"{value:.0f} ms"
    if column.endswith("SSIM"):
        return f"{value:.4f}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
