"""Continues the table of a space: trains what it does not have yet.

    python -m benchmarks.truth dlsr --data DIR
    python -m benchmarks.truth dlsr --data DIR --shard 0/4   # the first of four machines
    python -m benchmarks.truth dlsr --data DIR --device cuda # many at once on a GPU

DIR holds ``photos`` and ``BSDS500``. Every finished training is one row of the CSV file, so that an
interrupted run goes on where it was.
"""

import argparse
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mmsrnas.costs import build_cost
from mmsrnas.genotypes import Genotype

from .cuda_graphs import train_all
from .images import Images, held_out_sets, training_images
from .spaces import SPACES, Space
from .table import append_row, read_rows, table_path
from .training import evaluate, recipe_value

Jobs = Sequence[tuple[Genotype, int]]
Trained = tuple[Genotype, int, nn.Module, float]
"""Genotype, seed, network and seconds of a training."""

REPEATED = 10
"""Architectures, spread evenly, that are trained with three seeds."""
SEEDS = 3


def jobs(space: Space) -> Iterator[tuple[Genotype, int]]:
    """All trainings of a table: every architecture once, then some of them again."""
    rng = np.random.default_rng(0)
    genotypes: dict[Genotype, None] = {}
    while len(genotypes) < space.count:
        genotypes[space.sample(rng)] = None
    again = list(genotypes)[:: space.count // REPEATED]
    for seed in range(SEEDS):
        yield from ((genotype, seed) for genotype in (again if seed else genotypes))


def train_jobs(
    space: Space, todo: Jobs, images: Images, device: str, together: int
) -> Iterator[Trained]:
    """Trains one after the other on one core, or those of a seed side by side on a GPU."""
    size = 1 if device == "cpu" else together
    for seed, group in itertools.groupby(sorted(todo, key=itemgetter(1)), key=itemgetter(1)):
        genotypes = [genotype for genotype, _ in group]
        for first in range(0, len(genotypes), size):
            part = genotypes[first : first + size]
            nets = [space.start(genotype, seed, images).to(device) for genotype in part]
            seconds = train_all(nets, images, space.recipe, space.scale, seed)
            for genotype, net in zip(part, nets, strict=True):
                yield genotype, seed, net, seconds


def row_of(trained: Trained, space: Space, held: dict[str, Images]) -> dict[str, Any]:
    """Judges one trained architecture; returns its row."""
    genotype, seed, net, seconds = trained
    sigma = space.recipe.sigma
    psnr = {f"psnr_{k}": round(evaluate(net, v, space.scale, sigma), 4) for k, v in held.items()}
    params, multi_adds = (int(build_cost(cost)(net.cpu())) for cost in ("params", "multi_adds"))
    return {
        "genotype": json.dumps(genotype.to_dict()),
        "seed": seed,
        "params": params,
        "multi_adds": multi_adds,
        "seconds": round(seconds, 1),
        **psnr,
    }


def jobs_of(args: argparse.Namespace, space: Space, path: Path) -> Jobs:
    """What the command line asks for and the file does not have."""
    shard, shards = map(int, args.shard.split("/"))
    done = {(row.genotype, row.seed) for row in read_rows(path)}
    todo = list(jobs(space))
    if args.repeated:
        again = {genotype for genotype, seed in todo if seed}
        todo = [(genotype, seed) for genotype, seed in todo if genotype in again]
    todo = [(genotype, seed) for genotype, seed in todo if seed < args.seeds]
    return [job for job in todo[shard::shards] if job not in done]


def main() -> None:
    """Reads the command line and works through the jobs of the shard."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space", choices=SPACES)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos and BSDS500")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th training from the i-th on")
    parser.add_argument("--out", type=Path, help="CSV file; the committed one by default")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--together", type=int, default=40, help="networks at once on a GPU")
    parser.add_argument(
        "--recipe", nargs="+", default=[], type=recipe_value, metavar="NAME=VALUE",
        help="another one; needs --out",
    )  # fmt: skip
    parser.add_argument("--repeated", action="store_true", help="only those with several seeds")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="the first seeds only")
    args = parser.parse_args()
    if args.recipe and not args.out:
        parser.error("--recipe: a committed table has one recipe; give --out too")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    space = SPACES[args.space]
    space = replace(space, recipe=replace(space.recipe, **dict(args.recipe)))
    path = args.out or table_path(args.space)
    images = training_images(args.data, space.scale, space.gray)
    held = held_out_sets(args.data, space.scale, space.gray)
    todo = jobs_of(args, space, path)
    for one in train_jobs(space, todo, images, args.device, args.together):
        row = row_of(one, space, held)
        append_row(path, row)
        print({k: v for k, v in row.items() if k != "genotype"}, flush=True)


if __name__ == "__main__":
    main()
