"""The elastic search against handmade, published and random networks of the same latency.

    python benchmarks/elastic_front.py --data DIR              # everything, row by row
    python benchmarks/elastic_front.py --data DIR --shard 0/2  # the first of two processes

DIR holds ``train/photos``, ``valid/photos``, ``bench/Set5`` and ``bench/Set14``. Needs the extras
``evolution`` and ``peers``. The budgets are the latencies of Compact at 8, 16 and 24 channels.
Every network is trained by the same recipe. What is finished is kept: an interrupted run goes on
where it was. Rows go to ``results/elastic_front.csv`` and ``results/elastic_ranks.csv``.
"""

import argparse
import fcntl
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor, nn
from truth.images import Images, held_out_sets, sample_batch, training_images
from truth.spaces import Centered
from truth.table import append_row, read_records
from truth.training import Recipe, evaluate, recipe_value, train

from mmsrnas.analysis.evolution import search_front
from mmsrnas.analysis.front import Scored, pareto_front
from mmsrnas.analysis.plots import plot_front
from mmsrnas.analysis.scaling import scale_to_budget
from mmsrnas.costs import Cost, count_multi_adds, count_params
from mmsrnas.datasets import imresize
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import ElasticGenotype
from mmsrnas.latency import measure_all
from mmsrnas.latency.runtimes import list_operators
from mmsrnas.models import (
    DLSRNet,
    ElasticNet,
    ElasticSupernet,
    HNASNet,
    init_unit_variance,
)
from mmsrnas.models.elastic.cost import ChainCost
from mmsrnas.models.elastic.modules import LinearAnchor
from mmsrnas.registry import MODELS
from mmsrnas.sizes import HR_SIZE, lr_size_of

RESULTS = Path(__file__).parent / "results"
FRONT_COLUMNS = (
    "budget_ms", "network", "kind", "seed", "latency_ms", "params", "multi_adds",
    "psnr_set5", "psnr_set14", "psnr_valid", "seconds", "predicted_ms", "inherited_psnr", "spec",
)  # fmt: skip
RANK_COLUMNS = ("genotype", "inherited_psnr", "trained_psnr", "latency_ms", "seconds")
SCALE = 2
TARGET = "onnxruntime:cpu:1:96x160"
COMPACT_WIDTHS = (8, 16, 24)
RANKED = 20
PROXY_SIZE = 48
"""Side of the LR crops, one of each held-out photograph, that judge inherited weights."""
NEAR = 0.93
"""A network of a budget uses at least this share of it."""


def build_supernet() -> ElasticSupernet:
    """The reduced space: networks that one core runs in about 3 to 50 ms."""
    torch.manual_seed(0)
    return ElasticSupernet(
        num_cells=tuple(range(3, 13)),
        mid_channels=(8, 16, 24, 32),
        ops=("conv_3x3",),
        activations=("leaky_relu",),  # the runtime fuses it into the convolution
        cells_per_stage=4,
        upscale_factor=SCALE,
    )


# Networks


class Anchored(nn.Module):
    """A network whose output is added to the learned interpolation that elastic networks have.

    Without it a short training is spent on learning to interpolate.

    Args:
        net: Network that has no such path of its own.
    """

    in_channels, upscale_factor = 3, SCALE

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.anchor = LinearAnchor(3, SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarges ``(N, C, H, W)`` images."""
        return self.net(x) + F.pixel_shuffle(self.anchor(x), SCALE)


def compact(width: int, num_conv: int = 16) -> nn.Module:
    """Compact, its nearest interpolation replaced."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    net = SRVGGNetCompact(
        num_in_ch=3, num_out_ch=3, num_feat=width, num_conv=num_conv, upscale=SCALE
    )
    return Anchored(nn.Sequential(*net.body, net.upsampler))


def span(width: int) -> nn.Module:
    """SPAN; its input stays in [0, 1], which trains better in few steps."""
    from spandrel.architectures.SPAN import SPAN

    net = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=width, upscale=SCALE, img_range=1.0)
    return Anchored(net)


