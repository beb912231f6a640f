"""Trains or searches a model: ``python tools/train.py CONFIG``.

The options are those of mmagic's own tool; configs of mmagic run too.
"""

import argparse
import os
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.checkpoint import CheckpointError, find_checkpoint
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.hooks import CheckpointFitHook
from mmsrnas.registry import RUNNERS

BACKENDS = {
    "tensorboard": ("TensorboardVisBackend", "tensorboard"),
    "wandb": ("WandbVisBackend", "wandb"),
}
"""Backend of the visualizer, and its package, by the name on the command line."""


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Train or search a model")
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder of logs and checkpoints")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="latest",
        metavar="CHECKPOINT",
        help="continue from a checkpoint; without a value, from the latest one in the work dir; "
        "'auto' does so where there is one, and starts the run where there is none",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by batch size / auto_scale_lr.base_batch_size",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="override keys of the config, e.g. model.generator.mid_channels=18",
    )
    parser.add_argument("--log-to", choices=list(BACKENDS), help="draw curves there too")
    parser.add_argument("--pictures", action="store_true", help="write images at validations")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if not Path(args.config).is_file():
        parser.error(f"config file {args.config} does not exist")
    return args


def enable_amp(optim_wrapper: ConfigDict) -> None:
    """Switches every optimizer wrapper to mixed precision: float16 on a GPU, bfloat16 on a CPU."""
    if "optimizer" in optim_wrapper:
        wrappers = [optim_wrapper]
    else:  # one wrapper per sub-module, as for GANs
        wrappers = [value for value in optim_wrapper.values() if isinstance(value, dict)]
    for wrapper in wrappers:
        kind = wrapper.get("type", "OptimWrapper")
        if kind not in ("OptimWrapper", "AmpOptimWrapper"):
            raise SystemExit(f"--amp needs optim_wrapper.type='OptimWrapper', not {kind!r}")
        if torch.cuda.is_available():
            wrapper.type = "AmpOptimWrapper"
            wrapper.setdefault("loss_scale", "dynamic")
        else:
            wrapper.type = "mmsrnas.AutocastOptimWrapper"
            for key in ("loss_scale", "dtype", "use_fsdp"):
                wrapper.pop(key, None)


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switches mmengine's scaling of the learning rate on."""
    if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
        raise SystemExit(
            "--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: "
            "the batch size over all GPUs that its learning rate was chosen for"
        )
    cfg.auto_scale_lr.enable = True


def log_to(cfg: Config, name: str) -> None:
    """Sends scalars and pictures to another program too."""
    kind, package = BACKENDS[name]
    if find_spec(package) is None:
        raise SystemExit(f"--log-to {name}: it is not installed: pip install {package}")
    visualizer = cfg.setdefault("visualizer", ConfigDict(type="Visualizer"))
    known = visualizer.get("vis_backends") or [dict(type="LocalVisBackend")]
    visualizer.vis_backends = [*known, dict(type=kind)]


def write_pictures(cfg: Config) -> None:
    """Writes what is validated: truth, input and output beside each other."""
    if "img_keys" not in cfg.get("visualizer", {}):
        raise SystemExit(
            "--pictures: the config has no visualizer of images; take that of "
            "configs/_base_/default_runtime.py"
        )
    hook = dict(type="BasicVisualizationHook", interval=1, on_val=True, on_test=False)
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), hook]


def resume(cfg: Config, checkpoint: str) -> None:
    """Sets ``resume`` and ``load_from``.

    Args:
        cfg: Config of the run.
        checkpoint: File or URL; ``'latest'`` is the newest whole checkpoint of the work dir, which
            must be there; ``'auto'`` too, and changes nothing where there is none.
    """
    if checkpoint in ("latest", "auto"):
        try:
            checkpoint = str(find_checkpoint(cfg.work_dir))
        except FileNotFoundError as error:
            if checkpoint == "auto":
                return
            raise SystemExit(
                f"--resume: there is no earlier run in {cfg.work_dir} to continue ({error}) Check "
                "--work-dir, or start from the beginning: leave --resume out, or --resume auto"
            ) from None
    elif "://" not in checkpoint and not Path(checkpoint).is_file():
        raise SystemExit(f"--resume: checkpoint {checkpoint} does not exist")
    cfg.resume = True
    cfg.load_from = checkpoint


def main() -> None:
    """Builds the runner from config and options, and trains."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get("work_dir"):
        cfg.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    if args.amp:
        enable_amp(cfg.optim_wrapper)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.log_to:
        log_to(cfg, args.log_to)
    if args.pictures:
        write_pictures(cfg)
    if args.resume:
        resume(cfg, args.resume)

    check_datasets(cfg, "train", "val")
    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    CheckpointFitHook.ensure(runner)
    try:
        runner.train()
    except CheckpointError as error:
        raise SystemExit(str(error)) from None
    runner.logger.info(f"Logs and checkpoints are in {cfg.work_dir}")


if __name__ == "__main__":
    main()
