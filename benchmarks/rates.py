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
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from elastic_front import RESULTS, SCALE, build, finish_row, start, trained
from truth.images import Images, held_out_sets, training_images
from truth.table import read_records
from truth.training import Recipe, evaluate, recipe_value

VARIED = ("lr", "ends", "mean", "clip")
KEY = ("budget_ms", "network", "seed", "iterations", *VARIED)
COLUMNS = (*KEY, "psnr_photos", "psnr_bsds", "seconds")
ROWS = RESULTS / "rates.csv"
PLAIN = Recipe(lr=1e-3)


def train_one(
    spec: dict[str, Any], seed: int, recipe: Recipe, images: Images, held: dict[str, Images]
) -> dict[str, Any]:
    """Trains a network of the plan; returns what came out."""
    torch.manual_seed(seed)
    net = build(spec)
    start(net, images, recipe, seed)
    whole, seconds = trained(net, images, recipe, seed)
    psnr = {f"psnr_{name}": round(evaluate(whole, v, SCALE), 4) for name, v in held.items()}
    return psnr | {"seconds": round(seconds, 1)}


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
    parser.add_argument("--seed", type=int, default=0)
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
    for name in args.networks:
        recipe = {field: getattr(args.recipe, field) for field in KEY[3:]}
        key = dict(zip(KEY, (budget, name, args.seed), strict=False)) | recipe
        if tuple(map(str, key.values())) not in done:
            found = train_one(specs[name], args.seed, args.recipe, images, held)
            finish_row(args.out, COLUMNS, key | found)


if __name__ == "__main__":
    main()
