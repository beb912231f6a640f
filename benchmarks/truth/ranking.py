"""Does a search judge as the truth does? Scores the architectures of a table by a strategy.

    python -m benchmarks.truth.ranking hnas --strategy short --data DIR --finetune 100 300
    python -m benchmarks.truth.ranking dlsr --strategy paths --data DIR --iterations 3000
    python -m benchmarks.truth.ranking --report

``short`` trains each architecture alone for a few iterations, ``paths`` a supernet by random paths,
one in a step, and tunes what it judges for a few more; both score by PSNR on crops that neither
training nor table have. ``gradient`` searches as the configs do, and scores by the log-probability
of a genotype. Images, patches and optimizer are those of the table. Rows go to
``benchmarks/results/supernet_ranks.csv``; the report has Spearman's correlation with the truth, and
with what the truth has beyond the cost.
"""

import argparse
import csv
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor, nn

from mmsrnas.analysis.front_selection import inherited_psnr
from mmsrnas.genotypes import DLSR_OPS, HINAS_OPS, Genotype, load_genotype
from mmsrnas.models import (
    DLSRSpace,
    DLSRSupernet,
    HiNASSpace,
    HiNASSupernet,
    SharedSupernet,
    init_unit_variance,
)

from .__main__ import jobs
from .cuda_graphs import train_all
from .images import Images, proxy_images, sample_batch, training_images
from .spaces import HNAS, HNAS_START, RANGE, SPACES, Space
from .table import Truth, append_row, read_rows, table_path
from .training import Recipe, batches, train

RESULTS = Path(__file__).parents[1] / "results" / "supernet_ranks.csv"
RUN = ("space", "strategy", "iterations", "lr", "start", "finetune", "finetune_lr", "seed")
COLUMNS = (*RUN, "seconds", "genotype", "score")
PATH_SUPERNETS: dict[str, Callable[[], SharedSupernet]] = {
    "dlsr": lambda: SharedSupernet(
        DLSRSpace(mid_channels=16, global_skip=True), {"img_range": RANGE}
    ),
    "hinas_sr": lambda: SharedSupernet(HiNASSpace("sr", 2, 3, num_cells=3)),
    "hinas_denoise": lambda: SharedSupernet(HiNASSpace("denoise", 1, 1, num_cells=3)),
    "hnas": lambda: SharedSupernet(HNAS, {"img_range": RANGE, "average": True}, HNAS_START),
}
SUPERNETS: dict[str, Callable[[], nn.Module]] = {
    "dlsr": lambda: DLSRSupernet(mid_channels=16, global_skip=True, img_range=RANGE),
    "hinas_sr": lambda: HiNASSupernet("sr", 2, 3, num_cells=3, with_cp=True),
    "hinas_denoise": lambda: HiNASSupernet("denoise", 1, 1, num_cells=3, with_cp=True),
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "paths": PATH_SUPERNETS,
    "gradient": SUPERNETS,
    "short": SPACES,
}
"""The spaces of each strategy."""
WARMUP = 0.3
"""Share of a search by gradient in which the weights train alone."""
ARCH_LR = 2e-2
TOGETHER = 40
"""Networks that are trained at once on a GPU."""
Judge = Callable[[Sequence[Any], int], Iterator[float]]
"""Scores of genotypes, each trained for a number of steps before it is judged."""


class DrawnPaths(nn.Module):
    """A supernet that runs another random network at every call, all operations equally often.

    Args:
        supernet: The supernet.
        seed: Seed of the draws.
    """

    def __init__(self, supernet: Any, seed: int) -> None:
        super().__init__()
        self.supernet = supernet
        self._draws = self._architectures(torch.Generator().manual_seed(seed))

    def _architectures(self, generator: torch.Generator) -> Iterator[Genotype]:
        space = self.supernet.space
        while True:
            yield from map(space.decode, space.batch(max(space.sizes), generator))

    def forward(self, x: Tensor) -> Tensor:
        """Restores images ``(N, C, H, W)`` with the next network."""
        return self.supernet(x, next(self._draws))


def train_paths(args: argparse.Namespace, space: Space, images: Images) -> tuple[Any, float]:
    """A supernet trained by random paths, and the CPU seconds that it took."""
    supernet = PATH_SUPERNETS[args.space]().to(args.device)
    if args.unit_variance:
        low, _ = next(batches(images, space.recipe, space.scale, args.seed))
        seen = (low - space.recipe.mean).to(args.device)
        init_unit_variance(supernet, seen, architectures=supernet.space.cover())
    net = space.wrap(DrawnPaths(supernet, args.seed))
    seconds = train(net, images, recipe_of(args, space), space.scale, args.seed)
    return supernet, seconds