def edsr(width: int) -> nn.Module:
    """EDSR with eight blocks."""
    cfg = dict(type="mmagic.EDSRNet", in_channels=3, out_channels=3, upscale_factor=SCALE)
    # Its mean would be added to that of the interpolation.
    cfg |= dict(mid_channels=width, num_blocks=8, rgb_mean=(0.0, 0.0, 0.0))
    return Anchored(MODELS.build(cfg))


SCALED: dict[str, tuple[str, Callable[[int], nn.Module], int]] = {
    "compact": ("handmade", compact, 4),
    "compact_8": ("handmade", lambda width: compact(width, 8), 4),
    "span": ("handmade", span, 4),
    "edsr": ("handmade", edsr, 4),
    "dlsr": ("published", lambda width: Anchored(DLSRNet("DLSR", SCALE, width)), 4),
    "hnas": ("published", lambda width: Anchored(HNASNet("HNAS_B", SCALE, width)), 1),
}
"""Kind, builder of a width, and step of the widths of every network that is scaled to a budget."""


def build(spec: dict, reparameterized: bool = True) -> nn.Module:
    """A network of the plan, freshly initialised."""
    if "genotype" in spec:
        return ElasticNet(spec["genotype"], reparameterized=reparameterized)
    return SCALED[spec["network"]][1](spec["width"])


def deployed(net: nn.Module) -> nn.Module:
    """The network as it is run: branches summed."""
    if isinstance(net, ElasticNet):
        return net.fold()
    net = net.eval()
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "eval_conv"):  # Conv3XC of SPAN
                child.update_params()
                setattr(parent, name, child.eval_conv)
    return net


# The supernet


def train_supernet(folder: Path, images: Images, recipe: Recipe) -> tuple[ElasticSupernet, float]:
    """Trains the supernet by the sandwich rule, with the recipe of the networks.

    A checkpoint every 100 iterations makes it resumable.

    Returns:
        The supernet and its CPU seconds.
    """
    from mmsrnas.models.editors import SandwichEditor

    net = build_supernet()
    cfg: dict = dict(type="mmsrnas.ElasticSupernet", num_cells=(1,), mid_channels=(1,))
    editor = SandwichEditor(generator=cfg, pixel_loss=dict(type="L1Loss"))
    editor.generator = net
    low, _ = sample_batch(
        images, recipe.batch_size, recipe.patch_size, SCALE, np.random.default_rng(0)
    )
    init_unit_variance(net, low, architectures=net.space.cover())
    editor.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), recipe.lr, eps=1e-8 / 255)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.iterations)
    parts = dict(editor=editor, optimizer=optimizer, schedule=schedule)
    path, spent = folder / "supernet.pth", 0.0
    if path.is_file():
        state = torch.load(path)
        spent = state.pop("seconds")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    seconds, start = spent, time.process_time()
    for iteration in range(int(editor.steps), recipe.iterations):
        rng = np.random.default_rng((0, iteration))
        batch = sample_batch(images, recipe.batch_size, recipe.patch_size, SCALE, rng)
        low, high = (part.contiguous(memory_format=torch.channels_last) for part in batch)
        loss = sum(editor.forward_train(low, SimpleNamespace(gt_img=high)).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (iteration + 1) % 100 == 0 or iteration + 1 == recipe.iterations:
            seconds = spent + time.process_time() - start
            print(f"supernet {iteration + 1}: loss {loss.item():.5f}, {seconds:.0f} s", flush=True)
            with atomic_write(path) as partial:
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save(state | {"seconds": seconds}, partial)
    return net.eval(), seconds


def load_supernet(folder: Path) -> ElasticSupernet:
    """The supernet that :func:`train_supernet` has trained."""
    net = build_supernet()
    state = torch.load(folder / "supernet.pth")["editor"]
    part = "generator."
    net.load_state_dict({k.removeprefix(part): v for k, v in state.items() if k.startswith(part)})
    return net.eval()


class Judge:
    """PSNR with inherited weights and predicted latency of genotypes, remembered in a file.

    Args:
        net: Trained supernet.
        images: Held-out crops.
        cost: Predicted milliseconds of networks.
        path: JSON file of what was judged before.
    """

    def __init__(self, net: ElasticSupernet, images: Images, cost: Cost, path: Path) -> None:
        self.net, self.images, self.path = net, images, path
        self.cost = ChainCost(cost)
        self.known: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}

    def __call__(self, genotype: ElasticGenotype) -> tuple[float, float]:
        """PSNR in dB and milliseconds."""
        key = json.dumps(genotype.to_dict())
        if key not in self.known:
            self.known[key] = evaluate(self.net.extract(genotype), self.images, SCALE)
            if len(self.known) % 50 == 0:
                self.save()
        return self.known[key], self.cost(genotype)

    def save(self) -> None:
        """Writes the file."""
        with atomic_write(self.path) as partial:
            partial.write_text(json.dumps(self.known))


