"""Fills the column ``latency_ms`` of tables: what the networks of their genotypes take.

    python -m benchmarks.truth.latency benchmarks/truth/dlsr.csv --target onnxruntime:cpu:1:96x160

Latency is predicted from the operator table of the target: operators that it does not have yet are
measured on this machine, which should be quiet, and kept for the next time. Any CSV file with the
columns ``genotype`` (JSON) and ``latency_ms`` will do; values that are there stay.
"""

import argparse
import csv
import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from mmsrnas.costs import Cost
from mmsrnas.genotypes import Genotype, load_genotype
from mmsrnas.latency import parse_target
from mmsrnas.pruning import PrunedNet
from mmsrnas.registry import MODELS

DEFAULT_TARGET = "onnxruntime:cpu:1:96x160"


def network_of(genotype: Any) -> nn.Module:
    """The network of a genotype of any method, without an interpolation around it."""
    if genotype.method == "drc":
        return PrunedNet(genotype)
    return MODELS.build(dict(type=f"mmsrnas.{genotype.network}", genotype=genotype))


def fill(path: Path, latency_of: Callable[[Genotype], float]) -> int:
    """Fills the rows of a table that have no latency.

    Args:
        path: The table; rows that others append meanwhile are kept.
        latency_of: Milliseconds of a genotype.

    Returns:
        Number of rows that were filled.
    """
    with path.open(newline="") as file:
        missing = {row["genotype"] for row in csv.DictReader(file) if not row["latency_ms"]}
    found = {text: latency_of(load_genotype(json.loads(text))) for text in sorted(missing)}
    with path.open("r+", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as `append_row` does
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
        to_fill = [row for row in rows if not row["latency_ms"] and row["genotype"] in found]
        for row in to_fill:
            row["latency_ms"] = f"{found[row['genotype']]:.3f}"
        file.seek(0)
        file.truncate()
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(to_fill)


def main() -> None:
    """Reads the command line and fills the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--target", type=parse_target, default=parse_target(DEFAULT_TARGET))
    parser.add_argument("--table", type=Path, help="file of the operator table")
    args = parser.parse_args()
    cost = Cost("latency", target=args.target, table=args.table)
    for path in args.tables:
        print(f"{path}: {fill(path, lambda genotype: cost(network_of(genotype)))} rows")


if __name__ == "__main__":
    main()
