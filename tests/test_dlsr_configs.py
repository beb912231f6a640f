"""What the pages on DLSR say about its configs."""

from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import Runner

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator
from mmsrnas.models.dlsr import DLSRNet

ROOT = Path(__file__).parents[1]
META = yaml.safe_load((ROOT / "configs/dlsr/metafile.yml").read_text())


@pytest.mark.parametrize(
    "model", [m for m in META["Models"] if "Parameters" in m["Metadata"]], ids=lambda m: m["Name"]
)
def test_costs_of_metafile(model):
    cfg = Config.fromfile(ROOT / model["Config"])
    height, width = lr_size_of((720, 1280), cfg.model.generator.upscale_factor)
    counts = count_complexity(init_generator(cfg), (3, height, width))
    stated = model["Metadata"]
    assert stated["Scale"] == cfg.model.generator.upscale_factor
    assert (stated["Parameters"], stated["FLOPs"]) == (counts.params, counts.multi_adds)


@pytest.mark.parametrize("scale", [3, 4])
def test_fine_tuning_starts_from_the_trunk_at_scale_2(tmp_path, scale):
    trunk = DLSRNet().state_dict()
    state = {f"generator.{key}": value for key, value in trunk.items()}
    torch.save({"state_dict": state}, tmp_path / "x2.pth")
    cfg = Config.fromfile(ROOT / f"configs/dlsr/dlsr_x{scale}_div2k.py")
    cfg.merge_from_dict({"load_from": str(tmp_path / "x2.pth"), "work_dir": str(tmp_path / "run")})
    cfg.experiment_name = f"fine_tune_x{scale}"
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    for key, value in runner.model.generator.state_dict().items():
        if key.startswith("upsample."):
            assert value.shape[0] == 3 * scale**2
        else:
            assert torch.equal(value.cpu(), trunk[key]), key


def test_genotype_of_a_search_by_cfg_options(tmp_path):
    DLSRNet("DLSR_PARA").genotype.save(tmp_path / "genotype.json")
    cfg = Config.fromfile(ROOT / "configs/dlsr/dlsr_x2_div2k.py")
    cfg.merge_from_dict({"model.generator.genotype": str(tmp_path / "genotype.json")})
    assert init_generator(cfg).genotype == DLSRNet("DLSR_PARA").genotype


@pytest.mark.parametrize("data", ["div2k", "df2k"])
def test_search_has_the_settings_of_the_released_code(data):
    cfg = Config.fromfile(ROOT / f"configs/dlsr/dlsr_search_x2_{data}.py")
    hook = cfg.default_hooks.arch_optimizer
    assert cfg.train_dataloader.batch_size == hook.dataloader.batch_size == 64
    assert cfg.train_dataloader.dataset.patch_size == 64
    scaled = dict(eps=1e-8 / 255, weight_decay=1e-8 / 255)  # the loss is on [0, 1], not 0..255
    assert hook.optimizer == dict(type="Adam", lr=3e-4, betas=(0.5, 0.999), **scaled)
    weights = dict(type="Adam", lr=5e-4, betas=(0.9, 0.999), **scaled)
    assert cfg.optim_wrapper.optimizer == weights
    assert hook.warmup_iters == 21 * 985
    official = Config.fromfile(ROOT / "configs/dlsr/dlsr_search_official_x2_df2k.py")
    assert official.default_hooks.arch_optimizer.entropy_weight == 0 < hook.entropy_weight
    assert hook.complexity_loss.loss_weight == pytest.approx(1 / 255)
