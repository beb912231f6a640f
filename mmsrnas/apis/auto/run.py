"""A plan, done: every stage leaves a file, and what is there is kept."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.analysis.tables import Row
from mmsrnas.apis.export import ExportReport, export
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import load_genotype
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.latency.runtimes.torch_runtime import torch_threads

from .budget import Budget
from .comparison import classical_best, compared, psnr_of
from .planning import Plan
from .report import CONTROL, SEARCHED, Result, write_report
from .search import inherited_of
from .training import chosen_by_trial, train_run

__all__ = ["auto"]


def auto(plan: Plan, budget: Budget) -> Path:
    """Searches, derives, trains, tests beside classical methods and hand-made networks, exports.

    Interrupted, the same call goes on: a training from its last checkpoint, everything else from
    the last file that is there.

    Args:
        plan: The photographs and configs.
        budget: The most that the network may cost.

    Returns:
        The report, ``report.md`` in the folder of the plan.

    Raises:
        BudgetError: No network was measured to be within the budget.
    """
    init_default_scope("mmagic")
    with torch_threads(plan.threads):
        return _auto(plan, budget)


def _auto(plan: Plan, budget: Budget) -> Path:
    search = train_run(plan.config("search"), plan.folder / "search")
    derived = _derived(plan, budget, search)
    inputs = [p for p in (plan.genotype, inherited_of(plan.genotype)) if p.is_file()]
    trials = {SEARCHED: chosen_by_trial(plan, plan.method.TRAININGS, inputs)}
    own, handmade = next(iter(trials[SEARCHED])), plan.handmade
    networks = {SEARCHED: train_run(plan.config(own), plan.folder / own, inputs)}
    if plan.made_of["control"]:
        networks[CONTROL] = _train_control(plan, own)
    else:
        trials["hand-made"] = chosen_by_trial(plan, handmade, ())
        handmade = list(trials["hand-made"])[:1]
    for name in handmade:
        networks[plan.label(name)] = train_run(plan.config(name), plan.folder / name)
    rows = compared(plan, budget, networks)
    shipped = _ship(plan, rows, networks[SEARCHED])
    result = Result(derived, trials, ("search", own, *handmade), rows, shipped)
    return write_report(plan, budget, result)


def _derived(plan: Plan, budget: Budget, search: Path) -> str:
    """Writes the genotype within the budget, unless it is there; says what it is."""
    known = plan.folder / "derived.json"
    made_of = {"budget": str(budget), "checkpoint": search.name}
    if known.is_file() and (stored := json.loads(known.read_text()))["made_of"] == made_of:
        return stored["text"]
    config = Config.fromfile(plan.config("search"))
    text = plan.method.derive_network(plan, config, search, budget)
    draw_genotype(load_genotype(plan.genotype), plan.genotype.with_suffix(".png"))
    with atomic_write(known) as path:
        path.write_text(json.dumps({"made_of": made_of, "text": text}))
    return text


def _train_control(plan: Plan, own: str) -> Path:
    """Trains the random network as the one that was found."""
    weights = inherited_of(plan.control)
    options = {"model.generator.genotype": str(plan.control.resolve())}
    if Config.fromfile(plan.config(own)).get("load_from"):
        options["load_from"] = str(weights.resolve())
    return train_run(plan.config(own), plan.folder / CONTROL, (plan.control, weights), options)


def _ship(plan: Plan, rows: Sequence[Row], checkpoint: Path) -> list[ExportReport]:
    """Exports the network if it is better than what needs none; nothing is shipped otherwise."""
    by_name: Mapping[str, Row] = {row["model"]: row for row in rows}
    if psnr_of(by_name[SEARCHED]) <= classical_best(rows):
        return []
    photos = plan.folder / "data/test/HR"
    sigma = plan.made_of["sigma"] or 25.0
    return [
        export(checkpoint, plan.folder / "shipped" / name, photos=photos, sigma=sigma, timed=True)
        for name in ("network.onnx", "network.pth")
    ]
