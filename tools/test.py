"""Evaluates a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``.

The options are those of mmagic's own tool; configs of mmagic run too.  Unlike there, a checkpoint
that does not fit the network is an error: numbers of a network with random weights help nobody.
"""

import argparse
import os
from pathlib import Path

import mmengine
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.apis.generator import GENOTYPE_OPTION, adopt_genotype
from mmsrnas.apis.inference.runtime_hook import RuntimeHook
from mmsrnas.apis.inference.runtimes import RUNTIMES
from mmsrnas.checkpoint import CheckpointError, read_checkpoint
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.hooks import CheckpointFitHook
from mmsrnas.registry import RUNNERS


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint")
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint, its address, or the work dir of a run")
    parser.add_argument("--out", help="file for the metrics (.json, .yml or .pkl)")
    parser.add_argument("--work-dir", help="folder of logs")
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="of the network on a CPU; default: the fastest installed, as for `infer`",
    )
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
    if "://" not in args.checkpoint and not Path(args.checkpoint).exists():
        parser.error(f"checkpoint {args.checkpoint} does not exist")
    if args.out and Path(args.out).suffix not in (".json", ".yml", ".yaml", ".pkl", ".pickle"):
        parser.error(f"--out {args.out} must end in .json, .yml or .pkl")
    return args


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
    cfg.resume = False
    check_datasets(cfg, "test")

    try:
        checkpoint = read_checkpoint(args.checkpoint)
        adopt_genotype(cfg, checkpoint, override=GENOTYPE_OPTION in (args.cfg_options or {}))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    cfg.load_from = checkpoint.source
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    CheckpointFitHook.ensure(runner)
    if args.runtime != "torch":
        runner.register_hook(RuntimeHook(args.runtime), "LOWEST")
    if args.out:
        runner.register_hook(SaveMetricsHook(args.out), "LOWEST")
    try:
        runner.test()
    except (CheckpointError, ModuleNotFoundError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
