"""Pictures of genotypes, made of the diagrams that their classes give."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import BoxStyle, FancyArrowPatch, FancyBboxPatch

from .base import Genotype
from .diagram import Box, Diagram

__all__ = ["draw_genotype"]

FILLS = {"searched": "#ffd9a0", "fixed": "#e9ecef", "data": "#ffffff"}
LINES = {"searched": "#c85a00", "fixed": "#495057", "data": "#adb5bd"}
INCHES_PER_UNIT = 0.8
DPI = 120
BOX_HEIGHT = 0.62


def draw_genotype(genotype: Genotype, path: str | Path | None = None) -> np.ndarray:
    """Draws the network that a genotype describes.

    Args:
        genotype: The genotype; its ``diagrams()`` are drawn one below the other.
        path: Picture file to write, PNG or another raster format by its suffix.

    Returns:
        The picture, uint8 RGB ``(H, W, 3)``.
    """
    diagrams = genotype.diagrams()
    extents = [_extent(diagram) for diagram in diagrams]
    width = max(right - left for left, right, _, _ in extents)
    height = sum(top - bottom for *_, bottom, top in extents)
    figure = Figure(figsize=(width * INCHES_PER_UNIT, height * INCHES_PER_UNIT), dpi=DPI)
    free = 1.0
    for diagram, (left, right, bottom, top) in zip(diagrams, extents, strict=True):
        share = (top - bottom) / height
        free -= share
        middle = (left + right) / 2
        ax = figure.add_axes((0, max(free, 0), 1, share))
        ax.set(xlim=(middle - width / 2, middle + width / 2), ylim=(bottom, top))
        ax.set_axis_off()
        _draw(ax, diagram)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    if path is not None:
        imsave(path, picture)
    return picture


def _width(text: str) -> float:
    return max(BOX_HEIGHT, 0.35 + 0.155 * max(map(len, text.split("\n"))))


def _extent(diagram: Diagram) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a panel, with room for bent arrows and the heading."""
    boxes = diagram.boxes
    left = min(x - _width(text) / 2 for x, _, text, _ in boxes.values())
    right = max(x + _width(text) / 2 for x, _, text, _ in boxes.values())
    # An arrow of length d with bend b rises to b * d / 2 above its chord.
    rises = [
        (boxes[a][1] + boxes[b][1]) / 2 + bend * abs(boxes[b][0] - boxes[a][0]) / 2
        for a, b, _, bend in diagram.arrows
    ]
    ys = [y for _, y, _, _ in boxes.values()]
    return left - 0.4, right + 0.4, min(ys + rises) - BOX_HEIGHT, max(ys + rises) + 2 * BOX_HEIGHT


def _draw(ax: Axes, diagram: Diagram) -> None:
    title = {"fontsize": 11, "ha": "left", "va": "top", "transform": ax.transAxes}
    ax.text(0.01, 0.98, diagram.title, **title)
    for start, end, kind, bend in diagram.arrows:
        source, target = diagram.boxes[start], diagram.boxes[end]
        arrow = FancyArrowPatch(
            _port(source, target, bend),
            _port(target, source, bend),
            connectionstyle=f"arc3,rad={bend if source[0] > target[0] else -bend}",
            shrinkA=0,
            shrinkB=0,
            arrowstyle="-|>",
            mutation_scale=9,
            linewidth=1.6 if kind == "searched" else 1.0,
            color=LINES[kind],
        )
        ax.add_patch(arrow)
    for x, y, text, kind in diagram.boxes.values():
        width = _width(text)
        box = FancyBboxPatch(
            (x - width / 2, y - BOX_HEIGHT / 2),
            width,
            BOX_HEIGHT,
            boxstyle=BoxStyle("Round", pad=0, rounding_size=0.16),
            facecolor=FILLS[kind],
            edgecolor=LINES[kind],
        )
        ax.add_patch(box)
        ax.text(x, y, text, ha="center", va="center", fontsize=8.5)


def _port(box: Box, other: Box, bend: float) -> tuple[float, float]:
    """Where an arrow to another box leaves this one: at its top or bottom if it is bent."""
    (x, y, text, _), (other_x, other_y, *_) = box, other
    half_width, half_height, dx, dy = _width(text) / 2, BOX_HEIGHT / 2, other_x - x, other_y - y
    if bend:
        return x + np.sign(dx) * half_width / 2, y + np.sign(bend) * half_height
    reach = min(half_width / abs(dx) if dx else np.inf, half_height / abs(dy) if dy else np.inf)
    return x + reach * dx, y + reach * dy
