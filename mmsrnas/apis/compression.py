"""From a trained network and a budget to a smaller one: cut, tuned, tested, reported.

Every stage leaves a file; started again, what is there is kept, and a training goes on from its
last checkpoint.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

import mmsrnas
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.costs import BudgetError, Cost, count_params
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.provenance import provenance
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import DRCGenotype
from mmsrnas.latency import NoisyMeasurementError, measure
from mmsrnas.pruning import (
    IMPORTANCES,
    ChannelGroup,
    GroupCost,
    Verified,
    choose_widths,
    damage_curves,
    full_genotype,
    largest_error,
    remove_channels,
    score_channels,
    verified_groups,
    width_options,
)
from mmsrnas.pruning.fingerprint import fingerprint
from mmsrnas.pruning.importance import strongest
from mmsrnas.pruning.verification import TOLERANCE

from .auto import Budget
from .auto.training import train_run
from .pruning import (
    PRUNED_NET,
    draw_batches,
    load_editor,
    part_of,
    save_pruned,
    training_loss,
    training_model,
)

__all__ = ["Settings", "compress"]

EDITORS = {
    "BaseEditModel": "mmsrnas.DistillationEditor",
    "DistillationEditor": "mmsrnas.DistillationEditor",
    "DualRegressionEditor": "mmsrnas.DualRegressionEditor",
}
"""Editors that a pruned network can be tuned in, and those that do it beside a teacher."""
MAX_FEATURES = 6
TUNED_SHARE = 5
"""Tuning takes the training's number of iterations divided by this, where nothing is said."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How a network is made smaller.

    Attributes:
        importance: What channels are worth, see :func:`~mmsrnas.pruning.score_channels`;
            ``'loss'`` measures in addition what is lost at each width.
        divisor: Step of the widths, a number that suits the hardware.
        num_batches: Batches of the training data by which channels are judged.
        rounds: Number of times that a part is cut and the rest tuned.
        iterations: Iterations of tuning over all rounds; 0 for none, None for a fifth of the
            training's.
        distillation: Weight of the distance from the full network's images; 0 for none.
        seed: Seed of batches and trainings.
        device: Where to judge the channels.
    """

    importance: str = "loss"
    divisor: int = 8
    num_batches: int = 8
    rounds: int = 1
    iterations: int | None = None
    distillation: float = 1.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.importance not in IMPORTANCES:
            raise ValueError(f"importance: expected one of {IMPORTANCES}, got {self.importance!r}.")
        least = {"divisor": 1, "num_batches": 1, "rounds": 1, "distillation": 0, "iterations": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name}: expected at least {bound}, got {value}.")
        if self.rounds > 1 and self.iterations == 0:
            raise ValueError("rounds: several need iterations to tune in between.")


def compress(
    cfg: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    budget: Budget,
    settings: Settings | None = None,
) -> Path:
    """Makes a trained network smaller, within a budget.

    Finds and tries the channel groups, chooses the widths that lose least within the budget, cuts,
    tunes beside the full network, tests both, and writes ``report.md``. Interrupted, the same call
    goes on.

    Args:
        cfg: Config of the training of the full network.
        checkpoint: Its checkpoint.
        work_dir: Folder of everything.
        budget: The most that the pruned network may cost.
        settings: How; the defaults if None.

    Returns:
        The report. ``pruned.pth`` beside it is the network.

    Raises:
        BudgetError: The budget is out of reach; the least possible is named.
        ValueError: Nothing can be pruned, the checkpoint is of another network, the editor cannot
            tune, or ``work_dir`` is of another job.
        FileNotFoundError: The checkpoint or data are missing.
    """
    settings = settings or Settings()
    init_default_scope(cfg.get("default_scope", "mmagic"))
    iterations = _iterations(cfg, settings)
    if iterations:
        _check_editor(cfg.model.type)
    if iterations or settings.importance in ("loss", "taylor"):
        check_datasets(cfg, "train")
    job = _Job(cfg, Path(checkpoint), Path(work_dir), budget, settings)
    source = job.full
    for number in range(1, settings.rounds + 1):
        limit = job.limit(number)
        source = job.cut(source, number, limit)
        if iterations:
            source = job.tune(source, number, iterations // settings.rounds)
    job.keep(source)
    return job.report(source)


def _iterations(cfg: Config, settings: Settings) -> int:
    if settings.iterations is not None:
        if 0 < settings.iterations < settings.rounds:
            raise ValueError(
                f"iterations: expected at least one for each of {settings.rounds} rounds, got "
                f"{settings.iterations}."
            )
        return settings.iterations
    total = cfg.get("train_cfg", {}).get("max_iters")
    if not isinstance(total, int):
        raise ValueError(
            "iterations: the config has no 'train_cfg.max_iters' to take a share of; say "
            "--iterations."
        )
    return max(settings.rounds, total // TUNED_SHARE)


def _check_editor(name: str) -> None:
    if name.rpartition(".")[2] not in EDITORS:
        raise ValueError(
            f"model.type: {name} trains with more than its generator. Prune the generator in a "
            f"config with type='BaseEditModel', or say --iterations 0 and tune "
            f"generator=dict(type='{PRUNED_NET}') in your own config."
        )


@dataclass(frozen=True)
class _Source:
    """A network on its way: what the editor is built from, and its weights."""

    model: Mapping[str, Any]
    checkpoint: Path
    part: str = "generator"


class _Job:
    """One compression in its folder."""

    def __init__(
        self, cfg: Config, checkpoint: Path, folder: Path, budget: Budget, settings: Settings
    ) -> None:
        self.cfg, self.folder, self.budget, self.settings = cfg.copy(), folder, budget, settings
        # Whatever is interrupted begins again with the same numbers.
        self.cfg.randomness = dict(cfg.get("randomness") or {}, seed=settings.seed)
        self.full = _Source(training_model(cfg), checkpoint, part_of(cfg))
        self.net = _folded(_editor(self.full))
        self.verified = _require_groups(self.net)
        cost = GroupCost(self.net, self.verified.groups, budget.cost)
        self.full_cost = cost.exact(cost.full_widths)
        options = width_options(self.verified.groups, settings.divisor)
        least = cost.exact([widths[0] for widths in options])
        if least > budget.limit:  # before anything is read or written
            smallest = "the network with the smallest widths"
            raise BudgetError(budget.limit, least, cost.unit, smallest)
        self._claim(
            {
                "the model of the config": fingerprint(self.full.model),
                "weights of the network": fingerprint(self.net),
                "budget": str(budget),
                "settings": repr(settings),
                "version of mmsrnas": mmsrnas.__version__,
            }
        )

    def _claim(self, made_of: Mapping[str, str]) -> None:
        """Refuses a folder with the stages of another job."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self.folder / "job.json"
        if known.is_file():
            before = json.loads(known.read_text())
            if different := [name for name in made_of if before.get(name) != made_of[name]]:
                raise ValueError(
                    f"'{self.folder}' belongs to another job: {', '.join(different)} differ. Go on "
                    "with the same options, or choose another --work-dir."
                )
            return
        with atomic_write(known) as path:
            path.write_text(json.dumps(made_of, indent=1))

    def limit(self, number: int) -> float:
        """The budget of a round: every round takes the same factor off."""
        share = min(1.0, self.budget.limit / self.full_cost)
        if number == self.settings.rounds:
            return self.budget.limit
        return self.full_cost * share ** (number / self.settings.rounds)

    def cut(self, source: _Source, number: int, limit: float) -> _Source:
        """Removes channels until a limit is kept."""
        file = self.folder / f"round_{number}" / "pruned.pth"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._cut(source, limit, file)
        genotype = read_checkpoint(file).genotype
        assert genotype is not None
        generator = {"type": PRUNED_NET, "genotype": genotype.to_dict()}
        return _Source(dict(self.full.model, generator=generator), file)

    def _cut(self, source: _Source, limit: float, file: Path) -> None:
        settings = self.settings
        editor = _editor(source).to(settings.device)
        net = _folded(editor)
        groups = _same_groups(net, self.verified.groups)
        genotype = full_genotype(net, _arguments(source.model), sites=False)
        needs_data = settings.importance in ("loss", "taylor")
        batches = (
            draw_batches(self.cfg, editor, settings.num_batches, settings.seed)
            if needs_data
            else []
        )

        def objective(batch: Mapping[str, Any]) -> torch.Tensor:
            return training_loss(editor, batch)

        options = width_options(groups, settings.divisor)
        scores = score_channels(net, groups, settings.importance, batches, objective, settings.seed)
        measured = batches if settings.importance == "loss" else []
        curves = damage_curves(net, groups, scores, options, measured, objective)
        cost = GroupCost(net.cpu(), groups, self.budget.cost)
        widths = choose_widths(cost, options, curves, limit)
        kept = [strongest(score, width) for score, width in zip(scores, widths, strict=True)]
        error = largest_error(net, groups, kept)
        if error > TOLERANCE:
            raise ValueError(
                f"the cut network differs from the full one without the channels by {error:.1e}: "
                "nothing is written."
            )
        remove_channels(net, groups, kept)
        named = dict(zip((group.name for group in groups), widths, strict=True))
        genotype = genotype.replace(
            widths=tuple(
                named.get(name, width)
                for name, width in zip(genotype.groups, genotype.widths, strict=True)
            )
        )
        net.genotype = genotype  # pyright: ignore[reportArgumentType]
        origin = provenance(self.cfg.filename, settings.seed, None)
        genotype.save(file.with_name("genotype.json"), origin | {"budget": f"{limit:g}"})
        save_pruned(editor, dict(self.full.model), genotype, file)

    def tune(self, source: _Source, number: int, iterations: int) -> _Source:
        """Trains a cut network beside the full one."""
        folder = self.folder / f"round_{number}"
        file = folder / "tune.py"
        if not file.is_file():
            with atomic_write(file) as path:
                path.write_text(self._tuning(source, iterations).pretty_text)
        return _Source(source.model, train_run(file, folder / "tune", [source.checkpoint]))

    def _tuning(self, source: _Source, iterations: int) -> Config:
        cfg = copy.deepcopy(self.cfg)
        model = dict(source.model)
        if self.settings.distillation:
            model["type"] = EDITORS[cfg.model.type.rpartition(".")[2]]
            model["distillation"] = dict(
                type="mmsrnas.DistillationLoss",
                teacher=self.full.model["generator"],
                checkpoint=str(self.full.checkpoint.resolve()),
                loss_weight=self.settings.distillation,
                features=_features(self.verified.groups),
            )
        cfg.model = model
        cfg.load_from = str(source.checkpoint.resolve())
        cfg.train_cfg.max_iters = iterations
        interval = max(1, iterations // 4)
        if "val_interval" in cfg.train_cfg:
            cfg.train_cfg.val_interval = min(cfg.train_cfg.val_interval, iterations)
        cfg.param_scheduler = dict(
            type="CosineAnnealingLR", by_epoch=False, T_max=iterations, eta_min=0.0
        )
        hooks = cfg.get("default_hooks") or {}
        checkpoint = {"type": "mmsrnas.CheckpointHook"} | dict(hooks.get("checkpoint") or {})
        checkpoint |= {"interval": interval, "by_epoch": False, "save_best": None}
        cfg.default_hooks = dict(hooks, checkpoint=checkpoint)
        return cfg

    def keep(self, source: _Source) -> None:
        """Puts the result beside the report, with the config by which it runs alone."""
        editor = _editor(source)
        genotype: DRCGenotype = editor.generator.genotype
        genotype.save(self.folder / "genotype.json", {"checkpoint": source.checkpoint.name})
        save_pruned(editor, dict(self.full.model), genotype, self.folder / "pruned.pth")

    def report(self, source: _Source) -> Path:
        """Tests the full and the pruned network, and writes what was lost and gained."""
        pruned = _editor(source).generator.eval()
        rows = [
            _row("full", self.net, self.budget) | self._tested("full", self.full),
            _row("pruned", pruned, self.budget) | self._tested("pruned", source),
        ]
        with atomic_write(self.folder / "report.json") as path:
            path.write_text(json.dumps(rows, indent=1))
        with atomic_write(self.folder / "report.md") as path:
            path.write_text(_text(rows, pruned, self))
        return self.folder / "report.md"

    def _tested(self, name: str, source: _Source) -> Row:
        """Metrics of the config's test sets, or of its validation."""
        known = self.folder / f"{name}.json"
        if known.is_file():
            return json.loads(known.read_text())
        cfg = copy.deepcopy(self.cfg)
        kind = "test" if cfg.get("test_dataloader") else "val"
        if not cfg.get(f"{kind}_dataloader"):
            return {}
        check_datasets(cfg, kind)
        for part in ("dataloader", "evaluator", "cfg"):
            cfg[f"test_{part}"] = cfg.get(f"{kind}_{part}")
        cfg.test_cfg = cfg.test_cfg or dict(type="MultiTestLoop")
        if cfg.test_cfg.get("type") == "MultiValLoop":
            cfg.test_cfg = dict(type="MultiTestLoop")
        cfg.model = dict(source.model)
        cfg.load_from, cfg.resume = str(source.checkpoint), False
        cfg.work_dir = str(self.folder / f"test_{name}")
        cfg.experiment_name = f"{self.folder.name}_{name}"  # two of one second would share a log
        runner = Runner.from_cfg(cfg)
        found = _Metrics()
        runner.register_hook(found, "LOWEST")
        runner.test()
        with atomic_write(known) as path:
            path.write_text(json.dumps(found.metrics))
        return found.metrics


class _Metrics(Hook):
    """Keeps the metrics of a test."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Notes the metrics."""
        self.metrics = {key: float(value) for key, value in (metrics or {}).items()}


def _folded(editor: Any) -> nn.Module:
    """The network of an editor, in the form that it runs in."""
    if hasattr(editor.generator, "fold"):
        editor.generator = editor.generator.fold()
    return editor.generator


def _arguments(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The generator's config, of the form that it runs in."""
    return {key: v for key, v in model["generator"].items() if key != "reparameterized"}


def _editor(source: _Source) -> Any:
    return load_editor(copy.deepcopy(dict(source.model)), source.part, str(source.checkpoint))


def _require_groups(net: nn.Module) -> Verified:
    found = verified_groups(net)
    if not found.groups:
        reasons = "\n  ".join(found.left_alone[:6]) or "it has no channels but those of the image."
        raise ValueError(f"{type(net).__name__} has no channels that can be pruned:\n  {reasons}")
    return found


def _same_groups(net: nn.Module, wanted: Sequence[ChannelGroup]) -> list[ChannelGroup]:
    names = {group.name for group in wanted}
    return [group for group in verified_groups(net).groups if group.name in names]


def _features(groups: Sequence[ChannelGroup]) -> list[str]:
    """Some modules that read pruned channels, spread over the network."""
    readers = [next(part.module for part in group.slices if part.consumes) for group in groups]
    readers = list(dict.fromkeys(readers))
    step = -(-len(readers) // MAX_FEATURES)
    return readers[step - 1 :: step]


def _row(name: str, net: nn.Module, budget: Budget) -> Row:
    row: Row = {"network": name, "params": count_params(net)}
    row["Multi-Adds"] = Cost("multi_adds")(net)
    if budget.cost.type == "latency":
        row[f"predicted {budget.cost.unit}"] = budget.cost(net)
        try:
            row["measured ms"] = measure(net, budget.cost.target).milliseconds
        except NoisyMeasurementError as error:
            row["note"] = str(error)
    return row


def _text(rows: Sequence[Row], pruned: Any, job: _Job) -> str:
    full, small = rows
    lines = ["| | full | pruned | change |", "|---|---:|---:|---:|"]
    for key, value in full.items():
        if isinstance(value, int | float) and key in small:
            costs = key in ("params", "Multi-Adds") or "ms" in key
            change = f"{small[key] / value - 1:+.1%}" if costs else f"{small[key] - value:+.4f}"
            lines.append(f"| {key} | {value:,.6g} | {small[key]:,.6g} | {change} |")
    table = "\n".join(lines)
    genotype: DRCGenotype = pruned.genotype
    places = zip(genotype.groups, genotype.full_widths, genotype.widths, strict=True)
    widths = "\n".join(f"| {name} | {full} | {width} |" for name, full, width in places)
    left = "\n".join(f"* {text}" for text in job.verified.left_alone) or "* nothing"
    return f"""# {type(pruned).__name__} within {job.budget}

{table}

`pruned.pth` runs alone: `mmsrnas infer pruned.pth IN OUT`, `mmsrnas export pruned.pth OUT.onnx`.

## Channels

| group | full | pruned |
|---|---:|---:|
{widths}

Left alone:

{left}

## How it was made

{job.settings}
"""
