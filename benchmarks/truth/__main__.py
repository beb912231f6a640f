"""Continues the table of a space: trains what it does not have yet.

    python -m benchmarks.truth dlsr --data DIR
    python -m benchmarks.truth dlsr --data DIR --shard 0/4   # the first of four machines

DIR holds ``photos`` and ``BSDS500``. Every finished training is one row of the CSV file, so that an
interrupted run goes on where it was.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mmsrnas.costs import build_cost
from mmsrnas.genotypes import Genotype

from .images import Images, held_out_sets, training_images
from .spaces import SPACES, Space
from .table import append_row, read_rows, table_path
from .training import evaluate, train

REPEATED = 10
"""Architectures, spread evenly, that are trained with three seeds."""
SEEDS = 3


def jobs(space: Space) -> Iterator[tuple[Genotype, int]]:
    """All trainings of a table, in order."""
    rng = np.random.default_rng(0)
    genotypes: dict[Genotype, None] = {}
    while len(genotypes) < space.count:
        genotypes[space.sample(rng)] = None
    interval = space.count // REPEATED
    for index, genotype in enumerate(genotypes):
        yield from ((genotype, seed) for seed in range(1 if index % interval else SEEDS))


def run(space: Space, genotype: Genotype, seed: int, images: Images, held: dict) -> dict:
    """Trains and judges one architecture; returns its row."""
    torch.manual_seed(seed)
    net = space.build(genotype)
    params, multi_adds = (int(build_cost(cost)(net)) for cost in ("params", "multi_adds"))
    seconds = train(net, images, space.recipe, space.scale, seed)
    sigma = space.recipe.sigma
    psnr = {f"psnr_{k}": round(evaluate(net, v, space.scale, sigma), 4) for k, v in held.items()}
    return {
        "genotype": json.dumps(genotype.to_dict()),
        "seed": seed,
        "params": params,
        "multi_adds": multi_adds,
        "seconds": round(seconds, 1),
        **psnr,
    }


def main() -> None:
    """Reads the command line and works through the jobs of the shard."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space", choices=SPACES)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos and BSDS500")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th training from the i-th on")
    parser.add_argument("--out", type=Path, help="CSV file; the committed one by default")
    args = parser.parse_args()
    shard, shards = map(int, args.shard.split("/"))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    space = SPACES[args.space]
    path = args.out or table_path(args.space)
    images = training_images(args.data, space.scale, space.gray)
    held = held_out_sets(args.data, space.scale, space.gray)
    for genotype, seed in list(jobs(space))[shard::shards]:
        if any((row.genotype, row.seed) == (genotype, seed) for row in read_rows(path)):
            continue
        row = run(space, genotype, seed, images, held)
        append_row(path, row)
        print({k: v for k, v in row.items() if k != "genotype"}, flush=True)


if __name__ == "__main__":
    main()
