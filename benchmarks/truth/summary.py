"""What the tables say: how far architectures lie apart, and how far seeds.

    python -m benchmarks.truth.summary                       # the committed tables
    python -m benchmarks.truth.summary dlsr=OTHER.csv        # do two recipes give one order?

A second file of a space, of another recipe or machine, is compared with the committed table on the
trainings that both have.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from .spaces import SPACES
from .table import Truth, read_rows, table_path

FEWEST = 10
"""Architectures below which a table says nothing."""


def summary(space: str, truth: Truth) -> str:
    """A line of a Markdown table on one space."""
    first = np.array([rows[0].psnr for rows in truth.runs.values()])
    beyond = np.array(list(truth.residuals().values()))
    repeated = sum(len(rows) > 1 for rows in truth.runs.values())
    noise, flat = truth.noise(), beyond.max() - np.median(beyond)
    numbers = (noise, first.std(), noise / first.std(), beyond.std(), flat, flat / noise)
    cells = [
        space,
        f"{len(first)} ({repeated})",
        *(f"{n:.3f}" if np.isfinite(n) else "" for n in numbers),
    ]
    return f"| {' | '.join(cells)} |"


def comparison(space: str, path: Path) -> str:
    """How the trainings of a file differ from those of the committed table."""
    ours = {(row.genotype, row.seed): row.psnr for row in read_rows(table_path(space))}
    theirs = {(row.genotype, row.seed): row.psnr for row in read_rows(path)}
    both = [key for key in ours if key in theirs]
    if len(both) < 2:
        return f"{space}: {len(both)} trainings in both files, expected at least 2."
    one, other = (np.array([values[key] for key in both]) for values in (ours, theirs))
    change = other - one
    return (
        f"{space}: {len(both)} trainings in both; {change.mean():+.3f} dB in the mean, differences "
        f"spread by {change.std():.3f}; Spearman {spearmanr(one, other)[0]:.2f}"
    )


def main() -> None:
    """Reads the command line and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="SPACE=FILE", help="tables to compare with")
    args = parser.parse_args()
    if args.files:
        for space, _, path in (text.partition("=") for text in args.files):
            print(comparison(space, Path(path)))
        return
    print(
        "| space | networks (repeated) | noise | spread | ratio | beyond cost | best | in noise |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for space in SPACES:
        rows = read_rows(table_path(space))
        if len({row.genotype for row in rows}) >= FEWEST:
            print(summary(space, Truth(rows)))


if __name__ == "__main__":
    main()
