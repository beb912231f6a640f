"""Derives architectures from a search of HNAS: ``python tools/rank_policy.py WORK_DIR``.

Scores the most likely architecture of the policy, many of its samples, and as many random
architectures, all on the whole validation set.  Random search with the same number of evaluations
always stands beside the policy.  Writes the best of both as genotypes (``top1.json``,
``random1.json``), everything that was scored as a table, and the Pareto front over it as a picture.
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.analysis.policy_ranking import rank_policy, require_hnas
from mmsrnas.apis.config import ConfigOptions, override
from mmsrnas.checkpoint import Checkpoint, read_checkpoint
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.provenance import provenance
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
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    args = parser.parse_args()
    for name in ("num_samples", "top_k", "calibration_batches"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def load_search(args: argparse.Namespace, checkpoint: Checkpoint) -> tuple[Config, nn.Module]:
    """Config, and editor with all its weights."""
    cfg = Config.fromfile(args.config) if args.config else checkpoint.config()
    override(cfg, args.cfg_options)
    check_datasets(cfg, "train", "val")
    init_default_scope(cfg.get("default_scope", "mmagic"))
    editor = MODELS.build(cfg.model)
    require_hnas(editor)
    checkpoint.load_into(editor, "")
    return cfg, editor.to(args.device)


def main() -> None:
    """Scores, ranks and writes."""
    args = parse_args()
    try:
        checkpoint = read_checkpoint(args.checkpoint)
        cfg, editor = load_search(args, checkpoint)
        ranking = rank_policy(cfg, editor, args.num_samples, args.calibration_batches, args.seed)
    except (FileNotFoundError, TypeError, ValueError, FloatingPointError) as error:
        raise SystemExit(f"{args.checkpoint}: {error}") from None
    source, meta = Path(checkpoint.source), checkpoint.meta
    out = args.out or source.parent / "derived"
    config = args.config or meta.get("experiment_name")
    origin = provenance(config, meta.get("seed"), meta.get("iter"))
    ranking.write(out, origin | {"checkpoint": source.name}, args.top_k)
    print(ranking.summary())
    print(f"Written to {out}. To train the best architecture:")
    print(f"  mmsrnas train CONFIG --cfg-options model.generator.genotype={out}/top1.json")


if __name__ == "__main__":
    main()
