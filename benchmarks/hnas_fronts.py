"""Fronts of several searches of HNAS in one picture.

``python benchmarks/hnas_fronts.py OUT.png "lambda 0.2=DERIVED/architectures.csv" ...`` draws the
tables of ``tools/rank_policy.py``: what the policy and what random search scored, and the front
over both.  Searches do not share their weights, so that PSNR compares within a search alone.
"""

import argparse
import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(axes: Axes, label: str, table: Path, colour: str) -> None:
    """Draws one search: crosses are random architectures, discs the policy's, the star its argmax.

    Args:
        axes: Where to draw.
        label: Name of the search.
        table: ``architectures.csv`` of the search.
        colour: Of all its marks.
    """
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    marks = {"random": ("x", 25), "sample": ("o", 20), "argmax": ("*", 160)}
    for group, (marker, size) in marks.items():
        points = [point(row) for row in rows if row["group"] == group]
        name = f"{label}, {group}"
        xy = zip(*points, strict=True)
        axes.scatter(*xy, size, colour, marker=marker, alpha=0.7, label=name)
    front = sorted(point(row) for row in rows if row["on_front"] == "True")
    axes.step(*zip(*front, strict=True), color=colour, where="post", linewidth=1)


def point(row: dict[str, str]) -> tuple[float, float]:
    """Multi-Adds in G and PSNR in dB."""
    return float(row["multi_adds"]) / 1e9, float(row["psnr"])


def main() -> None:
    """Reads the command line and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="picture file")
    parser.add_argument("tables", nargs="+", metavar="LABEL=CSV", help="searches")
    args = parser.parse_args()
    figure = Figure(figsize=(7, 4.4), dpi=100, layout="constrained")
    axes = figure.subplots()
    for index, table in enumerate(args.tables):
        label, _, path = table.partition("=")
        draw(axes, label, Path(path), f"C{index}")
    axes.set(xlabel="Multi-Adds [G]", ylabel="PSNR with shared weights [dB]", xscale="log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=len(args.tables), loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
