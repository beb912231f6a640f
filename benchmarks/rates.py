"""By which recipe does a network of the elastic front learn best?

    python benchmarks/rates.py elastic_0 compact_8 --data DIR --recipe lr=2e-3 ends=0.0625
    python benchmarks/rates.py --report

The networks are those of ``results/elastic_plan.json``. Recipes are chosen by the held-out sets of
the tables of truth, so that nothing is chosen by the images of the proof. DIR holds ``photos`` and
``BSDS500``. Rows go to ``results/rates.csv``; what has a row is not trained again.
"""

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from elastic_front import RESULTS, SCALE, deployed, finish_row, started
from torch import nn
from truth.cuda_graphs import train_all
from truth.images import Images, held_out_sets, training_images
from truth.spaces import Centered
from truth.table import read_records
from truth.training import Recipe, evaluate, recipe_value

VARIED = ("lr", "ends", "mean", "clip")
KEY = ("budget_ms", "network", "seed", "iterations", *VARIED)
COLUMNS = (*KEY, "psnr_photos", "psnr_bsds", "seconds")
ROWS = RESULTS / "rates.csv"
PLAIN = Recipe(lr=1e-3)


def train_specs(
    specs: Sequence[dict[str, Any]], seed: int, args: argparse.Namespace, images: Images
) -> Iterator[tuple[nn.Module, float]]:
    """Networks of the plan, trained as they are run, and the seconds of each.

    One after the other on a CPU, side by side on a GPU.
    """
    nets = [started(spec, images, args.recipe, seed) for spec in specs]
    mean, size = args.recipe.mean, 1 if args.device == "cpu" else max(1, len(nets))
    for first in range(0, len(nets), size):
        part = [Centered(net, mean).to(args.device) for net in nets[first : first + size]]
        seconds = train_all(part, images, args.recipe, SCALE, seed)
        yield from ((Centered(deployed(net.net), mean), seconds) for net in part)


def report(rows: Iterable[dict[str, str]]) -> str:
    """The rows as a table, the best of each network and length first."""

    def order(row: dict[str, str]) -> tuple[Any, ...]:
        psnr = float(row["psnr_photos"]) + float(row["psnr_bsds"])
        return float(row["budget_ms"]), row["network"], int(row["iterations"]), -psnr

    names = (*KEY, "psnr_photos", "psnr_bsds")
    lines = [f"| {' | '.join(names)} |", "|---:|---|" + "---:|" * (len(names) - 2)]
    for row in sorted(rows, key=order):
        lines.append(f"| {' | '.join(row[name] for name in names)} |")
    return "\n".join(lines)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="e.g. elastic_0 compact_8")
    parser.add_argument("--data", type=Path, help="folder of photos and BSDS500")
    parser.add_argument("--budget", type=int, default=1, help="which of the plan, from 0 on")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--recipe", nargs="+", default=[], type=recipe_value, metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=ROWS)
    parser.add_argument("--report", action="store_true", help="print what is there, train nothing")
    args = parser.parse_args()
    if not args.report and (args.data is None or not args.networks):
        parser.error("expected networks and --data, or --report")
    values = dict(args.recipe)
    if values.keys() - set(VARIED):
        parser.error(f"--recipe: expected some of {', '.join(VARIED)}")
    values |= {"iterations": args.iterations, "warm_up": args.iterations // 20}
    args.recipe = replace(PLAIN, **values)
    return args


def main() -> None:
    """Trains what has no row yet."""
    args = parse_args()
    if args.report:
        print(report(read_records(args.out)))
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    front = json.loads((RESULTS / "elastic_plan.json").read_text())["front"]
    budget = sorted({spec["budget_ms"] for spec in front})[args.budget]
    specs = {spec["network"]: spec for spec in front if spec["budget_ms"] == budget}
    images = training_images(args.data, SCALE, gray=False)
    held = held_out_sets(args.data, SCALE, gray=False)
    done = {tuple(row[name] for name in KEY) for row in read_records(args.out)}
    recipe = {field: getattr(args.recipe, field) for field in KEY[3:]}
    for seed in args.seed:
        keys = [dict(zip(KEY, (budget, n, seed), strict=False)) | recipe for n in args.networks]
        keys = [key for key in keys if tuple(map(str, key.values())) not in done]
        found = train_specs([specs[key["network"]] for key in keys], seed, args, images)
        for key, (net, seconds) in zip(keys, found, strict=True):
            psnr = {f"psnr_{k}": round(evaluate(net, v, SCALE), 4) for k, v in held.items()}
            finish_row(args.out, COLUMNS, key | psnr | {"seconds": round(seconds, 1)})


if __name__ == "__main__":
    main()
