"""Drawings of genotypes; a method adds its layout to the table at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import BoxStyle, FancyArrowPatch, FancyBboxPatch

from .base import Genotype
from .dlsr import DLSRGenotype
from .drc import DRCGenotype
from .hinas import HiNASGenotype
from .hnas import HNASGenotype

__all__ = ["Diagram", "draw_genotype"]

FILLS = {"searched": "#ffd9a0", "fixed": "#e9ecef", "data": "#ffffff"}
LINES = {"searched": "#c85a00", "fixed": "#495057", "data": "#adb5bd"}
INCHES_PER_UNIT = 0.8
DPI = 120
BOX_HEIGHT = 0.62

Box = tuple[float, float, str, str]


@dataclass
class Diagram:
    """Boxes and arrows of one panel; a kind is ``searched``, ``fixed`` or ``data``.

    Attributes:
        title: Heading of the panel.
        boxes: ``name -> (x, y, text, kind)``, ``x`` and ``y`` in units of about a box's height.
        arrows: ``(from, to, kind, bend)``; a bend above 0 passes above the boxes in between.
    """

    title: str
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[tuple[str, str, str, float]] = field(default_factory=list)

    def box(self, name: str, x: float, y: float, text: str, kind: str = "fixed") -> None:
        """Adds a box with its centre at ``(x, y)``."""
        self.boxes[name] = (x, y, text, kind)

    def arrow(self, start: str, end: str, kind: str = "fixed", bend: float = 0.0) -> None:
        """Adds an arrow between two boxes."""
        self.arrows.append((start, end, kind, bend))


def draw_genotype(genotype: Genotype, path: str | Path | None = None) -> np.ndarray:
    """Draws the network that a genotype describes.

    Args:
        genotype: Genotype of a method that has a layout.
        path: Picture file to write, PNG or another raster format by its suffix.

    Returns:
        The picture, uint8 RGB ``(H, W, 3)``.

    Raises:
        ValueError: The method has no layout.
    """
    if genotype.method not in LAYOUTS:
        raise ValueError(
            f"genotype method {genotype.method!r} has no drawing; there are "
            f"{', '.join(LAYOUTS)}. Add a layout to mmsrnas/genotypes/drawing.py."
        )
    diagrams = LAYOUTS[genotype.method](genotype)
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


def _dlsr(genotype: DLSRGenotype) -> list[Diagram]:
    return [_dlsr_cell(genotype), _dlsr_network(genotype)]


def _dlsr_cell(genotype: DLSRGenotype) -> Diagram:
    cell = Diagram(f"DLSR cell, {genotype.mid_channels} channels")
    cell.box("x0", 0, 0, "in", "data")
    for i, op in enumerate(genotype.ops):
        x = 3.6 * i
        cell.box(f"op{i + 1}", x + 1.9, 0, op, "searched")
        cell.box(f"x{i + 1}", x + 3.6, 0, "+")
        cell.arrow(f"x{i}", f"op{i + 1}")
        cell.arrow(f"op{i + 1}", f"x{i + 1}")
        cell.arrow(f"x{i}", f"x{i + 1}", bend=0.42)
    cell.box("concat", 5.4, -3.0, "concat", "data")
    for i in range(4):
        cell.box(f"d{i}", 3.6 * i, -1.5, "conv_1x1" if i < 3 else "conv_3x3")
        cell.arrow(f"x{i}", f"d{i}")
        cell.arrow(f"d{i}", "concat")
    for x, name in zip((7.4, 9.2, 10.8), ("conv_1x1", "ESA", "out"), strict=True):
        cell.box(name, x, -3.0, name, "data" if name == "out" else "fixed")
    for start, end in (("concat", "conv_1x1"), ("conv_1x1", "ESA"), ("ESA", "out")):
        cell.arrow(start, end)
    return cell


def _dlsr_network(genotype: DLSRGenotype) -> Diagram:
    network = Diagram("Network: cells and the cells they read; all of them are fused")
    last = genotype.num_cells
    for i in range(last):
        network.box(f"cell {i}", 1.8 * (i + 1), 0, f"cell {i}", "searched")
        network.arrow(f"cell {i}", "fusion", "data", bend=-0.2)
    network.box("stem", 0, 0, "conv_3x3")
    tail = 1.8 * (last + 1)
    network.box("fusion", tail, 0, "fusion")
    network.box("out", tail + 1.9, 0, "conv_3x3")
    network.box("add", tail + 3.3, 0, "+")
    network.box("upsampler", tail + 4.8, 0, "upsampler")
    for start, end in (("fusion", "out"), ("out", "add"), ("add", "upsampler")):
        network.arrow(start, end)
    network.arrow("stem", "add", "data", bend=-0.22)
    network.arrow("stem", "cell 0")
    network.arrow("cell 0", "cell 1")
    for cell, pair in enumerate(genotype.connections, start=2):
        for source in pair:
            bend = 0.0 if source == cell - 1 else 0.4
            network.arrow(f"cell {source}", f"cell {cell}", "searched", bend)
    return network


def _hnas(genotype: HNASGenotype) -> list[Diagram]:
    return [
        _hnas_cell("Normal cell", genotype.normal),
        _hnas_cell("Upsampling cell", genotype.upsampling),
        _hnas_network(genotype),
    ]


def _hnas_cell(title: str, edges: tuple[tuple[str, int], ...]) -> Diagram:
    """Node ``t`` and its two operations stand in a column; odd columns are lower."""
    cell = Diagram(f"{title}; all nodes from 2 on are concatenated")
    cell.box("node 0", 0, 1.0, "0: last but one", "data")
    cell.box("node 1", 0, -1.0, "1: last cell", "data")
    for index, (op, source) in enumerate(edges):
        node, second = index // 2 + 2, index % 2
        x = 4.6 * (node - 1)
        name = f"edge {index}"
        cell.box(name, x - 1.6, -0.9 if second else 0.9, f"{source}: {op}", "searched")
        if not second:
            cell.box(f"node {node}", x, 0, f"{node}")
        cell.arrow(f"node {source}", name, bend=-0.3 if second else 0.3)
        cell.arrow(name, f"node {node}", "searched")
    return cell


def _hnas_network(genotype: HNASGenotype) -> Diagram:
    network = Diagram("Network: every cell reads the last two")
    names = ["stem", *(f"cell {i}" for i in range(genotype.num_layers)), "conv_3x3"]
    for i, name in enumerate(names):
        upsamples = name == f"cell {genotype.upsampling_position}"
        searched = name.startswith("cell")
        text = f"{name}\nupsamples" if upsamples else name
        network.box(name, 1.9 * i, 0, text, "searched" if searched else "fixed")
        if i:
            network.arrow(names[i - 1], name)
    position = genotype.upsampling_position + 1
    for i in range(2, len(names) - 1):
        if i != position + 1:  # right after the upsampling both inputs are its output
            network.arrow(names[i - 2], names[i], "data", bend=0.35)
    return network


def _hinas(genotype: HiNASGenotype) -> list[Diagram]:
    cells = [_hinas_cell(genotype, index) for index in range(len(genotype.cells))]
    return [*cells, _hinas_path(genotype)]


def _hinas_cell(genotype: HiNASGenotype, index: int) -> Diagram:
    width = genotype.widths[genotype.path[index]]
    cell = Diagram(f"HiNAS cell {index}, {width} channels; its nodes are concatenated")
    cell.box("s0", 0, -0.7, "cell before", "data")
    cell.box("s1", 0, 0.7, "previous cell", "data")
    for edge, (op, source) in enumerate(genotype.cells[index]):
        node = edge // 2
        lower = min(other for _, other in genotype.cells[index][2 * node : 2 * node + 2])
        x, y = 5.0 * (node + 1), -0.7 if source == lower else 0.7
        cell.box(f"s{node + 2}", x, 0, f"node {node}")
        cell.box(f"op{edge}", x - 2.2, y, op, "searched")
        # Arrows from far away pass above or below what lies in between.
        near = source == node + 1 or node == 0
        cell.arrow(f"s{source}", f"op{edge}", "searched", 0.0 if near else 0.25 * np.sign(y))
        cell.arrow(f"op{edge}", f"s{node + 2}")
    return cell


def _hinas_path(genotype: HiNASGenotype) -> Diagram:
    path = Diagram("Widths: the path of the cells through the levels")
    path.box("stem", 0, 0, "stem", "fixed")
    for cell, level in enumerate(genotype.path):
        for other, width in enumerate(genotype.widths):
            kind = "searched" if other == level else "data"
            path.box(f"{cell} {other}", 2.4 * (cell + 1), -other, f"{width} channels", kind)
        start = f"{cell - 1} {genotype.path[cell - 1]}" if cell else "stem"
        path.arrow(start, f"{cell} {level}", "searched")
    path.box("decoder", 2.4 * (len(genotype.path) + 1), 0, "decoder", "fixed")
    path.arrow(f"{len(genotype.path) - 1} {genotype.path[-1]}", "decoder", "searched")
    return path


def _drc(genotype: DRCGenotype) -> list[Diagram]:
    remaining = sum(genotype.widths) / sum(genotype.full_widths)
    sites = Diagram(
        f"{genotype.architecture}: channels that remain at each site, {remaining:.0%} of all"
    )
    pairs = zip(genotype.widths, genotype.full_widths, strict=True)
    for site, (width, full) in enumerate(pairs):
        row, column = divmod(site, 16)
        kind = "searched" if width < full else "fixed"
        sites.box(f"{site}", 1.4 * column, -row, f"{width}/{full}", kind)
    return [sites]


LAYOUTS: dict[str, Callable[[Genotype], list[Diagram]]] = {
    "dlsr": _dlsr,
    "hnas": _hnas,
    "hinas": _hinas,
    "drc": _drc,
}
"""From the method of a genotype to the panels of its drawing."""
