"""Trainings that go on from where they stopped, and trials that choose among them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

from mmsrnas.analysis.front_selection import held_out_images, inherited_psnr
from mmsrnas.apis.config import read_config
from mmsrnas.apis.inference import load_network
from mmsrnas.checkpoint import find_checkpoint, read_checkpoint
from mmsrnas.files import atomic_write
from mmsrnas.registry import MODELS

from .configs import schedule
from .planning import MIN_ITERS, Plan

__all__ = ["chosen_by_trial", "train_run"]

TRIAL_SHARE = 0.1
"""Length of a trial, as a share of the training that it stands for."""
CROP = 192


def train_run(
    config: Path,
    work_dir: Path,
    inputs: Sequence[Path] = (),
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Runs a training to its end, from where it stopped.

    Args:
        config: The config.
        work_dir: Folder of logs and checkpoints.
        inputs: Files that the config names, whose content counts.
        options: Values by dotted key that replace those of the config.

    Returns:
        The last checkpoint.
    """
    cfg = read_config(config, options)
    done = work_dir / "done.json"
    files = {path.name: zlib.crc32(path.read_bytes()) for path in inputs}
    made_of = {"config": cfg.pretty_text, "inputs": files}
    if done.is_file() and json.loads(done.read_text()) == made_of:
        return find_checkpoint(work_dir)
    cfg.work_dir = str(work_dir)
    # Runs of one name and second share mmengine's log: a trial and its training must not.
    cfg.experiment_name = f"{work_dir.parent.name}_{work_dir.name}"
    cfg.resume = (work_dir / "last_checkpoint").is_file()
    if cfg.resume:
        cfg.load_from = None  # mmengine would resume from that
    Runner.from_cfg(cfg).train()
    with atomic_write(done) as path:
        path.write_text(json.dumps(made_of))
    return find_checkpoint(work_dir)


def chosen_by_trial(plan: Plan, names: Sequence[str], inputs: Sequence[Path]) -> dict[str, float]:
    """Trains each for a tenth of its time, and judges it on the photographs of the architecture.

    Args:
        plan: The plan.
        names: Trainings to choose from; one alone needs no trial.
        inputs: Files that their configs name.

    Returns:
        PSNR in dB by name, the best first.
    """
    if len(names) == 1:
        return {names[0]: float("nan")}
    found = {}
    for name in names:
        iters = max(MIN_ITERS, int(TRIAL_SHARE * plan.iters[name]))
        short = schedule(iters)
        options = {f"train_cfg.{k}": v for k, v in short["train_cfg"].items() if k != "type"}
        for index, step in enumerate(short["param_scheduler"]):
            changed = {k: v for k, v in step.items() if k in ("begin", "end")}
            options |= {f"param_scheduler.{index}.{k}": v for k, v in changed.items()}
        checkpoint = train_run(plan.config(name), plan.folder / "trials" / name, inputs, options)
        found[name] = _psnr(checkpoint)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _psnr(checkpoint: Path) -> float:
    """PSNR of a trained network on the images that validate."""
    cfg = read_checkpoint(checkpoint).config()
    images = held_out_images(MODELS.build(cfg.model), cfg.val_dataloader, CROP)
    return inherited_psnr(load_network(checkpoint, cfg), images)
