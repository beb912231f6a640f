"""Pruning against uniform width, at equal cost and equal iterations.

    python benchmarks/prune_proof.py cut --data DIR --target onnxruntime:cpu:1:96x160
    python benchmarks/prune_proof.py tune --data DIR                # one after the other, or
    python benchmarks/prune_proof.py tune --data DIR --device cuda  # side by side on a GPU
    python benchmarks/prune_proof.py report

DIR holds ``photos`` and ``BSDS500``. ``cut`` trains an EDSR and a Compact x2 and cuts them to
shares of their cost, where that cost is measured; it leaves a file for each network and seed in the
work folder. ``tune`` needs these files only: it trains the cut networks beside the full one, and
uniform widths and the full network from scratch for as long as training and tuning together. All
networks of a seed see the same patches in the same order. What is finished is kept: an interrupted
run goes on where it was. Rows go to ``results/prune_proof.csv``.
"""

import argparse
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from truth.cuda_graphs import stack_batches, train_together
from truth.images import Images, held_out_sets, sample_batch, training_images
from truth.spaces import Anchored, Centered
from truth.table import append_row, read_records
from truth.training import Loss, Recipe, batches, evaluate, fit, train

from mmsrnas.costs import Cost, count_params
from mmsrnas.files import atomic_write
from mmsrnas.models import init_unit_variance
from mmsrnas.pruning import (
    ChannelGroup,
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
KEY = ("network", "unit", "share", "way", "seed", "iterations", "tuning", "batch_size", "recipe")
"""What a row is about; the rest is what came out."""
COLUMNS = (*KEY, "params", "cost", "psnr_photos", "psnr_bsds", "widths")
RECIPES = {
    "early": Recipe(lr=1e-3, unit_variance=True),
    "steady": Recipe(lr=1e-3, unit_variance=True, warm_up=100, clip=0.02, mean=0.45),
}
"""Without and with what makes short trainings agree (``docs/experiments/truth.md``)."""
SCALE = 2
DIVISOR = 8
"""Runtimes compute eight channels at a time: others cost as much as the next multiple."""
SCORING_BATCHES = 16
TAUGHT_AT_ONCE = 64
"""Steps whose patches the teacher enlarges together."""
NETWORKS = ("edsr", "compact")
CUTS = ("loss", "taylor", "l1", "uniform")
"""Importance by which widths are chosen; uniform widths, cut by L1."""

Row = dict[str, Any]
Weights = dict[str, Tensor]


def by_truth(net: nn.Module, low: Tensor, targets: Tensor) -> Tensor:
    """Distance from the clean patches."""
    return F.l1_loss(net(low), targets[:, :3])


def by_teacher(net: nn.Module, low: Tensor, targets: Tensor) -> Tensor:
    """Distance from what the full network makes."""
    return F.l1_loss(net(low), targets[:, 3:])


def by_both(net: nn.Module, low: Tensor, targets: Tensor) -> Tensor:
    """Sum of both distances."""
    made = net(low)
    return F.l1_loss(made, targets[:, :3]) + F.l1_loss(made, targets[:, 3:])


LOSSES = {"": by_both, "-teacher": by_teacher, "-truth": by_truth}
"""Loss of the tuning by how the name of a way ends."""
WAYS = (*(cut + ending for cut in CUTS for ending in LOSSES), "scratch")


class Setting:
    """A full network and a seed, with what its file in the work folder holds.

    Args:
        name: One of :data:`NETWORKS`.
        seed: Of weights and patches.
        args: Size of the network, recipe and work folder.

    Attributes:
        network: What the rows call it.
        groups: Channel groups of the full network.
        full_widths: Their sizes.
        full: Weights of the trained full network; none before the training.
        cuts: Widths, cost and weights by unit of the cost, share and way.
    """

    def __init__(self, name: str, seed: int, args: argparse.Namespace) -> None:
        self.name, self.seed, self.args = name, seed, args
        self.network = f"{name}_{args.width}x{args.depth}"
        trained = f"{args.recipe}_{args.iterations}x{args.batch_size}"
        self.file = args.work / f"{self.network}_{trained}_{seed}.pth"
        self.groups: list[ChannelGroup] = list(verified_groups(self.build()).groups)
        self.full_widths = tuple(group.width for group in self.groups)
        found = torch.load(self.file, weights_only=True) if self.file.is_file() else {}
        self.full: Weights = found.get("full", {})
        self.cuts: dict[tuple[str, float, str], dict[str, Any]] = found.get("cuts", {})

    def save(self) -> None:
        """Writes the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.file) as file:
            torch.save({"full": self.full, "cuts": self.cuts}, file)

    def build(self) -> nn.Module:
        """The full network, which adds its output to an enlargement of the image."""
        width, depth = self.args.width, self.args.depth
        mean = RECIPES[self.args.recipe].mean
        if self.name == "edsr":
            cfg = dict(type="EDSRNet", in_channels=3, out_channels=3, rgb_mean=(0.0, 0.0, 0.0))
            cfg |= dict(mid_channels=width, num_blocks=depth, upscale_factor=SCALE)
            return Centered(Anchored(MODELS.build(cfg), SCALE), mean)
        from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

        net = SRVGGNetCompact(num_feat=width, num_conv=depth, upscale=SCALE)
        return Centered(net, mean)

    def sized(self, widths: Sequence[int], weights: Weights) -> nn.Module:
        """A network of some widths; its weights are random if none are given."""
        net = self.build()
        remove_channels(net, self.groups, [torch.arange(width) for width in widths])
        if weights:
            net.load_state_dict(weights)
        return net

    def fresh(self, widths: Sequence[int], seed: int, images: Images) -> nn.Module:
        """A network at the start of its training, each convolution at outputs of unit variance."""
        torch.manual_seed(seed)
        net = self.sized(widths, {})
        low, _ = next(self.batches(1, images))
        init_unit_variance(net, low)
        return net

    def recipe(self, iterations: int) -> Recipe:
        """The one recipe of all trainings."""
        chosen = RECIPES[self.args.recipe]
        return replace(chosen, iterations=iterations, batch_size=self.args.batch_size)

    def batches(self, iterations: int, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        """Degraded and clean patches of every step."""
        return batches(images, self.recipe(iterations), SCALE, self.seed)


def cut_all(setting: Setting, images: Images, cost: Cost, args: argparse.Namespace) -> None:
    """Trains the full network and cuts it in every way, as far as its file lacks them."""
    if not setting.full:
        net = setting.fresh(setting.full_widths, setting.seed, images)
        train(net, images, setting.recipe(args.iterations), SCALE, setting.seed)
        setting.full = net.state_dict()
        setting.save()
    for share, way in [(1.0, "full"), *itertools.product(args.shares, args.cuts)]:
        if (key := (cost.unit, share, way)) not in setting.cuts:
            found = setting.cuts[key] = cut(setting, way, share, cost, images)
            setting.save()
            print(setting.file.stem, *key, found["cost"], found["widths"], flush=True)


def cut(setting: Setting, way: str, share: float, cost: Cost, images: Images) -> dict[str, Any]:
    """What remains of the full network at a share of its cost: widths, cost and weights."""
    net, widths = setting.sized(setting.full_widths, setting.full), setting.full_widths
    if way != "full":
        widths, kept = choose(setting, net, way, share, cost, images)
        remove_channels(net, setting.groups, kept)
    return {"widths": widths, "cost": cost(net), "weights": net.state_dict()}


def choose(
    setting: Setting, net: nn.Module, way: str, share: float, cost: Cost, images: Images
) -> tuple[tuple[int, ...], list[Tensor]]:
    """How many channels of every group remain, and which."""
    rng = np.random.default_rng(1000 + setting.seed)
    scoring = [sample_batch(images, 8, 24, SCALE, rng) for _ in range(SCORING_BATCHES)]
    judged: list[dict[str, Any]] = [{"low": low, "high": high} for low, high in scoring]

    def objective(batch: Any) -> Tensor:
        return F.l1_loss(net(batch["low"]), batch["high"])

    groups, importance = setting.groups, "l1" if way == "uniform" else way
    scores = score_channels(net, groups, importance, judged, objective)
    options = width_options(groups, setting.args.divisor)
    cost_of = GroupCost(net, groups, cost)
    budget = share * cost_of.exact(cost_of.full_widths)
    if way == "uniform":
        widths = scaled_widths(cost_of, options, budget)
    else:
        measured = judged if way == "loss" else []
        curves = damage_curves(net, groups, scores, options, measured, objective)
        widths = choose_widths(cost_of, options, curves, budget)
    return widths, [strongest(score, width) for score, width in zip(scores, widths, strict=True)]


@dataclass
class Job:
    """A training: the row that it fills, a network at its start, its loss and its length."""

    row: Row
    net: nn.Module
    loss: Loss
    iterations: int


def jobs(setting: Setting, images: Images, args: argparse.Namespace) -> Iterator[Job]:
    """All trainings of a setting that have no row yet."""
    done = {tuple(row[name] for name in KEY) for row in read_records(args.out)}
    total = args.iterations + args.tuning
    for (unit, share, cut_way), found in setting.cuts.items():
        widths, weights = found["widths"], found["weights"]
        ways: dict[str, tuple[Weights, Loss, int]]
        if cut_way == "full":
            ways = {"teacher": (weights, by_truth, 0), "full": ({}, by_truth, total)}
        else:
            ways = {cut_way + end: (weights, loss, args.tuning) for end, loss in LOSSES.items()}
            ways |= {"scratch": ({}, by_truth, total)} if cut_way == "uniform" else {}
            ways = {way: how for way, how in ways.items() if way in args.ways}
        for way, (start, loss, iterations) in ways.items():
            key = (setting.network, unit, share, way, setting.seed)
            key += (args.iterations, args.tuning, args.batch_size, args.recipe)
            if tuple(map(str, key)) in done:
                continue
            row = dict(zip(KEY, key, strict=True), cost=round(found["cost"], 4))
            row["widths"] = " ".join(map(str, widths))
            seed = setting.seed + (100 if way == "scratch" else 0)
            net = setting.sized(widths, start) if start else setting.fresh(widths, seed, images)
            yield Job(row, net.to(args.device), loss, iterations)


def tune(
    setting: Setting, images: Images, held: dict[str, Images], args: argparse.Namespace
) -> None:
    """Trains all that a setting lacks, those of one length together."""
    todo = list(jobs(setting, images, args))
    if not todo:
        return
    patches = setting.batches(args.iterations + args.tuning, images)
    low, high = stack_batches(patches, args.device)
    rest = low[args.iterations :], high[args.iterations :]
    teacher = setting.sized(setting.full_widths, setting.full).to(args.device)
    beside = rest[0], torch.cat([rest[1], taught(teacher, rest[0])], dim=2)
    training = train_together if args.device == "cuda" else train_in_turn
    for iterations, stacked in ((0, beside), (args.tuning, beside), (len(low), (low, high))):
        group = [job for job in todo if job.iterations == iterations]
        nets, losses = [job.net for job in group], [job.loss for job in group]
        if group and iterations:
            training(nets, stacked, setting.recipe(iterations), losses)
        for job in group:
            psnr = {f"psnr_{k}": round(evaluate(job.net, v, SCALE), 4) for k, v in held.items()}
            append_row(args.out, job.row | psnr | {"params": count_params(job.net)}, COLUMNS)


@torch.no_grad()
def taught(teacher: nn.Module, low: Tensor) -> Tensor:
    """What the teacher makes of the patches of all steps ``(T, N, C, H, W)``."""
    parts = (teacher.eval()(part.flatten(0, 1)) for part in low.split(TAUGHT_AT_ONCE))
    return torch.cat(list(parts)).unflatten(0, low.shape[:2])


def train_in_turn(
    nets: Sequence[nn.Module],
    stacked: tuple[Tensor, Tensor],
    recipe: Recipe,
    losses: Sequence[Loss],
) -> None:
    """As :func:`train_together`, one network after the other, on any device."""
    for net, loss_of in zip(nets, losses, strict=True):
        fit(net, zip(*stacked, strict=True), recipe, loss_of)


def report(rows: Sequence[dict[str, str]]) -> str:
    """Means over the seeds, as a table for each recipe."""
    names = ("network", "recipe", "iterations", "tuning", "share", "way")
    found: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for record in rows:
        found[tuple(record[name] for name in names)].append(record)
    lines = ["| network | recipe | trained | tuned | share | way | seeds | photos | BSDS | cost |"]
    lines.append("|---|---|---:|---:|---:|---|---:|---:|---:|---:|")
    for key, records in sorted(found.items()):
        psnr = [np.array([float(r[f"psnr_{k}"]) for r in records]) for k in ("photos", "bsds")]
        cells = [*key, str(len(records))]
        cells += [f"{values.mean():.3f} ± {values.std():.3f}" for values in psnr]
        cells += [f"{np.mean([float(record['cost']) for record in records]):,.5g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("step", choices=("cut", "tune", "report"))
    parser.add_argument("--data", type=Path, help="folder of photos and BSDS500")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/prune_proof"))
    parser.add_argument("--out", type=Path, default=RESULTS / "prune_proof.csv")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th network and seed")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=3000, help="of the full network")
    parser.add_argument("--tuning", type=int, default=3000, help="iterations after the cut")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--recipe", choices=RECIPES, default="steady")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of tuning")
    parser.add_argument("--target", help="cut: of a latency, in place of Multi-Adds")
    parser.add_argument(
        "--shares", nargs="+", type=float, default=[0.69, 0.46], help="cut: of the cost"
    )
    parser.add_argument("--cuts", nargs="+", choices=CUTS, default=("loss", "uniform"))
    parser.add_argument("--divisor", type=int, default=DIVISOR, help="cut: step of the widths")
    ways = ("loss", "loss-teacher", "uniform", "scratch")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=ways, help="tune: which")
    args = parser.parse_args()
    if args.step != "report" and args.data is None:
        parser.error(f"{args.step} needs --data")
    return args


def main() -> None:
    """Cuts, tunes or reports."""
    args = parse_args()
    if args.step == "report":
        print(report(read_records(args.out)))
        return
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    init_default_scope("mmagic")
    images = training_images(args.data, SCALE, gray=False)
    held = held_out_sets(args.data, SCALE, gray=False) if args.step == "tune" else {}
    cost = Cost("latency", target=args.target) if args.target else Cost("multi_adds")
    shard, shards = map(int, args.shard.split("/"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pairs = [(name, seed) for name in args.networks for seed in range(args.seeds)]
    for name, seed in pairs[shard::shards]:
        setting = Setting(name, seed, args)
        if args.step == "cut":
            cut_all(setting, images, cost, args)
        elif not setting.cuts:
            raise FileNotFoundError(f"{setting.file} is missing or has no cut: run 'cut' first.")
        else:
            tune(setting, images, held, args)
            print(report(read_records(args.out)), flush=True)


if __name__ == "__main__":
    main()
