"""Tables of comparisons: Markdown that is aligned for a terminal, CSV, and published numbers."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .complexity import CONVENTION

__all__ = ["Row", "read_published", "to_markdown", "write_csv"]

Row = dict[str, Any]
"""``model``, costs (``params``, ``multi_adds``, ``latency_ms``, ``memory_mb``) and metrics."""

TITLES = {
    "params": "Params",
    "multi_adds": "Multi-Adds",
    "latency_ms": "Latency",
    "memory_mb": "Memory",
}
SILENT = ("target", "published", "note")
"""Columns that stand under the table."""


def read_published(path: str | Path, scale: int) -> list[Row]:
    """Numbers that others have printed.

    Args:
        path: CSV file with the columns ``model``, ``scale``, ``source``, ``params`` and
            ``multi_adds`` (for a 1280x720 output) where they are known, and a column for each
            metric, e.g. ``Set5/PSNR``.
        scale: Rows of other scales are left out.

    Returns:
        A row for each network; ``published`` is the source.

    Raises:
        ValueError: A column is missing, or a number is none.
    """
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        missing = {"model", "scale", "source"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: it has no column {', '.join(sorted(missing))}.")
        rows = []
        for number, cells in enumerate(reader, start=2):
            if cells["scale"] != str(scale):
                continue
            row: Row = {"model": f"{cells['model']} (published)", "published": cells["source"]}
            for column, text in cells.items():
                if text and column not in ("model", "scale", "source"):
                    try:
                        row[column] = float(text) if "/" in column else int(text)
                    except ValueError:
                        raise ValueError(
                            f"{path}, line {number}: {column} is {text!r}, no number."
                        ) from None
            rows.append(row)
    return rows


def to_markdown(rows: Sequence[Row], hr_size: tuple[int, int]) -> str:
    """A table that a terminal shows well too, and under it how its numbers came about.

    Args:
        rows: One per network.
        hr_size: ``(height, width)`` of the HR image for which Multi-Adds count.
    """
    columns = [column for column in _columns(rows) if column not in SILENT]
    cells = [[TITLES.get(column, column) for column in columns]]
    cells += [[_format(column, row.get(column)) for column in columns] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, f"| {' | '.join(rule)} |")
    notes = []
    if "multi_adds" in columns:
        notes.append(f"Multi-Adds are for one {hr_size[1]}x{hr_size[0]} output. {CONVENTION}")
    for target in sorted({row["target"] for row in rows if row.get("target")}):
        notes.append(f"Latency: median for one image, on {target}.")
        if "memory_mb" in columns:
            notes.append("Memory: the most that one image takes there, beside the weights.")
    if any(row.get("published") for row in rows):
        sources = dict.fromkeys(row["published"] for row in rows if row.get("published"))
        notes.append(f"(published): printed by {'; '.join(sources)}, not measured here.")
    notes += [f"{row['model']}: {row['note']}" for row in rows if row.get("note")]
    return "\n\n".join(["\n".join(lines), *notes]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join(padded)} |"


def write_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Writes the unrounded numbers of all rows."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _columns(rows: Sequence[Row]) -> list[str]:
    """Columns with a value, costs before metrics."""
    filled = {"model"} | {column for row in rows for column in row if row[column] is not None}
    order = dict.fromkeys(["model", *TITLES, *(column for row in rows for column in row)])
    return [column for column in order if column in filled]


def _format(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column == "params":
        return f"{value:,}"
    if column == "multi_adds":
        return f"{value / 1e9:.2f} G"
    if column == "latency_ms":
        return f"{value:.3g} ms"
    if column == "memory_mb":
        return f"{value:,.0f} MB"
    if column.endswith("SSIM"):
        return f"{value:.4f}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
