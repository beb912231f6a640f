"""Pictures for reports."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .front import pareto_front

__all__ = ["plot_crops", "plot_curves", "plot_front", "plot_tradeoff", "read_scalars"]

Point = tuple[float, float]


def plot_tradeoff(rows: Sequence[Mapping[str, Any]], metric: str, path: str | Path) -> None:
    """Draws a metric over latency, or over Multi-Adds where no latency was measured.

    A row without costs becomes a horizontal line; what no other beats is joined.

    Args:
        rows: Rows of a comparison.
        metric: The column to draw.
        path: Picture file.
    """
    targets = {row["target"] for row in rows if row.get("target")}
    column, unit, label = "multi_adds", 1e9, "Multi-Adds [G]"
    if targets:
        column, unit, label = "latency_ms", 1.0, f"latency [ms] on {', '.join(sorted(targets))}"
    figure, axes = _figure(7, 4.5)
    placed = [_Placed(row[column] / unit, row[metric], row) for row in rows if row.get(column)]
    for cost, quality, row in placed:
        size = f"\n{row['params'] / 1e3:,.0f} K" if row.get("params") else ""
        axes.scatter(cost, quality, s=60, marker="D" if row.get("published") else "o")
        axes.annotate(
            f"{row['model']}{size}",
            (cost, quality),
            xytext=(7, -4),
            textcoords="offset points",
            fontsize=8,
        )
    if len(placed) > 2:
        front = pareto_front(placed)
        axes.step(*zip(*((p.cost, p.psnr) for p in front), strict=True), where="post", alpha=0.4)
    others = [row for row in rows if not row.get(column)]
    for shade, row in zip(np.linspace(0.3, 0.7, max(1, len(others))), others, strict=False):
        style = ":" if row.get("published") else "--"
        axes.axhline(row[metric], linestyle=style, color=f"{shade:.2f}", label=row["model"])
    if others:
        axes.legend(fontsize=8)
    axes.margins(x=0.25, y=0.15)
    axes.set_xlim(left=0)
    axes.set_xlabel(label)
    axes.set_ylabel(f"{metric}{' [dB]' if metric.endswith('PSNR') else ''}")
    axes.grid(alpha=0.3)
    figure.savefig(path)


class _Placed(NamedTuple):
    """A row at its place in the plot."""

    cost: float
    psnr: float
    row: Mapping[str, Any]


def plot_front(
    groups: Mapping[str, Sequence[Point]],
    front: Sequence[Point],
    cost: str,
    path: str | Path,
    metric: str = "PSNR with shared weights [dB]",
) -> None:
    """Draws PSNR over cost, with the Pareto front.

    Args:
        groups: ``label -> [(cost, PSNR in dB), ...]``.
        front: The points of the front, by cost.
        cost: Name of the cost, with its unit.
        path: Picture file.
        metric: What the PSNR is.
    """
    figure, axes = _figure(6.5, 4.2)
    for marker, (label, points) in zip("xo*s^", groups.items(), strict=False):
        axes.scatter(*zip(*points, strict=True), marker=marker, label=label)
    axes.step(*zip(*front, strict=True), where="post", label="front")
    axes.set(xlabel=cost, ylabel=metric, xscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def read_scalars(work_dir: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Reads what the last run in a work directory logged.

    Args:
        work_dir: Work directory of a training or search.

    Returns:
        ``name -> [(iteration, value), ...]``.

    Raises:
        FileNotFoundError: No run has logged there.
    """
    files = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))
    if not files:
        raise FileNotFoundError(f"{work_dir}: no run has logged scalars here.")
    scalars: dict[str, list[tuple[int, float]]] = {}
    for line in files[-1].read_text().splitlines():
        record = json.loads(line)
        for name, value in record.items():
            if isinstance(value, int | float):
                scalars.setdefault(name, []).append((record["step"], value))
    return scalars


def plot_curves(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], path: str | Path
) -> None:
    """Draws curves over the iterations.

    Args:
        panels: ``title -> {label: [(iteration, value), ...]}``.
        path: Picture file.
    """
    figure, all_axes = _figure(4.5 * len(panels), 3.4, 1, len(panels))
    for axes, (title, curves) in zip(np.atleast_1d(all_axes), panels.items(), strict=True):
        for label, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=label)
        axes.set_title(title)
        axes.set_xlabel("iteration")
        axes.grid(alpha=0.3)
        if len(curves) > 1:
            axes.legend()
    figure.savefig(path)


def plot_crops(
    images: Sequence[Mapping[str, np.ndarray]],
    path: str | Path,
    size: int = 80,
    captions: Sequence[Mapping[str, str]] | None = None,
    differences: bool = False,
) -> None:
    """Draws the same crop of several versions of images beside each other.

    The crop is where the second version differs most from the first one, which also stands whole
    at the left with the crop marked.

    Args:
        images: For each image, at least two versions ``name -> uint8 RGB (H, W, 3)``, all of the
            same size; the first one is the reference.
        path: Picture file.
        size: Side of the crop in pixels.
        captions: For each image, a text under a version.
        differences: Draw below each crop how far it is from the reference, in 8-bit levels.
    """
    columns, rows = len(images[0]) + 1, len(images) * (1 + differences)
    figure, all_axes = _figure(3 * columns, 2.9 * rows, rows, columns)
    grid = np.reshape(all_axes, (rows, columns))
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    for i, versions in enumerate(images):
        axes_row = grid[i * (1 + differences)]
        reference, other = list(versions.values())[:2]
        side = min(size, *reference.shape[:2])
        y, x = _worst_window(reference, other, side)
        crops = {name: image[y : y + side, x : x + side] for name, image in versions.items()}
        axes_row[0].imshow(reference)
        axes_row[0].add_patch(Rectangle((x, y), side, side, fill=False, color="red", linewidth=1.5))
        for axes, (name, crop) in zip(axes_row[1:], crops.items(), strict=True):
            axes.imshow(crop, interpolation="nearest")
            axes.set_title(name, fontsize=10)
            axes.set_xlabel(captions[i].get(name, "") if captions else "", fontsize=9)
        if differences:
            _draw_differences(figure, grid[2 * i + 1], list(crops.values()))
    figure.savefig(path)


def _draw_differences(figure: Figure, axes_row: Any, crops: Sequence[np.ndarray]) -> None:
    """Mean distance of the channels from those of the first crop, on one scale for all."""
    reference = crops[0].astype(float)
    maps = [np.abs(crop - reference).mean(axis=2) for crop in crops[1:]]
    for axes in axes_row[:2]:
        axes.axis("off")
    for axes, distance in zip(axes_row[2:], maps, strict=True):
        drawn = axes.imshow(distance, cmap="magma", vmin=0, vmax=max(1.0, *map(np.max, maps)))
        axes.set_xlabel(f"mean {distance.mean():.1f} levels", fontsize=9)
    figure.colorbar(drawn, ax=axes_row[1], location="left", shrink=0.8, label="levels")


def _worst_window(reference: np.ndarray, other: np.ndarray, size: int) -> tuple[int, int]:
    """Top left corner of the window with the largest squared error."""
    error = np.square(reference.astype(float) - other).sum(axis=2)
    total = np.pad(error.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = (
        total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    )
    y, x = np.unravel_index(windows.argmax(), windows.shape)
    return int(y), int(x)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns)
