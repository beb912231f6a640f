"""Budgets of every method: what is derived, what it costs, and what a table and a step take.

    python benchmarks/budgets.py --target onnxruntime:cpu:1:48x80

Every search has decided at random. Rows go to ``results/budgets.csv``: for each method a budget in
each cost, the cost of what was derived, and for latency the measurement after at most two
calibrations of the table on networks that were derived before. ``--steps`` times the architecture
step with both costs instead, ``--tables`` the making of a table for each space.
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from mmsrnas.analysis.derivation import derive, derive_measured
from mmsrnas.costs import Cost
from mmsrnas.latency import OperatorTable, Target, parse_target
from mmsrnas.models import DLSRSupernet, HiNASSupernet, HNASSupernet
from mmsrnas.pruning import ChannelNumberSearch
from mmsrnas.registry import MODELS

RESULTS = Path(__file__).parent / "results/budgets.csv"
COLUMNS = ("method", "cost", "unit", "budget", "predicted", "measured", "used", "genotype")
DRN = dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=4, mid_channels=12)
SUPERNETS: dict[str, Callable[..., nn.Module]] = {
    "DLSR": lambda **kwargs: DLSRSupernet(2, 24, 4, **kwargs),
    "HiNAS": lambda **kwargs: HiNASSupernet("sr", 2, num_cells=2, mid_channels=8, **kwargs),
    "HNAS": lambda **kwargs: HNASSupernet(2, num_cells=4, num_nodes=3, mid_channels=8, **kwargs),
    "DRC": lambda **kwargs: ChannelNumberSearch(DRN, **{"budget_share": 0.9} | kwargs),
}
BUDGETS = {"latency": 1.5, "multi_adds": 2.3, "params": 0.95}
"""Share of what the favourite of the search costs."""


def searched(name: str) -> nn.Module:
    """A supernet that has decided at random."""
    torch.manual_seed(0)
    supernet = SUPERNETS[name]()
    for _, param in supernet.arch_parameters():
        nn.init.normal_(param)
    return supernet


def row(name: str, kind: str, target: Target, table: Path, max_spread: float) -> dict:
    """A network within a budget that is a round number."""
    supernet = searched(name)
    cost = Cost(kind, **(dict(target=target, table=table) if kind == "latency" else {}))
    share = 0.85 if name == "DRC" else BUDGETS[kind]
    budget = float(f"{share * cost(supernet.build_network(supernet.genotype())):.2g}")
    measured = None
    if kind == "latency":
        found, measurement = derive_measured(supernet, cost, budget, max_spread=max_spread)
        measured = round(measurement.milliseconds, 3)
    else:
        found = derive(supernet, cost, budget)
    genotype = found.genotype.to_dict()
    keys = ("mid_channels", "num_cells", "widths", "ops", "path", "upsampling_position")
    return {
        "method": name,
        "cost": kind,
        "unit": cost.unit,
        "budget": budget,
        "predicted": round(found.cost, 3),
        "measured": measured,
        "used": round(found.cost / budget, 4),
        "genotype": " ".join(f"{k}={genotype[k]}" for k in keys if k in genotype),
    }


def run_budgets(
    methods: list[str], kinds: list[str], target: Target, max_spread: float, out: Path
) -> None:
    """Derives for every method and cost; every row is on disk when it is known."""
    with tempfile.TemporaryDirectory() as folder:
        for name in methods:
            for kind in kinds:
                table = Path(folder) / f"{name}.json"
                OperatorTable(target).save(table)
                start = time.process_time()
                found = row(name, kind, target, table, max_spread)
                print(f"{found} in {time.process_time() - start:.0f} CPU s", flush=True)
                save(found, out)


def save(found: dict, path: Path) -> None:
    """Replaces the row of a method and a cost."""
    rows = list(csv.DictReader(path.open(newline=""))) if path.is_file() else []
    key = found["method"], found["cost"]
    rows = [r for r in rows if (r["method"], r["cost"]) != key] + [found]
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def run_tables(methods: list[str], target: Target) -> None:
    """CPU seconds of the table of each method's search space, from nothing."""
    for name in methods:
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "table.json"
            OperatorTable(target).save(table)
            start = time.process_time()
            cost = dict(type="latency", target=str(target), table=str(table))
            SUPERNETS[name](cost=cost, **({"budget_share": 1.0} if name == "DRC" else {}))
            seconds = time.process_time() - start
            count = len(OperatorTable.load(table, target).times)
            print(f"{name} on {target}: {count} operators in {seconds:.0f} CPU s", flush=True)


def run_steps(methods: list[str], target: Target, rounds: int = 40) -> None:
    """CPU time of an architecture step with each cost, in turn, and the relative difference."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.json"
        for name in methods:
            OperatorTable(target).save(table)
            latency = dict(type="latency", target=str(target), table=str(table))
            steps = {
                kind: step_of(SUPERNETS[name](cost=cost))
                for kind, cost in (("multi_adds", "multi_adds"), ("latency", latency))
            }
            times: dict[str, list[float]] = {kind: [] for kind in steps}
            for _ in range(rounds):
                for kind, step in steps.items():
                    start = time.process_time()
                    step()
                    times[kind].append(time.process_time() - start)
            ratios = [b / a for a, b in zip(times["multi_adds"], times["latency"], strict=True)]
            milliseconds = 1e3 * statistics.median(times["multi_adds"])
            print(
                f"{name}: {milliseconds:.1f} ms with Multi-Adds; with latency "
                f"{statistics.median(ratios) - 1:+.1%}",
                flush=True,
            )


def step_of(supernet: nn.Module) -> Callable[[], None]:
    """What an architecture step computes: a batch and the cost, backwards; or the rewards."""
    image = torch.rand(2, 3, 24, 24)

    def gradient_step() -> None:
        loss = supernet(image).square().mean()
        (loss + supernet.expected_cost() / supernet.reference_cost).backward()

    generator = torch.Generator().manual_seed(0)
    rows = supernet.space.random(4, generator) if hasattr(supernet, "space") else ()

    @torch.no_grad()
    def reward_step() -> None:
        genotypes = [supernet.space.decode(tokens) for tokens in rows]
        for genotype in genotypes:
            supernet(image, genotype)
            supernet.cost(genotype)

    return reward_step if hasattr(supernet, "space") else gradient_step


def main() -> None:
    """Runs one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", type=parse_target, default="onnxruntime:cpu:1:48x80")
    parser.add_argument("--methods", nargs="+", choices=SUPERNETS, default=list(SUPERNETS))
    parser.add_argument("--costs", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--tables", action="store_true", help="time the making of tables")
    parser.add_argument("--steps", action="store_true", help="time architecture steps")
    parser.add_argument("--max-spread", type=float, default=0.1, help="largest spread to trust")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file")
    args = parser.parse_args()
    MODELS.import_from_location()
    if args.tables:
        run_tables(args.methods, args.target)
    elif args.steps:
        run_steps(args.methods, args.target)
    else:
        run_budgets(args.methods, args.costs, args.target, args.max_spread, args.out)


if __name__ == "__main__":
    main()
