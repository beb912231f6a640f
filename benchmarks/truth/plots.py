"""Pictures of what the tables say.

    python -m benchmarks.truth.plots ranks docs/images/truth_ranks.png
    python -m benchmarks.truth.plots proof docs/images/search_vs_random.png

``ranks`` has the truth over the scores of a supernet that nothing tuned, space by space; ``proof``
the networks of ``search_vs_random.csv`` in the plane of latency and PSNR.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from mmsrnas.genotypes import load_genotype

from .ranking import RESULTS as RANKS
from .table import load_truth, read_records

PROOF = RANKS.with_name("search_vs_random.csv")
MARKERS = {"random": "o", "uniform": "^", "published": "s", "searched": "*"}


def panels(count: int) -> tuple[Figure, Sequence[Any]]:
    """A figure with panels side by side."""
    figure = Figure(figsize=(3.2 * count, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, count, squeeze=False)[0]


def plot_ranks(records: Sequence[dict[str, str]], picture: Path) -> None:
    """Draws the truth over the scores of untuned shared weights, the first run of each space."""
    runs: dict[str, dict[Any, dict[Any, float]]] = {}
    for row in records:
        if row["strategy"] == "paths" and row["finetune"] == "0":
            run = runs.setdefault(row["space"], {}).setdefault((row["lr"], row["seed"]), {})
            run[load_genotype(json.loads(row["genotype"]))] = float(row["score"])
    figure, axes = panels(len(runs))
    for axis, (space, found) in zip(axes, runs.items(), strict=True):
        truth, scores = load_truth(space), next(iter(found.values()))
        known = [genotype for genotype in scores if genotype in truth.runs]
        ours, theirs = [scores[g] for g in known], [truth.psnr(g) for g in known]
        costs = [truth.cost(g) / 1e9 for g in known]
        drawn = axis.scatter(ours, theirs, c=costs, s=18)
        figure.colorbar(drawn, ax=axis, label="Multi-Adds [G]")
        axis.set_title(f"{space}: Spearman {spearmanr(ours, theirs)[0]:.2f}", fontsize=10)
        axis.set_xlabel("PSNR with shared weights [dB]")
        axis.set_ylabel("PSNR, trained alone [dB]")
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)


def plot_proof(records: Sequence[dict[str, str]], picture: Path) -> None:
    """Draws the networks of the proof, each with the mean over its trainings and test sets."""
    methods = dict.fromkeys(row["method"] for row in records)
    figure, axes = panels(len(methods))
    for axis, method in zip(axes, methods, strict=True):
        for shade, (group, marker) in enumerate(MARKERS.items()):
            points: dict[str, list[tuple[float, float]]] = {}
            for row in records:
                if (row["method"], row["group"]) == (method, group):
                    psnr = np.mean([float(row[f"psnr_{n}"]) for n in ("set5", "set14", "valid")])
                    point = (float(row["latency_ms"] or "nan"), float(psnr))
                    points.setdefault(row["genotype"], []).append(point)
            if points:
                means = np.array([np.mean(found, axis=0) for found in points.values()])
                size = 70 if group == "searched" else 30
                axis.scatter(*means.T, marker=marker, s=size, c=f"C{shade}", label=group)
        axis.set_title(method, fontsize=10)
        axis.set_xlabel("latency [ms]")
        axis.set_ylabel("PSNR [dB]")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Reads the command line and draws."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("ranks", "proof"))
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    if args.what == "ranks":
        plot_ranks(read_records(RANKS), args.picture)
    else:
        plot_proof(read_records(PROOF), args.picture)


if __name__ == "__main__":
    main()
