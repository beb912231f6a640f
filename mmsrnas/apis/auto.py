"""From photographs, a device and milliseconds to a network that can be shipped.

Every stage leaves a file; started again, what is there is kept, and a training goes on from its
last checkpoint.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch import nn

from mmsrnas.analysis.derivation import derive
from mmsrnas.analysis.plots import plot_crops, plot_curves, read_scalars
from mmsrnas.analysis.scaling import scale_to_budget
from mmsrnas.checkpoint import find_checkpoint, read_checkpoint
from mmsrnas.costs import Cost, count_params
from mmsrnas.datasets import imresize, read_image
from mmsrnas.evaluation import PSNR, SSIM
from mmsrnas.files import atomic_write
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.latency import NoisyMeasurementError, measure
from mmsrnas.registry import MODELS

from .config import read_config
from .export import ExportReport, export
from .inference import Restorer, load_network
from .planning import Plan

__all__ = ["Budget", "auto", "check_budget", "train_run"]

OURS, BASELINE = "searched", "EDSR"
INTERPOLATIONS = ("bicubic", "Lanczos")
MIN_WIDTH = 4

Row = dict[str, Any]


class Budget:
    """The most that a network may cost.

    Args:
        cost: Its kind, and the target of a latency.
        limit: In the unit of the cost.
    """

    def __init__(self, cost: Cost, limit: float) -> None:
        self.cost, self.limit = cost, limit

    def __str__(self) -> str:
        return f"{self.limit:,.4g} {self.cost.unit}"


def check_budget(plan: Plan, budget: Budget) -> None:
    """Refuses a budget that no network meets, before anything is trained.

    Raises:
        ValueError: It is out of reach; the least possible cost is named.
    """
    init_default_scope("mmagic")
    _scaled_baseline(plan, budget)
    supernet: Any = MODELS.build(Config.fromfile(plan.config("search")).model.generator)
    derive(supernet, budget.cost, budget.limit)


def auto(plan: Plan, budget: Budget) -> Path:
    """Searches, derives, trains, tests beside interpolation and a scaled EDSR, and exports.

    Args:
        plan: The photographs and configs.
        budget: The most that the network may cost.

    Returns:
        The report, ``report.md`` in the folder of the plan.

    Raises:
        ValueError: The budget is out of reach.
    """
    folder = plan.folder
    search = train_run(plan.config("search"), folder / "search")
    genotype = _derived(plan, budget, search)
    ours = {"model.generator.genotype": str(genotype)}
    networks = {OURS: train_run(plan.config("train"), folder / "train", ours)}
    width = _baseline_width(plan, budget)
    options = {"model.generator.mid_channels": width}
    networks[BASELINE] = train_run(plan.config("baseline"), folder / "baseline", options)
    rows = _compared(plan, budget, networks)
    shipped = _ship(plan, rows, networks[OURS])
    return _report(plan, budget, rows, shipped)


def train_run(config: Path, work_dir: Path, options: Mapping[str, Any] | None = None) -> Path:
    """Runs a training to its end, from where it stopped.

    Args:
        config: The config.
        work_dir: Folder of logs and checkpoints.
        options: Values by dotted key that replace those of the config.

    Returns:
        The last checkpoint.
    """
    cfg = read_config(config, options)
    done = work_dir / "done.json"
    made_of = {
        "config": cfg.pretty_text,
        "options": {k: str(v) for k, v in (options or {}).items()},
    }
    if done.is_file() and json.loads(done.read_text()) == made_of:
        return find_checkpoint(work_dir)
    cfg.work_dir = str(work_dir)
    cfg.resume = (work_dir / "last_checkpoint").is_file()
    Runner.from_cfg(cfg).train()
    with atomic_write(done) as path:
        path.write_text(json.dumps(made_of))
    return find_checkpoint(work_dir)


def _derived(plan: Plan, budget: Budget, search: Path) -> Path:
    """File of the genotype within the budget."""
    target = plan.folder / "genotype.json"
    wanted = {"budget": str(budget), "checkpoint": search.name}
    if target.is_file() and json.loads(target.read_text()).get("provenance") == wanted:
        return target
    checkpoint = read_checkpoint(search)
    supernet: Any = MODELS.build(Config.fromfile(plan.config("search")).model.generator)
    checkpoint.load_into(supernet)
    found = derive(supernet, budget.cost, budget.limit)
    found.genotype.save(target, wanted)
    draw_genotype(found.genotype, target.with_suffix(".png"))
    return target


def _scaled_baseline(plan: Plan, budget: Budget) -> int:
    """Width of the widest EDSR within the budget."""
    generator = Config.fromfile(plan.config("baseline")).model.generator

    def build(width: int) -> nn.Module:
        return MODELS.build(dict(generator, mid_channels=width))

    return scale_to_budget(build, budget.cost, budget.limit, 2, MIN_WIDTH, 128).width


def _baseline_width(plan: Plan, budget: Budget) -> int:
    """The width, kept with its budget: a latency that is predicted again may differ."""
    known = plan.folder / "baseline.json"
    if known.is_file() and (stored := json.loads(known.read_text()))["budget"] == str(budget):
        return stored["width"]
    width = _scaled_baseline(plan, budget)
    with atomic_write(known) as path:
        path.write_text(json.dumps({"budget": str(budget), "width": width}))
    return width


def _pairs(plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    """LR and HR images of the test."""
    root = plan.folder / "data/test"
    lr_folder = root / f"LR_bicubic/X{plan.scale}"
    return [
        (read_image(lr_folder / f"{path.stem}x{plan.scale}.png"), read_image(path))
        for path in sorted((root / "HR").glob("*.png"))
    ]


def _lanczos(image: np.ndarray, scale: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (width * scale, height * scale)
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _compared(plan: Plan, budget: Budget, networks: Mapping[str, Path]) -> list[Row]:
    """Quality and cost of interpolation and networks on the test photographs."""
    pairs = _pairs(plan)
    makers: dict[str, Any] = {
        "bicubic": lambda image: imresize(image, plan.scale),
        "Lanczos": lambda image: _lanczos(image, plan.scale),
    }
    loaded = {name: load_network(path, _config_of(path)) for name, path in networks.items()}
    makers |= {name: Restorer(net, device="cpu", precision="fp32") for name, net in loaded.items()}
    rows: list[Row] = []
    for name, make in makers.items():
        row: Row = {"model": name} | _quality(plan, make, pairs)
        if name in loaded:
            row["params"] = count_params(loaded[name])
            row["cost"] = budget.cost(loaded[name])
            if budget.cost.type == "latency":
                row |= _measured(loaded[name], budget)
        rows.append(row)
    with atomic_write(plan.folder / "table.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    images = [
        {"HR": hr} | {name: make(lr) for name, make in makers.items() if name != "Lanczos"}
        for lr, hr in pairs[:: max(1, len(pairs) // 3)][:3]
    ]
    plot_crops(images, plan.folder / "side_by_side.png")
    return rows


def _config_of(checkpoint: Path) -> Config:
    """The run's own config, which names the network with its options."""
    return read_checkpoint(checkpoint).config()