def proxy_images(images: Images) -> Images:
    """The middle of every image."""

    def middle(image: np.ndarray, size: int) -> np.ndarray:
        y, x = ((side - size) // 2 // SCALE * SCALE for side in image.shape[:2])
        return np.ascontiguousarray(image[y : y + size, x : x + size])

    highs = [middle(high, PROXY_SIZE * SCALE) for high in images.targets]
    lows = [imresize(high, 1 / SCALE) for high in highs]
    return Images(lows, highs)


# The plan


@dataclass
class Planner:
    """Chooses the networks of every budget.

    Attributes:
        net: Trained supernet.
        judge: Judge of its networks.
        cost: Predicted latency, calibrated.
        count: Searched networks of a budget, and as many random ones.
    """

    net: ElasticSupernet
    judge: Judge
    cost: Cost
    count: int

    def plan(self) -> dict[str, Any]:
        """Networks for the front, random ones for the ranks, and CPU seconds of the selection."""
        start = time.process_time()
        judged = search_front(self.net.space, self.judge, self.net.space.size())
        self.judge.save()
        seconds = time.process_time() - start
        print(f"selection from {len(judged)} networks: {seconds:.0f} CPU s", flush=True)
        for scored in pareto_front(judged):
            print(f"  {scored.cost:6.2f} ms {scored.psnr:.3f} dB", flush=True)
        front = []
        for width in COMPACT_WIDTHS:
            front += self.networks_of(self.cost(compact(width)), judged)
        rng = torch.Generator().manual_seed(1)
        rows = self.net.space.random(RANKED, rng)
        found = dict.fromkeys(map(self.net.space.decode, rows))
        ranks = [self.spec(Scored(genotype, *self.judge(genotype))) for genotype in found]
        measured = self.measured([*front, *ranks])
        for spec, milliseconds in zip([*front, *ranks], measured, strict=True):
            spec["latency_ms"] = round(milliseconds, 3)
        return {"seconds": {"selection": round(seconds)}, "front": front, "ranks": ranks}

    def networks_of(self, budget: float, judged: list[Scored]) -> Iterator[dict]:
        """All networks of one budget."""
        # Shared weights are further from the end of their training in larger networks, whose
        # PSNR they underrate: only networks that use the budget are compared.
        within = [s for s in judged if NEAR * budget <= s.cost <= budget]
        best = sorted(within, key=lambda s: -s.psnr)[: self.count]
        chance = random.Random(round(budget * 1000)).sample(within, self.count)
        groups = {"elastic": best, "random": chance}
        for kind, found in groups.items():
            for index, scored in enumerate(found):
                name = dict(network=f"{kind}_{index}", kind=kind, budget_ms=round(budget, 3))
                yield name | self.spec(scored)
        for name, (kind, builder, step) in SCALED.items():
            try:
                found = scale_to_budget(
                    lambda w, b=builder: deployed(b(w)), self.cost, budget, step, max(step, 3)
                )
            except ValueError as error:
                print(f"{name} has no width for {budget:.2f} ms: {error}", flush=True)
                continue
            spec = dict(network=name, kind=kind, budget_ms=round(budget, 3), width=found.width)
            yield spec | {"predicted_ms": round(found.cost, 3)}

    def spec(self, scored: Scored) -> dict:
        """What the plan keeps of a searched or random network."""
        return {
            "genotype": scored.genotype.to_dict(),
            "predicted_ms": round(scored.cost, 3),
            "inherited_psnr": round(scored.psnr, 4),
        }

    def measured(self, specs: list[dict]) -> list[float]:
        """Measured milliseconds, all in turn."""
        networks = {str(i): deployed(build(spec, False)) for i, spec in enumerate(specs)}
        found = measure_all(networks, self.cost.target, samples=15, max_spread=1.0)
        return [found[str(i)].milliseconds for i in range(len(specs))]


def calibrated_cost(folder: Path) -> Cost:
    """Predicted latency, calibrated on networks of all kinds that the plan does not hold."""
    path = folder / "table.json"
    cost = Cost("latency", target=TARGET, table=path if path.is_file() else None)
    cost.path = path
    if all(scale == 1 for term, scale in cost.table.scales.items() if term != "calls"):
        chains = {
            f"chain_{depth}_{width}_{op}": ElasticNet(
                ElasticGenotype((op,) * depth, (width,) * depth)
            )
            for depth, width, op in (
                (5, 8, "conv_3x3"), (3, 24, "conv_3x3"), (9, 16, "gate_3x3"), (7, 32, "conv_3x3"),
            )
        }  # fmt: skip
        peers = {
            f"{name}_{width}": deployed(SCALED[name][1](width))
            for name in ("compact", "span", "edsr", "dlsr")
            for width in (12, 20)
        } | {"hnas_5": deployed(SCALED["hnas"][1](5))}
        networks = chains | peers
        for network in networks.values():
            cost.table.measure_missing(network)
        found = measure_all(networks, cost.target, samples=9, max_spread=1.0)
        listed = {name: list_operators(network, cost.target) for name, network in networks.items()}
        cost.table.calibrate(listed, {name: m.milliseconds for name, m in found.items()})
        for name, network in networks.items():
            print(f"  {name}: predicted {cost(network):.2f}, measured {found[name]}", flush=True)
        cost.table.save(path)
    return cost


# Rows


def test_sets(data: Path) -> dict[str, Images]:
    """Set5, Set14 and the photographs that are for proofs only."""
    found = {}
    for name in ("Set5", "Set14"):
        folder = data / "bench" / name
        paths = sorted((folder / "HR").glob("*.png"))
        lows = [folder / f"LR_bicubic/X{SCALE}/{p.stem}x{SCALE}.png" for p in paths]
        inputs = [_read(p) for p in lows]
        pairs = zip(map(_read, paths), inputs, strict=True)  # some originals have odd sides
        highs = [high[: SCALE * low.shape[0], : SCALE * low.shape[1]] for high, low in pairs]
        found[name.lower()] = Images(inputs, list(map(np.ascontiguousarray, highs)))
    highs = [_read(p) for p in sorted((data / "valid/photos").glob("*.jpg"))]
    highs = [h[: h.shape[0] // SCALE * SCALE, : h.shape[1] // SCALE * SCALE] for h in highs]
    found["valid"] = Images([imresize(high, 1 / SCALE) for high in highs], highs)
    return found


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is no image that can be read.")
    return np.ascontiguousarray(image[..., ::-1])


def started(spec: dict, images: Images, recipe: Recipe, seed: int) -> nn.Module:
    """A network with features of unit variance: the default start fades, in chains to nothing.

    DLSR and HNAS keep theirs, with which they end higher.
    """
    torch.manual_seed(seed)
    net: Any = build(spec)
    if isinstance(net, Anchored) and isinstance(net.net, DLSRNet | HNASNet):
        return net
    rng = np.random.default_rng(seed)
    low, _ = sample_batch(images, recipe.batch_size, recipe.patch_size, SCALE, rng)
    init_unit_variance(net, low - recipe.mean)
    return net


def trained(net: nn.Module, images: Images, recipe: Recipe, seed: int) -> tuple[Centered, float]:
    """Trains a network; returns it as it is run, and the CPU seconds."""
    seconds = train(Centered(net, recipe.mean), images, recipe, SCALE, seed)
    return Centered(deployed(net), recipe.mean), seconds


def front_row(
    spec: dict, seed: int, work: Path, images: Images, sets: dict, recipe: Recipe
) -> dict:
    """Trains one network of the front and judges it on all test sets."""
    if spec["kind"] == "tuned":
        net = load_supernet(work).extract(ElasticGenotype.from_dict(spec["genotype"]))
    else:
        net = started(spec, images, recipe, seed)
    whole, seconds = trained(net, images, recipe, seed)
    row = {k: spec.get(k, "") for k in FRONT_COLUMNS if k in spec}
    row |= {f"psnr_{k}": round(evaluate(whole, v, SCALE), 4) for k, v in sets.items()}
    return row | {
        "seed": seed,
        "params": count_params(whole),
        "multi_adds": count_multi_adds(whole.net, (3, *lr_size_of(HR_SIZE, SCALE))),
        "seconds": round(seconds, 1),
        "spec": _identity(spec),
    }


def rank_row(spec: dict, images: Images, held: Images, recipe: Recipe) -> dict:
    """Trains one random network on its own."""
    whole, seconds = trained(started(spec, images, recipe, 0), images, recipe, 0)
    return {
        "genotype": _identity(spec),
        "inherited_psnr": spec["inherited_psnr"],
        "trained_psnr": round(evaluate(whole, held, SCALE), 4),
        "latency_ms": spec["latency_ms"],
        "seconds": round(seconds, 1),
    }


def _identity(spec: dict) -> str:
    """What tells networks apart: the genotype, or name and width."""
    known = {key: spec[key] for key in ("network", "width") if key in spec}
    return json.dumps(spec.get("genotype", known))


def finish_row(path: Path, columns: tuple[str, ...], row: dict) -> None:
    """Adds a row to its file, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    append_row(path, row, columns)
    print({k: v for k, v in row.items() if k not in ("genotype", "spec")}, flush=True)


def report(out: Path) -> None:
    """Prints the ranks, and mean and spread over the seeds of every cell of the front."""
    ranks = read_records(out / "elastic_ranks.csv")
    if len(ranks) > 2:
        columns = ("inherited_psnr", "trained_psnr", "latency_ms")
        inherited, trained, latency = (np.array([float(r[c]) for r in ranks]) for c in columns)
        print(f"{len(ranks)} ranks: Spearman {spearmanr(inherited, trained).statistic:.3f}")
        fits = [np.polynomial.Polynomial.fit(np.log(latency), y, 2) for y in (inherited, trained)]
        rest = [y - fit(np.log(latency)) for y, fit in zip((inherited, trained), fits, strict=True)]
        print(f"at equal latency (residuals of a parabola): {spearmanr(*rest).statistic:.3f}")
    cells: dict[tuple[float, str], list[np.ndarray]] = {}
    names = ("psnr_set5", "psnr_set14", "psnr_valid", "latency_ms")
    for row in read_records(out / "elastic_front.csv"):
        values = np.array([float(row[name]) for name in names])
        cells.setdefault((float(row["budget_ms"]), row["network"]), []).append(values)
    for (budget, network), values in sorted(cells.items()):
        mean, means = np.mean(values, axis=0), [v[:3].mean() for v in values]
        print(
            f"{budget:7.2f} ms {network:12} {mean[3]:6.2f} ms, Set5 {mean[0]:.2f}, "
            f"Set14 {mean[1]:.2f}, valid {mean[2]:.2f}, mean {np.mean(means):.3f} "
            f"+- {np.std(means):.3f} of {len(values)} seeds"
        )


class Point(NamedTuple):
    """A network in the picture."""

    cost: float
    psnr: float


def plot(out: Path, picture: Path) -> None:
    """Draws all networks of the front, each with the mean over its seeds and test sets."""
    cells: dict[tuple[str, str, str], list[Point]] = {}
    for row in read_records(out / "elastic_front.csv"):
        psnr = np.mean([float(row[f"psnr_{name}"]) for name in ("set5", "set14", "valid")])
        key = (row["kind"], row["budget_ms"], row["network"])
        cells.setdefault(key, []).append(Point(float(row["latency_ms"]), float(psnr)))
    groups: dict[str, list[Point]] = {}
    for (kind, *_), points in cells.items():
        groups.setdefault(kind, []).append(Point(*map(float, np.mean(points, axis=0))))
    front = pareto_front([point for points in groups.values() for point in points])
    plot_front(groups, front, f"latency [ms] on {TARGET}", picture, "PSNR [dB]")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lets one process in at a time."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load_plan(args: argparse.Namespace, images: Images, held: Images, recipe: Recipe) -> dict:
    """The plan, made first where it is not there yet."""
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "elastic_plan.json"
    with alone(args.work / "lock"):
        if not path.is_file():
            net, seconds = train_supernet(args.work, images, recipe)
            cost = calibrated_cost(args.work)
            judge = Judge(net, proxy_images(held), cost, args.work / "judged.json")
            plan = Planner(net, judge, cost, args.candidates).plan()
            plan["seconds"]["supernet"] = round(seconds)
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(plan, indent=1))
    return json.loads(path.read_text())


def jobs(plan: dict, seeds: int) -> Iterator[tuple[str, dict, int]]:
    """All trainings: the front of the first seed, the ranks, the front of the other seeds.

    Published networks, which are no part of the comparison over seeds, are trained once. The best
    elastic network of a budget is trained from scratch, and from the shared weights ("tuned").
    """
    for seed in range(seeds):
        front = [s for s in plan["front"] if seed == 0 or s["kind"] != "published"]
        yield from (("front", spec, seed) for spec in front)
        best = (s for s in front if s["network"] == "elastic_0")
        yield from (("front", s | dict(network="tuned_0", kind="tuned"), seed) for s in best)
        if seed == 0:
            yield from (("ranks", spec, 0) for spec in plan["ranks"])


def main() -> None:
    """Reads the command line and works through the jobs of the shard."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of train, valid and bench")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/elastic_front"))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the CSV files")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th training from the i-th on")
    parser.add_argument("--iterations", type=int, default=2000, help="of every training")
    parser.add_argument(
        "--recipe", nargs="+", default=[], type=recipe_value, metavar="NAME=VALUE",
        help="another one for single networks, e.g. warm_up=100 clip=0.02 mean=0.45",
    )  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="e.g. elastic_0 edsr")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--candidates", type=int, default=2, help="searched networks of a budget")
    parser.add_argument("--plot", type=Path, help="picture that --report draws")
    parser.add_argument("--report", action="store_true", help="print what is there, train nothing")
    args = parser.parse_args()
    if args.report:
        report(args.out)
        if args.plot:
            plot(args.out, args.plot)
        return
    if args.data is None:
        parser.error("--data is needed, except with --report")
    if args.recipe and args.out == RESULTS:
        parser.error("--recipe: the committed rows have one; give another --out, with the plan")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    shard, shards = map(int, args.shard.split("/"))
    plain = Recipe(args.iterations, lr=1e-3, batch_size=8, patch_size=24)
    recipe = replace(plain, **dict(args.recipe))
    images = training_images(args.data / "train", SCALE, gray=False)
    held = held_out_sets(args.data / "train", SCALE, gray=False)["photos"]
    plan = load_plan(args, images, held, recipe)
    sets = test_sets(args.data)
    work(plan, args, shard, shards, images, held, sets, recipe)
    report(args.out)


def work(plan: dict, args: Any, shard: int, shards: int, *data: Any) -> None:
    """Trains what the shard does not have yet."""
    images, held, sets, recipe = data
    front, ranks = args.out / "elastic_front.csv", args.out / "elastic_ranks.csv"
    for kind, spec, seed in list(jobs(plan, args.seeds))[shard::shards]:
        name = _identity(spec)
        if args.only and spec.get("network") not in args.only:
            continue
        if kind == "ranks":
            if any(row["genotype"] == name for row in read_records(ranks)):
                continue
            finish_row(ranks, RANK_COLUMNS, rank_row(spec, images, held, recipe))
            continue
        key = (str(spec["budget_ms"]), spec["network"], str(seed))
        if any(
            (row["budget_ms"], row["network"], row["seed"]) == key for row in read_records(front)
        ):
            continue
        finish_row(front, FRONT_COLUMNS, front_row(spec, seed, args.work, images, sets, recipe))


if __name__ == "__main__":
    main()
