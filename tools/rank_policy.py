"""Derives architectures from a search of HNAS: ``python tools/rank_policy.py WORK_DIR``.

Scores the most likely architecture of the policy, many of its samples, and as many random
architectures, all on the whole validation set.  Random search with the same number of evaluations
always stands beside the policy.  Writes the best of both as genotypes (``top1.json``,
``random1.json``), everything that was scored as a table, and the Pareto front over it as a picture.
"""

import argparse
import csv
import itertools
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, Runner
from torch import nn

from mmsrnas.apis.policy_ranking import (
    Candidate,
    draw_candidates,
    pareto_front,
    plot_front,
    score_candidates,
)
from mmsrnas.apis.search_checkpoint import find_checkpoint, search_config
from mmsrnas.compat import explain_refused_checkpoint
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.runner import Reward
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.models import HNASSupernet
from mmsrnas.models.hnas.cost import HNASCost, multi_adds, num_parameters
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Score and rank architectures of a policy")
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or work dir of a search")
    parser.add_argument("--config", help="search config, where the checkpoint does not hold it")
    parser.add_argument("--out", type=Path, help="default: folder 'derived' beside the checkpoint")
    parser.add_argument("--num-samples", type=int, default=50, help="samples of the policy")
    parser.add_argument("--top-k", type=int, default=3, help="genotypes to write")
    parser.add_argument("--calibration-batches", type=int, default=4, help="training batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    args = parser.parse_args()
    try:
        args.checkpoint = find_checkpoint(args.checkpoint)
    except FileNotFoundError as error:
        parser.error(str(error))
    for name in ("num_samples", "top_k", "calibration_batches"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def build_editor(cfg: Config, checkpoint: dict, source: Path) -> nn.Module:
    """The editor of a search with the parameters of a checkpoint, all of them."""
    init_default_scope(cfg.get("default_scope", "mmagic"))
    editor = MODELS.build(cfg.model)
    if not isinstance(editor.generator, HNASSupernet):
        raise SystemExit(
            f"{source}: model.generator is {type(editor.generator).__name__}, not HNASSupernet; "
            "tools/derive.py reads the genotype of other searches."
        )
    try:
        editor.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise SystemExit(f"{source} does not fit the search config. {error}") from None
    return editor


def load_batches(dataloader: dict, count: int | None, seed: int) -> list[dict]:
    """The first ``count`` batches of a dataloader config, or all."""
    batches = Runner.build_dataloader(dataloader, seed=seed)
    return list(itertools.islice(batches, count))


def main() -> None:
    """Scores, ranks and writes."""
    args = parse_args()
    with explain_refused_checkpoint(args.checkpoint):
        checkpoint = CheckpointLoader.load_checkpoint(str(args.checkpoint), map_location="cpu")
    meta = checkpoint.get("meta", {})
    try:
        cfg = search_config(args.config, meta, args.checkpoint)
    except LookupError as error:
        raise SystemExit(str(error)) from None
    cfg.merge_from_dict(args.cfg_options or {})
    check_datasets(cfg, "train", "val")
    editor = build_editor(cfg, checkpoint, args.checkpoint).to(args.device)
    supernet, loop = editor.generator, cfg.train_cfg
    cost = HNASCost(supernet.space, upscale_factor=supernet.upscale_factor, **loop.get("cost", {}))
    reward = Reward(
        loop.get("performance_weight", 0.6), cost, supernet.controller.compat, supernet.channels
    )
    candidates = draw_candidates(supernet, args.num_samples, args.seed)
    bicubic = score_candidates(
        candidates,
        editor,
        load_batches(cfg.val_dataloader, None, args.seed),
        load_batches(cfg.train_dataloader, args.calibration_batches, args.seed),
        reward,
    )
    out = args.out or args.checkpoint.parent / "derived"
    out.mkdir(parents=True, exist_ok=True)
    write_table(candidates, supernet, cost, out / "architectures.csv")
    plot_front(candidates, cost.metric, out / "pareto.png")
    source = args.config or meta.get("experiment_name")
    origin = provenance(source, meta.get("seed"), meta.get("iter"))
    write_best(candidates, origin | {"checkpoint": args.checkpoint.name}, args.top_k, out)
    report(candidates, bicubic, cost)
    print(f"Written to {out}. To train the best architecture:")
    print(f"  python tools/train.py CONFIG --cfg-options model.generator.genotype={out}/top1.json")


def write_table(
    candidates: list[Candidate], supernet: HNASSupernet, cost: HNASCost, path: Path
) -> None:
    """One row per architecture, best reward first."""
    front = pareto_front(candidates)
    # The other costs have their columns already.
    measured = [cost.metric] if cost.metric == "latency" else []
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["group", "reward", "psnr", *measured, "multi_adds", "params", "on_front", "tokens"]
        )
        for c in sorted(candidates, key=lambda c: -c.reward):
            size = cost.channels, cost.upscale_factor
            tokens = " ".join(map(str, supernet.space.encode(c.genotype)))
            adds = multi_adds(c.genotype, *size, cost.lr_size)
            params = num_parameters(c.genotype, *size)
            costs = [*([c.cost] if measured else []), adds, params]
            writer.writerow([c.group, c.reward, c.psnr, *costs, c in front, tokens])


def write_best(candidates: list[Candidate], origin: dict, count: int, out: Path) -> None:
    """The best of the policy, and the best random ones, as genotypes with their drawings."""
    for name, random in (("top", False), ("random", True)):
        found = [c for c in candidates if (c.group == "random") == random]
        for rank, c in enumerate(sorted(found, key=lambda c: -c.reward)[:count], start=1):
            scores = {"reward": c.reward, "psnr": c.psnr, "cost": c.cost, "group": c.group}
            c.genotype.save(out / f"{name}{rank}.json", origin | scores)
            draw_genotype(c.genotype, out / f"{name}{rank}.png")


def report(candidates: list[Candidate], bicubic: float, cost: HNASCost) -> None:
    """Prints the policy beside random search with the same number of evaluations."""
    print(f"PSNR on RGB with shared weights; bicubic interpolation has {bicubic:.2f} dB.")
    print(f"Cost is {cost.metric} over the mean of random architectures.")
    print(f"{'':14} evaluations best reward mean reward    PSNR   cost")
    groups = {"policy": ("argmax", "sample"), "argmax alone": ("argmax",), "random": ("random",)}
    for name, members in groups.items():
        rows = [c for c in candidates if c.group in members]
        rewards = [c.reward for c in rows]
        psnr, costs = (sum(getattr(c, k) for c in rows) / len(rows) for k in ("psnr", "cost"))
        print(
            f"{name:14} {len(rows):11} {max(rewards):11.3f} {sum(rewards) / len(rows):11.3f} "
            f"{psnr:7.2f} {costs / cost.mean:6.3f}"
        )


if __name__ == "__main__":
    main()