def _quality(plan: Plan, make: Any, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Row:
    row: Row = {}
    images = [(torch.from_numpy(hr), torch.from_numpy(make(lr))) for lr, hr in pairs]
    for name, metric_type in (("psnr", PSNR), ("ssim", SSIM)):
        metric: Any = metric_type(crop_border=plan.scale, convert_to="Y")
        metric.channel_order = "RGB"
        values = [
            metric.process_image(hr.permute(2, 0, 1), sr.permute(2, 0, 1), None)
            for hr, sr in images
        ]
        row[name] = float(np.mean(values))
    return row


def _measured(network: nn.Module, budget: Budget) -> Row:
    """Measured time; nothing where the machine is too busy to tell."""
    try:
        return {"measured_ms": measure(network, budget.cost.target).milliseconds}
    except NoisyMeasurementError as error:
        return {"note": str(error)}


def _ship(plan: Plan, rows: Sequence[Row], checkpoint: Path) -> list[ExportReport]:
    """Exports the network if it is better than interpolation; nothing is shipped otherwise."""
    by_name = {row["model"]: row for row in rows}
    folder = plan.folder / "shipped"
    if by_name[OURS]["psnr"] <= max(by_name[name]["psnr"] for name in INTERPOLATIONS):
        return []
    photos = plan.folder / "data/test/HR"
    return [
        export(checkpoint, folder / name, photos=photos, timed=True)
        for name in ("network.onnx", "network.pth")
    ]


def _report(
    plan: Plan, budget: Budget, rows: Sequence[Row], shipped: Sequence[ExportReport]
) -> Path:
    """Writes ``report.md`` with its pictures."""
    runs = {name: read_scalars(plan.folder / name) for name in ("search", "train", "baseline")}
    plot_curves(
        {f"{name}: loss": {"loss": run["loss"]} for name, run in runs.items() if "loss" in run},
        plan.folder / "curves.png",
    )
    by_name = {row["model"]: row for row in rows}
    ours, best = by_name[OURS], max(by_name[n]["psnr"] for n in INTERPOLATIONS)
    beside = by_name[BASELINE]
    verdict = (
        f"It has {ours['psnr'] - best:+.2f} dB against the better interpolation and "
        f"{ours['psnr'] - beside['psnr']:+.2f} dB against an EDSR of the same budget that was "
        "trained for the same time."
    )
    files = "\n".join(f"* {report}" for report in shipped)
    if not shipped:
        files = (
            "**Nothing is shipped: the network does not beat interpolation.** Give it more "
            "--hours, more photographs or a larger budget."
        )
    text = f"""# A network for these photographs, within {budget}

{verdict}

{_table(rows, budget)}

PSNR and SSIM on Y, {plan.scale} pixels at each border left out, on {plan.crops["test"]} crops of
photographs that neither search nor training saw.

{files}

![side by side](side_by_side.png)
![genotype](genotype.png)
![curves](curves.png)

## How it was made
```
{plan}
```
The configs are in `configs`; edited, `mmsrnas auto` runs again what they change.
"""
    with atomic_write(plan.folder / "report.md") as path:
        path.write_text(text)
    return plan.folder / "report.md"


def _table(rows: Sequence[Row], budget: Budget) -> str:
    latency = budget.cost.type == "latency"
    head = ["model", "PSNR-Y", "SSIM-Y", "params", budget.cost.unit]
    lines = [head + (["measured ms"] if latency else [])]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for row in rows:
        cells = [row["model"], f"{row['psnr']:.2f}", f"{row['ssim']:.4f}"]
        cells += [f"{row['params']:,}" if "params" in row else "-"]
        cells += [f"{row['cost']:,.4g}" if "cost" in row else "-"]
        if latency:
            cells += [f"{row['measured_ms']:.2f}" if "measured_ms" in row else "-"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
