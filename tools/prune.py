"""Makes a trained network smaller: ``mmsrnas prune CONFIG CHECKPOINT --max-latency 20``.

Finds the channel groups, chooses the widths that lose least within the budget, cuts, tunes beside
the full network, tests both, and writes report.md and pruned.pth. Interrupted, it goes on.

With ``--genotype``, ``--uniform`` or ``--random`` in place of a budget it only cuts the channels
inside of blocks to given widths, the second stage of DRC: pruned.pth and genotype.json to tune.
There, ``torchrun --nproc_per_node=8 tools/prune.py ...`` shares the scores among eight GPUs.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from mmsrnas.command import failing_cleanly

IMPORTANCES = ("loss", "taylor", "l1", "random")
CRITERIA = ("dual_regression", "l1", "random")
COSTS = ("multi_adds", "params", "latency")


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("config", help="config of the full network or of the search")
    parser.add_argument("checkpoint", help="checkpoint of the full network or of the search")
    widths = parser.add_mutually_exclusive_group(required=True)
    widths.add_argument("--max-latency", type=float, metavar="MS", help="milliseconds on --target")
    widths.add_argument("--max-multi-adds", type=float, metavar="N", help="for a 1280x720 output")
    widths.add_argument("--max-params", type=float, metavar="N")
    widths.add_argument("--genotype", help="name of a DRC genotype, or genotype.json of a search")
    widths.add_argument("--uniform", type=float, metavar="SHARE", help="equal shares everywhere")
    widths.add_argument("--random", type=float, metavar="SHARE", help="random shares, by --seed")
    parser.add_argument("--target", help="target of the latency, e.g. onnxruntime:cpu:1:180x320")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work-dir", help="folder of the results; default work_dirs/CONFIG_prune")
    budget = parser.add_argument_group("with a budget")
    budget.add_argument("--importance", choices=IMPORTANCES, default="loss", help="of channels")
    budget.add_argument("--divisor", type=int, default=8, help="step of the widths")
    budget.add_argument("--rounds", type=int, default=1, help="cut and tune so many times")
    budget.add_argument(
        "--iterations", type=int, help="of tuning; default: a fifth of the training; 0: none"
    )
    budget.add_argument(
        "--distillation", type=float, default=1.0, help="weight of the full network's images"
    )
    given = parser.add_argument_group("with given widths")
    given.add_argument("--cost", choices=COSTS, default=COSTS[0], help="cost that SHARE is of")
    given.add_argument("--criterion", choices=CRITERIA, default=CRITERIA[0])
    given.add_argument("--lr", type=float, default=5e-5, help="learning rate of the fit")
    given.add_argument("--channels-per-step", type=int, default=1)
    parser.add_argument(
        "--batches", type=int, help="batches of the training data; default: 8 or 10"
    )
    from mmsrnas.apis.config import ConfigOptions

    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    args = parser.parse_args()
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            parser.error(f"{path} does not exist")
    if torch.distributed.is_torchelastic_launched() and not given_widths(args):
        parser.error("torchrun: only the cut to given widths is shared by several processes")
    return args


def given_widths(args: argparse.Namespace) -> bool:
    """Whether the widths are given, and no budget."""
    return any(value is not None for value in (args.genotype, args.uniform, args.random))


def main() -> None:
    """Prunes the network and says what is left."""
    args = parse_args()
    from mmsrnas.apis.config import read_config

    with failing_cleanly():
        cfg = read_config(args.config, args.cfg_options)
        work_dir = args.work_dir or Path("work_dirs") / f"{Path(args.config).stem}_prune"
        kinds = {
            "latency": args.max_latency,
            "multi_adds": args.max_multi_adds,
            "params": args.max_params,
        }
        kind = next((name for name, limit in kinds.items() if limit is not None), None)
        if kind is None:
            cut(cfg, args, work_dir)
        else:
            compress(cfg, args, work_dir, kind, kinds[kind])


def compress(
    cfg: Any, args: argparse.Namespace, work_dir: str | Path, kind: str, limit: float
) -> None:
    """Does everything within a budget."""
    from mmsrnas.apis.auto import Budget
    from mmsrnas.apis.compression import Settings, compress
    from mmsrnas.costs import Cost

    settings = Settings(
        importance=args.importance,
        divisor=args.divisor,
        num_batches=8 if args.batches is None else args.batches,
        rounds=args.rounds,
        iterations=args.iterations,
        distillation=args.distillation,
        seed=args.seed,
        device=args.device,
    )
    budget = Budget(Cost(kind, target=args.target), limit)
    report = compress(cfg, args.checkpoint, work_dir, budget, settings)
    print(report.read_text())


def join(device: str) -> None:
    """Joins the processes that torchrun has started."""
    if device != "cpu":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("gloo" if device == "cpu" else "nccl")


def cut(cfg: Any, args: argparse.Namespace, work_dir: str | Path) -> None:
    """Cuts to given widths."""
    from mmengine.dist import is_main_process

    from mmsrnas.apis import prune

    if torch.distributed.is_torchelastic_launched():
        join(args.device)
    pruned = prune(
        cfg,
        args.checkpoint,
        work_dir,
        genotype=args.genotype,
        uniform=args.uniform,
        random=args.random,
        cost=dict(type=args.cost, target=args.target),
        criterion=args.criterion,
        num_batches=10 if args.batches is None else args.batches,
        lr=args.lr,
        channels_per_step=args.channels_per_step,
        seed=args.seed,
        device=args.device,
    )
    if not is_main_process():
        return
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
