"""What the pages on HiNAS say about its configs, and the two sides of its search."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator
from mmsrnas.registry import HOOKS

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs/hinas"
META = yaml.safe_load((CONFIGS / "metafile.yml").read_text())


@pytest.mark.parametrize(
    "model", [m for m in META["Models"] if "Parameters" in m["Metadata"]], ids=lambda m: m["Name"]
)
def test_costs_of_metafile(model):
    cfg = Config.fromfile(ROOT / model["Config"])
    generator = cfg.model.generator
    height, width = lr_size_of((720, 1280), generator.upscale_factor)
    counts = count_complexity(init_generator(cfg), (generator.in_channels, height, width))
    stated = model["Metadata"]
    assert stated["Scale"] == generator.upscale_factor
    assert (stated["Parameters"], stated["FLOPs"]) == (counts.params, counts.multi_adds)


@pytest.mark.parametrize("sigma", [30, 50, 70])
def test_sigma_is_the_same_in_training_and_test(sigma):
    cfg = Config.fromfile(CONFIGS / f"hinas_denoise_sigma{sigma}_bsd500.py")
    loaders = (cfg.train_dataloader, cfg.val_dataloader, *cfg.test_dataloader)
    noises = [
        next(t for t in loader.dataset.pipeline if t["type"] == "mmsrnas.AddGaussianNoise")
        for loader in loaders
    ]
    assert [loader.dataset.sigma for loader in loaders] == [sigma] * 3
    assert all("sigma" not in noise for noise in noises)
    assert [noise.get("seed") for noise in noises] == [None, 0, 0]


@pytest.mark.parametrize(
    ("name", "epoch", "params"),
    [
        ("hinas_denoise_search_bsd500", 25, 1_475_669),
        ("hinas_denoise_search_official_bsd500", 25, 1_475_669),
        ("hinas_search_x4_div2k", 16, 429_147),
        ("hinas_search_official_x4_div2k", 16, 429_147),
    ],
)
def test_search_follows_the_paper(name, epoch, params):
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    arch = cfg.default_hooks.arch_optimizer
    assert cfg.train_cfg.max_iters == 100 * epoch
    assert cfg.param_scheduler.iters_per_epoch == epoch
    assert (arch.warmup_iters, arch.mode) == (20 * epoch, "bilevel")
    assert arch.dataloader.dataset.pipeline == cfg.train_dataloader.dataset.pipeline
    assert arch.dataloader.batch_size == cfg.train_dataloader.batch_size
    assert sum(p.numel() for p in init_generator(cfg).parameters()) == params


@pytest.mark.parametrize(
    ("name", "epoch", "data", "images"),
    [
        ("hinas_denoise_search_official_bsd500", 25, "BSD500", (294, None)),
        ("hinas_search_official_x4_div2k", 16, "DIV2K", (760, None)),
    ],
)
def test_official_search_is_the_released_recipe(name, epoch, data, images):
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    hooks = cfg.default_hooks
    adam = dict(type="Adam", lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-3)
    assert hooks.arch_optimizer.optimizer == adam
    assert hooks.arch_optimizer.entropy_weight == 0
    sgd = dict(type="SGD", lr=0.025, momentum=0.9, weight_decay=3e-4)
    assert cfg.optim_wrapper.optimizer == sgd
    # The best supernet of the epochs 61 to 100 by SSIM + PSNR / 100, on images that train nothing.
    assert hooks.genotype.best == {f"{data}/SSIM": 1.0, f"{data}/PSNR": 0.01}
    assert (hooks.genotype.best_from, cfg.train_cfg.val_interval) == (61 * epoch, epoch)
    assert {f"{m.prefix}/{m.type[8:]}" for m in cfg.val_evaluator.metrics} == {*hooks.genotype.best}
    HOOKS.build(hooks.genotype)
    assert cfg.val_dataloader.dataset.index_range == images
    training = cfg.train_dataloader.dataset
    assert cfg.val_dataloader.dataset.data_prefix == training.data_prefix
    assert hooks.arch_optimizer.dataloader.dataset.index_range[1] == images[0]
    assert hooks.early_stop.begin == cfg.train_cfg.max_iters
    net = init_generator(cfg)
    assert net.genotype().variant == "official"
    assert all((param == 1).all() for _, param in net.arch_parameters())