def search_by_gradient(args: argparse.Namespace, space: Space, images: Images) -> tuple[Any, float]:
    """A supernet searched by gradient on two halves of the images, and its CPU seconds."""
    supernet: Any = SUPERNETS[args.space]().to(args.device)
    net = space.wrap(supernet)
    halves = [Images(images.inputs[i::2], images.targets[i::2]) for i in (0, 1)]
    arch = [parameter for _, parameter in supernet.arch_parameters()]
    optimizer = torch.optim.Adam(arch, ARCH_LR, betas=(0.5, 0.999), eps=1e-8 / 255)
    rng = np.random.default_rng(args.seed + 1)
    for parameter in arch:
        parameter.requires_grad_(False)
    steps = itertools.count()

    def step_architecture(*_: Any) -> None:
        if next(steps) < WARMUP * args.iterations:
            return
        weights = [p for p in net.parameters() if p.requires_grad]
        _require_grad(weights, False)
        _require_grad(arch, True)
        recipe = space.recipe
        low, high = sample_batch(halves[1], recipe.batch_size, recipe.patch_size, space.scale, rng)
        low = low + torch.from_numpy(rng.standard_normal(low.shape)).float() * recipe.sigma / 255
        loss = nn.functional.l1_loss(net(low.to(args.device)), high.to(args.device))
        gradients = torch.autograd.grad(loss, arch)
        for parameter, gradient in zip(arch, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        _require_grad(arch, False)
        _require_grad(weights, True)

    seconds = train(
        net, halves[0], recipe_of(args, space), space.scale, args.seed, step_architecture
    )
    return supernet, seconds


def _require_grad(parameters: Sequence[nn.Parameter], value: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(value)


def recipe_of(args: argparse.Namespace, space: Space) -> Recipe:
    """The recipe of the table with the length, rate and start of the command line."""
    warm_up = args.iterations // 20 if args.unit_variance else 0
    return replace(space.recipe, iterations=args.iterations, lr=args.lr, warm_up=warm_up)


@torch.no_grad()
def log_probability(supernet: Any, genotype: Any) -> float:
    """Log-probability in nats of a genotype where alpha and beta give the odds."""
    if isinstance(supernet, DLSRSupernet):
        logs = supernet.alpha.log_softmax(dim=1)
        total = sum(logs[i, DLSR_OPS.index(op)] for i, op in enumerate(genotype.ops))
        for cell, (source, _) in enumerate(genotype.connections[1:], start=3):
            total = total + supernet.connection_weights(cell)[source].log()
        return float(total)
    total = 0.0
    moves = zip(supernet._log_moves(), (0, *genotype.path), genotype.path, strict=False)
    for layer, (rows, source, level) in enumerate(moves):
        total += float(rows[source, level - source + 1])
        logs = supernet.cell_weights(layer, level).log()
        for edge, (op, state) in enumerate(genotype.cells[layer]):
            node = edge // 2
            total += float(logs[node * (node + 3) // 2 + state, HINAS_OPS.index(op)])
    return total


def judge_of(args: argparse.Namespace, space: Space, images: Images) -> tuple[Judge, float]:
    """How a strategy judges genotypes, and the seconds of what it trains before."""
    if args.strategy == "gradient":
        supernet, seconds = search_by_gradient(args, space, images)
        supernet.eval()
        return lambda genotypes, _: (log_probability(supernet, g) for g in genotypes), seconds
    pairs = proxy_images(args.data, space.scale, space.gray, space.recipe.sigma)
    crops = [(low.to(args.device), high) for low, high in pairs]
    if args.strategy == "short":
        supernet, seconds = None, 0.0
        recipe = recipe_of(args, space)
    else:
        supernet, seconds = train_paths(args, space, images)
        supernet.eval()
        recipe = replace(space.recipe, lr=args.finetune_lr, warm_up=0)

    def start(genotype: Genotype) -> nn.Module:
        if supernet is None:
            return space.start(genotype, args.seed, images).to(args.device)
        return space.wrap(supernet.extract(genotype)).to(args.device)

    def judge(genotypes: Sequence[Genotype], steps: int) -> Iterator[float]:
        length = replace(recipe, iterations=steps)
        if supernet is None:
            length = replace(length, warm_up=steps // 5)
        size = 1 if args.device == "cpu" else TOGETHER
        for first in range(0, len(genotypes), size):
            nets = [start(genotype) for genotype in genotypes[first : first + size]]
            if steps:
                train_all(nets, images, length, space.scale, args.seed)
            yield from (inherited_psnr(net.eval(), crops) for net in nets)

    return judge, seconds


def run(args: argparse.Namespace) -> None:
    """Judges the architectures of the table: all that it is to have, or those that it has."""
    space = SPACES[args.space]
    torch.manual_seed(args.seed)
    images = training_images(args.data, space.scale, space.gray)
    judge, seconds = judge_of(args, space, images)
    short = args.strategy == "short"
    unit = space.recipe.unit_variance if short else args.unit_variance
    known = {row.genotype for row in read_rows(args.truth or table_path(args.space))}
    drawn = dict.fromkeys(genotype for genotype, _ in jobs(space))
    genotypes = [genotype for genotype in drawn if not args.known or genotype in known]
    for steps in args.finetune:
        begin = time.process_time()
        for genotype, score in zip(genotypes, judge(genotypes, steps), strict=True):
            spent = seconds or time.process_time() - begin
            tuned = bool(steps) and not short
            row = {
                "space": args.space, "strategy": args.strategy, "seed": args.seed, "lr": args.lr,
                "iterations": steps if short else args.iterations,
                "start": "unit variance" if unit else "default",
                "finetune": steps if tuned else 0,
                "finetune_lr": args.finetune_lr if tuned else "",
                "seconds": round(spent), "score": round(score, 5),
                "genotype": json.dumps(genotype.to_dict()),
            }  # fmt: skip
            append_row(args.out, row, COLUMNS)
            begin = time.process_time()


def agreement(truth: Truth, scores: dict[Genotype, float]) -> str:
    """Rank correlations of scores with the truth."""
    known = [genotype for genotype in scores if genotype in truth.runs]
    if len(known) < 5:
        return f"{len(known)} architectures with a truth: too few to compare"
    ours = np.array([scores[genotype] for genotype in known])
    theirs = np.array([truth.psnr(genotype) for genotype in known])
    costs = np.array([truth.cost(genotype) for genotype in known])
    overall = spearmanr(ours, theirs)[0]
    beyond = np.corrcoef(_beyond(ours, costs), _beyond(theirs, costs))[0, 1]
    return (
        f"{len(known)} architectures: Spearman {overall:.2f}, beyond the cost {beyond:.2f}; "
        f"scores spread by {max(ours) - min(ours):.3f}"
    )


def _beyond(values: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """What the rank of the cost does not explain of the ranks, by a parabola.

    Ranks, since shared weights fail for some architectures by whole decibels.
    """
    ranks, cost = rankdata(values), rankdata(costs)
    return ranks - np.polynomial.Polynomial.fit(cost, ranks, 2)(cost)


def report(path: Path, tables: dict[str, Path | None]) -> None:
    """Prints the agreement of every run in a file of rows."""
    runs: dict[tuple[str, ...], dict[Genotype, float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            genotype = load_genotype(json.loads(row["genotype"]))
            runs.setdefault(tuple(row[c] for c in RUN), {})[genotype] = float(row["score"])
    for run_, scores in runs.items():
        rows = read_rows(tables.get(run_[0]) or table_path(run_[0]))
        found = agreement(Truth(rows), scores) if rows else "the truth has no row yet"
        print(*(f"{k}={v}" for k, v in zip(RUN, run_, strict=True)), "|", found)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space", nargs="?", choices=SPACES)
    parser.add_argument("--strategy", choices=STRATEGIES, default="paths")
    parser.add_argument("--data", type=Path, help="folder of photos and BSDS500")
    parser.add_argument("--truth", type=Path, help="another table than the committed one")
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--unit-variance", action="store_true", help="start of the convolutions")
    parser.add_argument(
        "--finetune", type=int, nargs="+", default=[0], metavar="N",
        help="iterations before a score: from shared weights, or of a short training",
    )  # fmt: skip
    parser.add_argument("--finetune-lr", type=float, default=5e-4, help="from shared weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--known", action="store_true", help="only what has a row in the table")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="only compare what is there")
    args = parser.parse_args()
    if args.report:
        report(args.out, {args.space: args.truth} if args.space else {})
        return
    if not args.space or not args.data:
        parser.error("expected a space and --data, or --report")
    if args.space not in (known := STRATEGIES[args.strategy]):
        parser.error(f"--strategy {args.strategy}: expected one of {', '.join(known)}")
    if args.strategy != "paths" and args.unit_variance:
        parser.error("--unit-variance is for --strategy paths")
    if args.strategy == "gradient" and any(args.finetune):
        parser.error("--finetune is for --strategy paths or short")
    if args.strategy == "short" and not all(args.finetune):
        parser.error("--finetune: expected the iterations of the short trainings")
    torch.set_num_threads(1)
    run(args)


if __name__ == "__main__":
    main()
