"""Reading and writing of the tables."""

import csv
import fcntl
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsrnas.genotypes import Genotype, load_genotype

__all__ = [
    "COLUMNS",
    "Row",
    "Truth",
    "append_row",
    "load_truth",
    "read_records",
    "read_rows",
    "table_path",
]

COLUMNS = (
    "genotype", "seed", "params", "multi_adds", "latency_ms", "psnr_photos", "psnr_bsds", "seconds"
)  # fmt: skip


def table_path(space: str) -> Path:
    """The committed table of a space."""
    return Path(__file__).parent / f"{space}.csv"


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        genotype: What was trained.
        seed: Seed of initial weights and patches.
        params: Number of parameters.
        multi_adds: Multiply-accumulates for a 1280x720 output.
        latency_ms: Milliseconds on the target of the table; NaN where it was not measured.
        psnr_photos: PSNR in dB on held-out photographs.
        psnr_bsds: PSNR in dB on images of BSDS500.
        seconds: CPU seconds of the training.
    """

    genotype: Genotype
    seed: int
    params: int
    multi_adds: int
    latency_ms: float
    psnr_photos: float
    psnr_bsds: float
    seconds: float

    @property
    def psnr(self) -> float:
        """Mean PSNR of the two sets in dB."""
        return (self.psnr_photos + self.psnr_bsds) / 2


def read_records(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by column; none where the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_rows(path: Path) -> list[Row]:
    """Rows of a table; none where the file does not exist."""
    return [_row(record) for record in read_records(path)]


def _row(record: Mapping[str, str]) -> Row:
    return Row(
        load_genotype(json.loads(record["genotype"])),
        int(record["seed"]),
        int(record["params"]),
        int(record["multi_adds"]),
        float(record["latency_ms"] or "nan"),
        *(float(record[name]) for name in COLUMNS[5:]),
    )


def append_row(path: Path, record: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> None:
    """Adds a row; several processes may do so at once."""
    with path.open("a", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if path.stat().st_size == 0:
            writer.writeheader()
        writer.writerow(record)


class Truth:
    """A table that answers queries.

    Args:
        rows: Trainings; several of one genotype are averaged.
        cost: The unit of budgets: ``'multi_adds'``, ``'params'`` or ``'latency_ms'``.

    Raises:
        ValueError: There is no row.
    """

    def __init__(self, rows: Iterable[Row], cost: str = "multi_adds") -> None:
        self.runs: dict[Genotype, list[Row]] = {}
        for row in rows:
            self.runs.setdefault(row.genotype, []).append(row)
        if not self.runs:
            raise ValueError("this table of truth has no row yet")
        self.unit = cost

    @property
    def genotypes(self) -> list[Genotype]:
        """All architectures of the table."""
        return list(self.runs)

    def psnr(self, genotype: Genotype) -> float:
        """Mean PSNR in dB over sets and seeds."""
        return float(np.mean([row.psnr for row in self.runs[genotype]]))

    def cost(self, genotype: Genotype) -> float:
        """Cost in the unit of the table's budgets."""
        return float(getattr(self.runs[genotype][0], self.unit))

    def best(self, budget: float = np.inf) -> Genotype:
        """The best architecture that costs at most ``budget``.

        Raises:
            ValueError: There is none.
        """
        within = [g for g in self.runs if self.cost(g) <= budget]
        if not within:
            least = min(map(self.cost, self.runs))
            raise ValueError(f"budget: the cheapest architecture costs {least:g}, got {budget:g}.")
        return max(within, key=self.psnr)

    def regret(self, genotype: Genotype) -> float:
        """PSNR in dB that a choice loses against the best of at most its cost."""
        return self.psnr(self.best(self.cost(genotype))) - self.psnr(genotype)

    def noise(self) -> float:
        """Standard deviation of the PSNR over seeds in dB, of the repeated architectures.

        What a seed does to all architectures alike is no noise of their comparison: it is taken
        away. NaN where less than two architectures are repeated.
        """
        repeated = [rows for rows in self.runs.values() if len(rows) > 1]
        if len(repeated) < 2:
            return float("nan")
        seeds = sorted({row.seed for rows in repeated for row in rows})
        table = np.full((len(repeated), len(seeds)), np.nan)
        for values, rows in zip(table, repeated, strict=True):
            for row in rows:
                values[seeds.index(row.seed)] = row.psnr
        freedom = (~np.isnan(table)).sum() - sum(table.shape) + 1
        if freedom < 1:  # no two of them share two seeds
            return float("nan")
        table -= np.nanmean(table, axis=1, keepdims=True)
        table -= np.nanmean(table, axis=0, keepdims=True)
        return float(np.sqrt(np.nansum(table**2) / freedom))

    def residuals(self) -> dict[Genotype, float]:
        """PSNR in dB above what the cost explains: a parabola in its logarithm."""
        x = np.log([self.cost(g) for g in self.runs])
        y = np.array([self.psnr(g) for g in self.runs])
        fit = np.polynomial.Polynomial.fit(x, y, 2)
        return dict(zip(self.runs, y - fit(x), strict=True))


def load_truth(space: str, cost: str = "multi_adds") -> Truth:
    """Loads the table of a space.

    Args:
        space: Name of the space, e.g. ``'dlsr'``.
        cost: The unit of budgets.
    """
    return Truth(read_rows(table_path(space)), cost)
