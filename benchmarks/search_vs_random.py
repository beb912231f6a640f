"""Searched networks against random ones of equal cost: does the search find anything?

    python benchmarks/search_vs_random.py dlsr --data DIR              # goes on where it was
    python benchmarks/search_vs_random.py dlsr --data DIR --shard 0/4  # the first of four machines
    python benchmarks/search_vs_random.py dlsr --data DIR --device cuda  # all at once on a GPU
    python benchmarks/search_vs_random.py dlsr --data DIR --search 10  # only this search
    python benchmarks/search_vs_random.py dlsr --data DIR --fresh --out FILE  # another proof
    python benchmarks/search_vs_random.py --report

DIR holds ``train/photos``, ``train/BSDS500``, ``valid/photos``, ``bench/Set5`` and ``bench/Set14``.
Networks are trained as those of the tables of truth, at their size; what judges them has judged
nothing before. The budget is the median Multi-Adds of random architectures. For each search seed,
``--candidates`` random architectures that use the budget are judged in rounds, each of which keeps
some: by default, a supernet that was trained by random paths judges all with its shared weights,
and the best eight are trained alone for 300 iterations. What is left is trained from scratch: so
are 12 random ones within 3 % of the budget, the published genotype, and the published one at the
width of the budget. ``--fresh`` repeats it with other searches, other random architectures, another
seed of the trainings and another judge, B100 (``train/BSDS500/val``).
"""

import argparse
import json
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from elastic_front import alone, test_sets
from scipy import stats
from truth.__main__ import Trained, train_jobs
from truth.budget_search import DRAWS_SEED, PUBLISHED, ROUNDS, UNIT, Method, choose, round_of
from truth.images import Images, read_images, training_images
from truth.ranking import STRATEGIES
from truth.spaces import SPACES, Space
from truth.table import append_row, read_records
from truth.training import evaluate, recipe_value

from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype, load_genotype

RESULTS = Path(__file__).parent / "results" / "search_vs_random.csv"
Job = tuple[str, int, int]
"""Group, number in the group (the search seed of a searched one) and training seed."""
KEY = ("method", "group", "search_seed", "train_seed", "genotype")
RANDOM = 12


@dataclass(frozen=True)
class Seeds:
    """What a proof draws.

    Attributes:
        search: Of the searches.
        train: Of the trainings.
        draws: Of the random architectures.
    """

    search: Sequence[int] = (10, 11, 12)
    train: Sequence[int] = (0, 1)
    draws: int = DRAWS_SEED


FRESH = Seeds((30, 31, 32), (2,), DRAWS_SEED + 1)


def columns_of(sets: Sequence[str]) -> tuple[str, ...]:
    """Columns of the rows of a proof by these judges."""
    psnr = [f"psnr_{name}" for name in sets]
    run_ = ("method", "group", "search_seed", "train_seed", "cost_unit", "cost", "latency_ms")
    return (*run_, *psnr, "genotype", "seconds")


def searched(method: Method, seed: int, args: Namespace, images: Images) -> Genotype:
    """What a search of this seed prefers at the budget; found once, by whoever comes first."""
    args.work.mkdir(parents=True, exist_ok=True)
    path = args.work / f"{method.name}_{seed}.json"
    with alone(args.work / f"{method.name}_{seed}.lock"):
        if not path.is_file():
            start = time.process_time()
            # Also for networks of another width it is searched at the width of the table.
            best = choose(Method(method.name) if method.width else method, seed, args, images)
            seconds = time.process_time() - start
            content = {"seconds": round(seconds), "genotype": best.to_dict()}
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(content))
    return load_genotype(json.loads(path.read_text())["genotype"])


def jobs(method: str, seeds: Seeds, random: int = RANDOM) -> Iterator[Job]:
    """All trainings; those that wait for a search come last."""
    controls = [("random", number) for number in range(random)] + [("uniform", 0)]
    controls += [("published", 0)] if method in PUBLISHED else []
    for group in (controls, [("searched", number) for number in seeds.search]):
        yield from ((*one, seed) for seed in seeds.train for one in group)


