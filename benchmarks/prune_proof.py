"""Pruning against uniform width, at equal cost and equal iterations.

    python benchmarks/prune_proof.py --data DIR              # everything, row by row
    python benchmarks/prune_proof.py --data DIR --shard 0/2  # the first of two processes
    python benchmarks/prune_proof.py --report

DIR holds ``train/photos`` and ``train/BSDS500``. An EDSR and a Compact x2 are trained, then made
smaller in each way of ``WAYS`` and tuned beside the full network; uniform width is also trained
from scratch for as long as both together. What is finished is kept: an interrupted run goes on
where it was. Rows go to ``results/prune_proof.csv``.
"""

import argparse
import copy
import csv
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from torch import nn
from truth.images import Images, held_out_sets, sample_batch, training_images
from truth.spaces import Anchored
from truth.table import append_row
from truth.training import Recipe, evaluate, train

from mmsrnas.costs import Cost, count_params
from mmsrnas.models import init_unit_variance
from mmsrnas.pruning import (
    GroupCost,
    choose_widths,
    damage_curves,
    remove_channels,
    scaled_widths,
    score_channels,
    verified_groups,
    width_options,
)
from mmsrnas.pruning.importance import strongest
from mmsrnas.registry import MODELS

RESULTS = Path(__file__).parent / "results"
COLUMNS = (
    "network", "share", "way", "seed", "params", "cost", "unit", "psnr_photos", "psnr_bsds",
    "iterations", "seconds", "widths",
)  # fmt: skip
SCALE = 2
DIVISOR = 8
"""Runtimes compute eight channels at a time: others cost as much as the next multiple."""
SCORING_BATCHES = 16
NETWORKS = ("edsr", "compact")
WAYS = ("loss", "taylor", "l1", "uniform", "scratch")
"""Importance by which widths are chosen; uniform widths cut by L1; uniform widths from scratch."""

Row = dict[str, Any]


def build(name: str, width: int, depth: int) -> nn.Module:
    """A network that adds its output to an enlargement of the image."""
    if name == "edsr":
        cfg = dict(type="EDSRNet", in_channels=3, out_channels=3, rgb_mean=(0.0, 0.0, 0.0))
        cfg |= dict(mid_channels=width, num_blocks=depth, upscale_factor=SCALE)
        return Anchored(MODELS.build(cfg), SCALE)
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    return SRVGGNetCompact(num_feat=width, num_conv=depth, upscale=SCALE)


def started(net: nn.Module, images: Images, seed: int) -> nn.Module:
    """A network at the start of its training, each convolution at outputs of unit variance."""
    rng = np.random.default_rng(seed)
    low, _ = sample_batch(images, 8, 24, SCALE, rng)
    init_unit_variance(net, low)
    return net


def full_network(
    name: str, seed: int, images: Images, args: argparse.Namespace
) -> tuple[nn.Module, float]:
    """The trained full network, kept in the work folder, and the seconds that it took."""
    file = args.work / f"{name}_{args.width}x{args.depth}_{args.iterations}_{seed}.pth"
    torch.manual_seed(seed)
    net = build(name, args.width, args.depth)
    if file.is_file():
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state["net"])
        return net, state["seconds"]
    seconds = train(started(net, images, seed), images, recipe(args.iterations), SCALE, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "seconds": seconds}, file)
    return net, seconds


def recipe(iterations: int, lr: float = 1e-3) -> Recipe:
    """The one recipe of all trainings."""
    return Recipe(iterations, lr=lr, batch_size=8, patch_size=24)


def cut(
    net: nn.Module, way: str, share: float, cost: Cost, images: Images, seed: int, divisor: int
) -> tuple[nn.Module, tuple[int, ...]]:
    """A copy of a network with fewer channels, and the widths of its groups."""
    net = copy.deepcopy(net)
    groups = list(verified_groups(net).groups)
    rng = np.random.default_rng(1000 + seed)
    batches: list[dict[str, Any]] = []
    for _ in range(SCORING_BATCHES):
        low, high = sample_batch(images, 8, 24, SCALE, rng)
        batches.append({"low": low, "high": high})

    def objective(batch: Any) -> torch.Tensor:
        return F.l1_loss(net(batch["low"]), batch["high"])

    importance = "l1" if way in ("uniform", "scratch") else way
    scores = score_channels(net, groups, importance, batches, objective, seed)
    options = width_options(groups, divisor)
    cost_of = GroupCost(net, groups, cost)
    budget = share * cost_of.exact(cost_of.full_widths)
    if way in ("uniform", "scratch"):
        widths = scaled_widths(cost_of, options, budget)
    else:
        measured = batches if way == "loss" else []
        curves = damage_curves(net, groups, scores, options, measured, objective)
        widths = choose_widths(cost_of, options, curves, budget)
    kept = [strongest(score, width) for score, width in zip(scores, widths, strict=True)]
    remove_channels(net, groups, kept)
    return net, widths


