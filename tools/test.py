"""Evaluates a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``.

The options are those of mmagic's own tool; configs of mmagic run too.  Unlike there, a checkpoint
that does not fit the network is an error: numbers of a network with random weights help nobody.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import mmengine
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader, Runner

from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.compat import explain_refused_checkpoint
from mmsrnas.datasets import check_datasets
from mmsrnas.registry import RUNNERS


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint")
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file or address")
    parser.add_argument("--out", help="file for the metrics (.json, .yml or .pkl)")
    parser.add_argument("--work-dir", help="folder of logs")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="override keys of the config, e.g. model.generator.genotype=genotype.json",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if not Path(args.config).is_file():
        parser.error(f"config file {args.config} does not exist")
    if "://" not in args.checkpoint and not Path(args.checkpoint).is_file():
        parser.error(f"checkpoint {args.checkpoint} does not exist")
    if args.out and Path(args.out).suffix not in (".json", ".yml", ".yaml", ".pkl", ".pickle"):
        parser.error(f"--out {args.out} must end in .json, .yml or .pkl")
    return args


def differences(
    expected: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> list[str]:
    """Lists what a checkpoint lacks, has too much, or has in another shape."""
    lines = [f"missing: {key}" for key in expected if key not in given]
    lines += [f"not in the network: {key}" for key in given if key not in expected]
    lines += [
        f"shape of {key}: {tuple(given[key].shape)}, the network has {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in given and given[key].shape != tensor.shape
    ]
    return lines


def check_fits(model: torch.nn.Module, checkpoint: dict, source: str) -> None:
    """Refuses a checkpoint whose network is not the one of the config.

    Only the network is compared (``generator`` where the model has one): a converted checkpoint
    has no weights of losses, and a test needs none.

    Raises:
        SystemExit: With the first differences.
    """
    model = model.module if is_model_wrapper(model) else model
    prefix = "generator." if hasattr(model, "generator") else ""
    weights = checkpoint.get("state_dict", checkpoint)
    given = {key.removeprefix("module."): value for key, value in weights.items()}
    lines = differences(
        *({k: v for k, v in d.items() if k.startswith(prefix)} for d in (model.state_dict(), given))
    )
    if lines:
        rest = f"\n  ... and {len(lines) - 8} more" if len(lines) > 8 else ""
        raise SystemExit(
            f"{source} does not fit the network of the config:\n  "
            + "\n  ".join(lines[:8])
            + rest
            + "\nIs it of another architecture or scale? "
            "A searched network needs its own genotype:\n"
            "  --cfg-options model.generator.genotype=work_dirs/SEARCH/genotype.json"
        )


class SaveMetricsHook(Hook):
    """Writes the metrics to a file; mmagic's test loop does not return them."""

    def __init__(self, out: str) -> None:
        self.out = out

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Writes the metrics of all test sets."""
        mmengine.dump({key: float(value) for key, value in (metrics or {}).items()}, self.out)


def main() -> None:
    """Builds the runner from config and options, checks the checkpoint, and tests."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get("work_dir"):
        cfg.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    check_datasets(cfg, "test")

    with explain_refused_checkpoint(args.checkpoint):
        checkpoint = CheckpointLoader.load_checkpoint(args.checkpoint, map_location="cpu")
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    check_fits(runner.model, checkpoint, args.checkpoint)
    del checkpoint

    if args.out:
        runner.register_hook(SaveMetricsHook(args.out), "LOWEST")
    runner.test()


if __name__ == "__main__":
    main()