def genotype_of(method: Method, group: str, number: int, args: Namespace, images: Images) -> Any:
    """The architecture of a job."""
    if group == "searched":
        return method.at_width(searched(method, number, args, images))
    if group == "random":
        return method.near_budget(args.random, args.seeds.draws)[number]
    return method.uniform() if group == "uniform" else method.published()


def proof_sets(data: Path, space: Space, fresh: bool) -> dict[str, Images]:
    """Images that have judged nothing before: colour at scale 2, or gray ones for denoising."""
    if fresh:
        return {"b100": read_images(data / "train/BSDS500/val", space.scale, space.gray)}
    sets = test_sets(data)
    if space.scale == 2:
        return sets
    for name, images in sets.items():
        gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] for image in images.targets]
        sets[name] = Images(gray, gray)
    return sets


def run(method: Method, args: Namespace) -> None:
    """Works through the jobs of a shard."""
    shard, shards = map(int, args.shard.split("/"))
    space = replace(method.space, recipe=replace(method.space.recipe, **dict(args.recipe)))
    images = training_images(args.data / "train", space.scale, space.gray)
    if args.search is not None:
        searched(method, args.search, args, images)
        return
    sets = proof_sets(args.data, space, args.fresh)
    mine = list(jobs(method.name, args.seeds, args.random))[shard::shards]
    for waits in (False, True):
        part = [job for job in mine if (job[0] == "searched") == waits]
        named = {job: genotype_of(method, *job[:2], args, images) for job in part}
        done = {_key(row) for row in read_records(args.out)}
        named = {job: g for job, g in named.items() if key_of(method, job, g) not in done}
        # Two searches may end with the same network: it is trained once, and counts for both.
        todo = list(dict.fromkeys((genotype, job[2]) for job, genotype in named.items()))
        for one in train_jobs(space, todo, images, args.device, together=len(todo)):
            write_rows(method, named, one, sets, args.out)


def write_rows(
    method: Method, named: dict[Job, Genotype], trained: Trained, sets: dict, path: Path
) -> None:
    """Judges a trained network, and writes a row for every job that it is the network of."""
    genotype, seed, net, seconds = trained
    scale, sigma = method.space.scale, method.space.recipe.sigma
    psnr = {f"psnr_{k}": round(evaluate(net, held, scale, sigma), 4) for k, held in sets.items()}
    cost = int(method.cost_of(genotype))
    for job, of_job in named.items():
        if (of_job, job[2]) == (genotype, seed):
            row = dict(zip(KEY, key_of(method, job, genotype), strict=True)) | psnr
            row |= {"cost_unit": UNIT, "cost": cost, "seconds": round(seconds)}
            append_row(path, row, columns_of(tuple(sets)))
            print({name: v for name, v in row.items() if name != "genotype"}, flush=True)


def key_of(method: Method, job: Job, genotype: Genotype) -> tuple[str, ...]:
    """What tells the row of a job from others."""
    group, number, seed = job
    search_seed = str(number) if group == "searched" else ""
    return method.name, group, search_seed, str(seed), json.dumps(genotype.to_dict())


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[column] for column in KEY)