def tune(net: Any, teacher: nn.Module, images: Images, iterations: int, seed: int) -> float:
    """Trains a cut network beside the full one; returns CPU seconds."""
    begin = time.process_time()
    rng = np.random.default_rng(seed)
    net.train().to(memory_format=torch.channels_last)
    teacher.eval()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, eps=1e-8 / 255)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for _ in range(iterations):
        low, high = sample_batch(images, 8, 24, SCALE, rng)
        low = low.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            target = teacher(low)
        made = net(low)
        loss = F.l1_loss(made, high) + F.l1_loss(made, target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return time.process_time() - begin


def row(
    name: str, share: float, way: str, seed: int, data: Any, cost: Cost, args: argparse.Namespace
) -> Row:
    """One training of the table."""
    images, held = data
    full, seconds = full_network(name, seed, images, args)
    total = args.iterations + args.tuning
    net, widths = full, ()
    if way == "full":
        total = args.iterations
    else:
        net, widths = cut(full, way, share, cost, images, seed, args.divisor)
        if way == "scratch":
            torch.manual_seed(100 + seed)
            module: Any
            for module in net.modules():
                if reset := getattr(module, "reset_parameters", None):
                    reset()
            started(net, images, seed)
            seconds = train(net, images, recipe(total), SCALE, seed)
        else:
            seconds += tune(net, full, images, args.tuning, 500 + seed)
    return {
        "network": name,
        "share": share,
        "way": way,
        "seed": seed,
        "params": count_params(net),
        "cost": round(cost(net), 4),
        "unit": cost.unit,
        "psnr_photos": round(evaluate(net, held["photos"], SCALE), 4),
        "psnr_bsds": round(evaluate(net, held["bsds"], SCALE), 4),
        "iterations": total,
        "seconds": round(seconds, 1),
        "widths": " ".join(map(str, widths)),
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows that are there."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def report(rows: Sequence[dict[str, str]]) -> str:
    """Means over the seeds, as a table."""
    found: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for record in rows:
        found[record["network"], record["share"], record["way"]].append(record)
    lines = ["| network | share | way | seeds | photos | BSDS | cost |"]
    lines.append("|---|---:|---|---:|---:|---:|---:|")
    for (network, share, way), records in sorted(found.items()):
        means = [
            np.mean([float(record[key]) for record in records])
            for key in ("psnr_photos", "psnr_bsds", "cost")
        ]
        cells = [network, share, way, str(len(records))]
        cells += [f"{means[0]:.3f}", f"{means[1]:.3f}", f"{means[2]:,.5g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line and works through the rows of the shard."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of train")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/prune_proof"))
    parser.add_argument("--out", type=Path, default=RESULTS / "prune_proof.csv")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th row from the i-th on")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.67, 0.45], help="of the cost")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--divisor", type=int, default=DIVISOR, help="step of the widths")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=20000, help="of the full network")
    parser.add_argument("--tuning", type=int, default=10000, help="iterations after the cut")
    parser.add_argument("--target", help="target of a latency, in place of Multi-Adds")
    parser.add_argument("--report", action="store_true", help="print what is there, train nothing")
    args = parser.parse_args()
    if args.report:
        print(report(read_rows(args.out)))
        return
    if args.data is None:
        parser.error("--data is needed, except with --report")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    init_default_scope("mmagic")
    images = training_images(args.data / "train", SCALE, gray=False)
    data = images, held_out_sets(args.data / "train", SCALE, gray=False)
    cost = Cost("latency", target=args.target) if args.target else Cost("multi_adds")
    jobs = [
        (name, share, way, seed)
        for seed in range(args.seeds)
        for name in args.networks
        for share, way in [(1.0, "full"), *((s, w) for s in args.shares for w in args.ways)]
    ]
    shard, shards = map(int, args.shard.split("/"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name, share, way, seed in jobs[shard::shards]:
        done = {(r["network"], r["share"], r["way"], r["seed"]) for r in read_rows(args.out)}
        if (name, str(share), way, str(seed)) not in done:
            append_row(args.out, row(name, share, way, seed, data, cost, args), COLUMNS)
    print(report(read_rows(args.out)))


if __name__ == "__main__":
    main()
