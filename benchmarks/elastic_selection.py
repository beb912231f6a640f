"""NSGA-II against random search among the networks of a trained supernet, at equal evaluations.

    python benchmarks/elastic_selection.py --data DIR --work work_dirs/elastic_front

The work folder is that of ``elastic_front.py``: its supernet and its latency table are used. Every
block has a width of its own here: the networks of stages, 328, are few enough to judge all. Prints
the hypervolume of both fronts for every seed, in dB times milliseconds.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from elastic_front import SCALE, Judge, calibrated_cost, load_supernet, proxy_images
from truth.images import Images, held_out_sets

from mmsrnas.analysis.evolution import evolve, random_search
from mmsrnas.analysis.front import hypervolume

WORST_PSNR = 32.73
"""PSNR in dB of bicubic interpolation on the crops."""
WORST_MS = 40.0


def main() -> None:
    """Searches twice with every seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/elastic_front"))
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--images", type=int, default=6, help="crops that judge")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load_supernet(args.work)
    held = held_out_sets(args.data / "train", SCALE, gray=False)["photos"]
    few = Images(held.inputs[: args.images], held.targets[: args.images])
    space = dataclasses.replace(net.space, cells_per_stage=1)
    judge = Judge(net, proxy_images(few), calibrated_cost(args.work), args.work / "selection.json")
    for seed in range(args.seeds):
        found = [
            hypervolume(search(space, judge, args.evaluations, seed), WORST_PSNR, WORST_MS)
            for search in (evolve, random_search)
        ]
        print(f"seed {seed}: NSGA-II {found[0]:.3f}, random search {found[1]:.3f}", flush=True)


if __name__ == "__main__":
    main()