def report(rows: list[dict[str, str]]) -> Iterator[str]:
    """Lines of the comparison of each method: percentile, difference with interval, p."""
    for method in dict.fromkeys(row["method"] for row in rows):
        groups: dict[str, dict[str, list[float]]] = {}
        for row in rows:
            if row["method"] == method:
                judges = [name for name in row if name.startswith("psnr_")]
                psnr = np.mean([float(row[name]) for name in judges])
                group = groups.setdefault(row["group"], {})
                # Two searches may end with the same genotype: each counts.
                group.setdefault(row["search_seed"] + row["genotype"], []).append(float(psnr))
        of_method = [row for row in rows if row["method"] == method]
        costs = {
            name: np.mean([float(row["cost"]) for row in of_method if row["group"] == name])
            for name in groups
        }
        means = {name: [np.mean(v) for v in group.values()] for name, group in groups.items()}
        ours, random = means.get("searched", []), means.get("random", [])
        if len(ours) < 2 or len(random) < 2:
            yield f"{method}: {len(ours)} searched and {len(random)} random: too few to compare"
            continue
        percentiles = [100 * np.mean(np.array(random) < psnr) for psnr in ours]
        low, difference, high = _interval(ours, random)
        p = stats.mannwhitneyu(ours, random, alternative="greater").pvalue
        yield (
            f"{method}: {len(ours)} searched, {len(random)} random; median percentile "
            f"{np.median(percentiles):.0f}, difference {difference:+.3f} dB "
            f"[{low:+.3f}, {high:+.3f}], Mann-Whitney p {p:.3f}"
        )
        for name in ("uniform", "published"):
            if name in means:
                share = costs[name] / costs["searched"]
                advantage = np.mean(ours) - np.mean(means[name])
                yield f"  against {name}, at {share:.2f} of the cost: {advantage:+.3f} dB"


def _interval(ours: list[Any], others: list[Any]) -> tuple[float, float, float]:
    """Difference of the means with Welch's interval of 95 %."""
    parts = [np.var(group, ddof=1) / len(group) for group in (ours, others)]
    spread = np.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(group) - 1) for part, group in zip(parts, (ours, others), strict=True)
    )
    difference = float(np.mean(ours) - np.mean(others))
    half = float(stats.t.ppf(0.975, freedom) * spread)
    return difference - half, difference, difference + half


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("method", nargs="?", choices=SPACES)
    parser.add_argument("--data", type=Path, help="folder of train, valid and bench")
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th training from the i-th on")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--search", type=int, metavar="SEED", help="only search with this seed")
    parser.add_argument(
        "--rounds", nargs="+", type=round_of, default=ROUNDS, metavar="STRATEGY:STEPS:KEPT",
        help="of the search: how candidates are judged, after how many iterations, how many stay",
    )  # fmt: skip
    parser.add_argument("--iterations", type=int, default=2500, help="of a supernet")
    parser.add_argument("--lr", type=float, default=2e-3, help="of what is trained from scratch")
    parser.add_argument(
        "--unit-variance", action=argparse.BooleanOptionalAction, default=True,
        help="start of a supernet",
    )  # fmt: skip
    parser.add_argument("--finetune-lr", type=float, default=5e-4, help="from shared weights")
    parser.add_argument("--fresh", action="store_true", help="other seeds, networks and judge")
    parser.add_argument("--train-seeds", type=int, nargs="+", help="instead of those of the proof")
    parser.add_argument("--candidates", type=int, default=300, help="architectures to judge")
    parser.add_argument("--random", type=int, default=RANDOM, help="random architectures")
    parser.add_argument("--width", type=int, help="channels, where not those of the table")
    parser.add_argument(
        "--recipe", nargs="+", default=[], type=recipe_value, metavar="NAME=VALUE",
        help="of the trainings; with it and --width, give another --out",
    )  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("work_dirs/search_vs_random"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="only compare what is there")
    args = parser.parse_args()
    if args.report:
        print(*report(read_records(args.out)), sep="\n")
        return
    if not args.method or not args.data:
        parser.error("expected a method and --data, or --report")
    for strategy, *_ in args.rounds:
        if args.method not in (known := STRATEGIES[strategy]):
            parser.error(f"--rounds {strategy}: expected one of {', '.join(known)}")
    if (args.width or args.recipe or args.fresh) and args.out == RESULTS:
        parser.error("--width, --recipe, --fresh: the committed rows have one; give --out too")
    if args.width and args.method == "widths":
        parser.error("--width: the widths are what this method searches")
    seeds = FRESH if args.fresh else Seeds()
    args.seeds = replace(seeds, train=args.train_seeds) if args.train_seeds else seeds
    torch.set_num_threads(1)
    run(Method(args.method, width=args.width), args)


if __name__ == "__main__":
    main()
