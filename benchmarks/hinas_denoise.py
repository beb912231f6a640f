"""HiNAS on real data with a small budget: ``python benchmarks/hinas_denoise.py``.

Searches, derives, trains and tests a gray denoiser on BSD500 (``data/BSD500``, see docs/data.md),
and trains and tests a plain network (conv, batch normalisation, ReLU, with the same image residual;
the design of DnCNN) of at least as many parameters by the very same recipe. Both are trained for
noise of sigma 30 and 50 at once. The settings are those of the configs of HiNAS, reduced to what a
CPU does in a quarter of an hour; nothing here compares to published numbers.
"""

import argparse
import time
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsrnas.models import HiNASNet
from mmsrnas.registry import MODELS

CONFIGS = Path(__file__).parents[1] / "configs/hinas"
SIGMAS = (30, 50)


@MODELS.register_module()
class PlainNet(nn.Module):
    """A chain of 3x3 convolutions that predicts the noise.

    Args:
        channels: Channels of the features.
        num_layers: Number of convolutions between the first and the last one.
    """

    def __init__(self, channels: int = 64, num_layers: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(num_layers):
            layers += [
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Denoises ``(N, 1, H, W)``."""
        return x - self.body(x)


def shared_options(cfg: Config, iters: int, patch: int, batch: int) -> None:
    """The reduced budget, for search and training alike."""
    loaders = [cfg.train_dataloader, cfg.val_dataloader, *cfg.test_dataloader]
    for loader in loaders:
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.batch_size = batch
    cfg.train_dataloader.dataset.patch_size = patch
    cfg.val_dataloader.dataset.index_range = (294, 296)
    cfg.train_cfg.update(max_iters=iters, val_interval=iters)
    cfg.default_hooks.logger.interval = max(iters // 10, 1)
    cfg.log_processor.window_size = max(iters // 10, 1)
    cfg.default_hooks.checkpoint.update(interval=iters, save_best=None)
    cfg.randomness = dict(seed=0)
    cfg.log_level = "WARNING"


def search(work_dir: Path, iters: int) -> Path:
    """Searches with narrow cells on small patches; returns the genotype's file."""
    cfg = Config.fromfile(CONFIGS / "hinas_denoise_search_bsd500.py")
    cfg.model.generator.update(mid_channels=4)
    shared_options(cfg, iters, patch=32, batch=4)
    cfg.train_dataloader.dataset.sigma = list(SIGMAS)
    cfg.param_scheduler.iters_per_epoch = max(iters // 100, 1)
    arch = cfg.default_hooks.arch_optimizer
    arch.optimizer.lr = 1e-2
    arch.warmup_iters = iters // 5
    arch.dataloader = dict(
        cfg.train_dataloader,
        dataset=dict(cfg.train_dataloader.dataset, index_range=arch.dataloader.dataset.index_range),
    )
    cfg.default_hooks.early_stop.update(interval=iters, begin=iters)
    cfg.work_dir, cfg.experiment_name = str(work_dir), "search"
    Runner.from_cfg(cfg).train()
    return work_dir / "genotype.json"


def train_and_test(generator: dict, work_dir: Path, iters: int, images: int) -> dict[str, float]:
    """Trains a network, and tests it on the first test images at each sigma."""
    cfg = Config.fromfile(CONFIGS / "hinas_denoise_sigma50_bsd500.py")
    cfg.model.generator = generator
    shared_options(cfg, iters, patch=48, batch=8)
    cfg.train_dataloader.dataset.sigma = list(SIGMAS)
    cfg.optim_wrapper = dict(optimizer=dict(type="Adam", lr=2e-3))
    cfg.param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=iters, eta_min=1e-5)
    loader = cfg.test_dataloader[0]
    cfg.test_dataloader, cfg.test_evaluator = [], []
    for sigma in SIGMAS:
        test = deepcopy(loader)
        test.dataset.index_range = (0, images)
        test.dataset.sigma = sigma
        metrics = [
            dict(type=f"mmsrnas.{metric}", prefix=f"sigma{sigma}") for metric in ("PSNR", "SSIM")
        ]
        cfg.test_dataloader.append(test)
        cfg.test_evaluator.append(dict(type="Evaluator", metrics=metrics))
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.test()  # mmagic's loop returns nothing, but leaves the metrics here
    scalars = runner.message_hub.log_scalars
    return {k[5:]: scalars[k].current() for k in scalars if k.startswith("test/sigma")}


def main() -> None:
    """Runs all stages and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--search-iters", type=int, default=100)
    parser.add_argument("--train-iters", type=int, default=400)
    parser.add_argument("--images", type=int, default=20, help="test images")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/hinas_denoise"))
    args = parser.parse_args()
    torch.set_num_threads(1)

    start = time.process_time()
    genotype = search(args.work_dir / "search", args.search_iters)
    print(f"search: {time.process_time() - start:.0f} CPU seconds, {genotype}")
    print(genotype.read_text())
    hinas = dict(
        type="mmsrnas.HiNASNet",
        genotype=str(genotype),
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        mid_channels=8,
    )
    params = size(HiNASNet(**{k: v for k, v in hinas.items() if k != "type"}))
    layers = next(n for n in range(1, 50) if size(PlainNet(num_layers=n)) >= params)
    plain = dict(type="mmsrnas.PlainNet", num_layers=layers)
    print(f"{'network':8s} {'params':>9s} {'train, CPU s':>12s}  metrics")
    for name, generator in (("HiNAS", hinas), ("plain", plain)):
        start = time.process_time()
        metrics = train_and_test(generator, args.work_dir / name, args.train_iters, args.images)
        count = params if name == "HiNAS" else size(PlainNet(num_layers=layers))
        seconds = time.process_time() - start
        values = ", ".join(f"{key} {value:.3f}" for key, value in metrics.items())
        print(f"{name:8s} {count:9,d} {seconds:12.0f}  {values}", flush=True)


def size(net: nn.Module) -> int:
    """Number of parameters."""
    return sum(param.numel() for param in net.parameters())


if __name__ == "__main__":
    main()
