"""What the pages on HiNAS say about its configs, and the two sides of its search."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs/hinas"
META = yaml.safe_load((CONFIGS / "metafile.yml").read_text())


def test_metafile_names_every_config():
    named = {model["Config"] for model in META["Models"]}
    assert named == {str(p.relative_to(ROOT)) for p in CONFIGS.glob("*.py")}


@pytest.mark.parametrize(
    "model", [m for m in META["Models"] if "Metadata" in m], ids=lambda m: m["Name"]
)
def test_costs_of_metafile_and_readme(model):
    cfg = Config.fromfile(ROOT / model["Config"])
    generator = cfg.model.generator
    height, width = lr_size_of((720, 1280), generator.upscale_factor)
    counts = count_complexity(init_generator(cfg), (generator.in_channels, height, width))
    assert model["Metadata"] == {"Parameters": counts.params, "FLOPs": counts.multi_adds}
    readme = (CONFIGS / "README.md").read_text()
    (row,) = [line for line in readme.splitlines() if f"[{model['Name']}]" in line]
    assert f"| {counts.params:,} | {counts.multi_adds / 1e9:.2f} G |" in row


@pytest.mark.parametrize("sigma", [30, 50, 70])
def test_sigma_is_the_same_in_training_and_test(sigma):
    cfg = Config.fromfile(CONFIGS / f"hinas_denoise_sigma{sigma}_bsd500.py")
    noises = [
        next(t for t in loader.dataset.pipeline if t["type"] == "mmsrnas.AddGaussianNoise")
        for loader in (cfg.train_dataloader, cfg.val_dataloader, *cfg.test_dataloader)
    ]
    assert [noise["sigma"] for noise in noises] == [sigma] * 3
    assert [noise.get("seed") for noise in noises] == [None, 0, 0]


@pytest.mark.parametrize(
    ("name", "epoch", "params"),
    [("hinas_denoise_search_bsd500", 25, 1_475_669), ("hinas_search_x4_div2k", 16, 429_147)],
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
