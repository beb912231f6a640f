"""Removes channels of a trained network: ``python tools/prune.py CONFIG CHECKPOINT --genotype G``.

Writes ``pruned.pth``, the pruned network (and dual networks) to fine-tune, and ``genotype.json``.
Started again with the same options, it continues after the last finished site.
"""

import argparse
from pathlib import Path

import torch

from mmsrnas.apis import prune
from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.costs import COSTS
from mmsrnas.pruning import CRITERIA


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Remove channels of a trained network")
    parser.add_argument("config", help="config of the full network or of the search")
    parser.add_argument("checkpoint", help="checkpoint of the full network or of the search")
    widths = parser.add_mutually_exclusive_group(required=True)
    widths.add_argument("--genotype", help="name of a DRC genotype, or genotype.json of a search")
    widths.add_argument("--uniform", type=float, metavar="SHARE", help="equal shares everywhere")
    widths.add_argument("--random", type=float, metavar="SHARE", help="random shares, by --seed")
    parser.add_argument("--cost", choices=COSTS, default=COSTS[0], help="cost that SHARE is of")
    parser.add_argument("--target", help="target of the latency, e.g. onnxruntime:cpu:1:180x320")
    parser.add_argument("--criterion", choices=CRITERIA, default=CRITERIA[0])
    parser.add_argument("--batches", type=int, default=10, help="batches of the training data")
    parser.add_argument("--lr", type=float, default=5e-5, help="learning rate of the fit")
    parser.add_argument("--channels-per-step", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work-dir", help="folder of the results; default work_dirs/CONFIG_prune")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    args = parser.parse_args()
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            parser.error(f"{path} does not exist")
    return args


def main() -> None:
    """Prunes the network and says what is left."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    pruned = prune(
        cfg,
        args.checkpoint,
        args.work_dir or Path("work_dirs") / f"{Path(args.config).stem}_prune",
        genotype=args.genotype,
        uniform=args.uniform,
        random=args.random,
        cost=dict(type=args.cost, target=args.target),
        criterion=args.criterion,
        num_batches=args.batches,
        lr=args.lr,
        channels_per_step=args.channels_per_step,
        seed=args.seed,
        device=args.device,
    )
    before, after = pruned.params
    print(f"parameters: {before:,} -> {after:,} ({after / before:.1%})")
    before, after = pruned.multi_adds
    print(
        f"Multi-Adds for 1280x720: {before / 1e9:.1f} G -> {after / 1e9:.1f} G "
        f"({after / before:.1%})"
    )
    print(f"{pruned.checkpoint} and {pruned.genotype_file} are ready for fine-tuning")


if __name__ == "__main__":
    main()
