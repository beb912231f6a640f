"""What the pages on HNAS say about its configs, and what the searches start from."""

from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator
from mmsrnas.genotypes import (
    HNAS_NORMAL_OPS,
    HNAS_PAPER_NORMAL_OPS,
    HNAS_UPSAMPLING_OPS,
    load_genotype,
)
from mmsrnas.models.hnas.cost import multi_adds
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.registry import MODELS

ROOT = Path(__file__).parents[1]
META = yaml.safe_load((ROOT / "configs/hnas/metafile.yml").read_text())
SEARCHES = sorted((ROOT / "configs/hnas").glob("hnas_search_[!p]*.py"))
"""By a policy; those by paths have none."""


@pytest.mark.parametrize(
    "model", [m for m in META["Models"] if "Parameters" in m["Metadata"]], ids=lambda m: m["Name"]
)
def test_costs_of_metafile(model):
    """They are mmengine's count, which the formula of the search equals."""
    cfg = Config.fromfile(ROOT / model["Config"])
    scale = cfg.model.generator.upscale_factor
    height, width = lr_size_of((720, 1280), scale)
    network = init_generator(cfg)
    counts = count_complexity(network, (3, height, width))
    stated = model["Metadata"]
    assert stated["Scale"] == scale
    assert (stated["Parameters"], stated["FLOPs"]) == (counts.params, counts.multi_adds)
    assert multi_adds(network.genotype) == counts.multi_adds


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.stem)
def test_weights_and_policy_of_a_search_see_different_images(path):
    cfg = Config.fromfile(path)
    weights, policy = (
        loader.dataset for loader in (cfg.train_dataloader, cfg.train_cfg.policy_dataloader)
    )
    if weights.data_root == policy.data_root:
        assert (weights.index_range, policy.index_range) == ((0, 320), (320, None))
    assert cfg.val_dataloader.dataset.data_root not in ("data/Set5", "data/Set14")


def test_lambdas_of_the_searches():
    found = {path.stem.split("_")[2]: Config.fromfile(path).train_cfg for path in SEARCHES}
    stated = {m["Name"]: m["Metadata"].get("Lambda") for m in META["Models"]}
    lambdas = {name: cfg.reward.performance_weight for name, cfg in found.items()}
    assert lambdas == {
        "lambda02": 0.2,
        "lambda06": 0.6,
        "lambda09": 0.9,
        "official": 0.2,
        "reduced": 0.6,
    }
    assert all(stated[path.stem] == lambdas[path.stem.split("_")[2]] for path in SEARCHES)


def test_searches_of_the_paper_have_its_space_without_duplicates():
    first, *others = (
        Config.fromfile(ROOT / f"configs/hnas/hnas_search_{name}_x2_div2k.py")
        for name in ("lambda02", "lambda06", "lambda09")
    )
    assert all(other.model == first.model for other in others)
    space = search_space(first)
    assert space.normal_ops == HNAS_PAPER_NORMAL_OPS
    assert set(space.upsampling_ops) == set(HNAS_UPSAMPLING_OPS) - {"area"}
    assert space.inner_upsampling_ops == ("deconvolution", "nearest")
    assert (space.num_cells, space.num_nodes, space.mid_channels) == (12, 4, 8)


def test_official_search_is_the_released_recipe():
    """README, option.py and controller_trainer.py of the released code."""
    cfg = Config.fromfile(ROOT / "configs/hnas/hnas_search_official_x2_div2k.py")
    space = search_space(cfg)
    assert space.size() == HNASSpace().size()
    assert (space.normal_ops, space.upsampling_ops) == (HNAS_NORMAL_OPS, HNAS_UPSAMPLING_OPS)
    assert (space.num_cells, space.mid_channels, space.global_skip) == (12, 8, False)
    generator, loop, epoch = cfg.model.generator, cfg.train_cfg, 200 + 300
    assert (generator.variant, generator.aligned) == ("official", False)
    assert (generator.policy.temperature, generator.policy.tanh_constant) == (None, None)
    assert (loop.weight_iters, loop.policy_iters, loop.warmup_iters) == (200, 300, 0)
    assert (loop.max_iters, loop.num_samples) == (400 * epoch, 1)
    assert (loop.entropy_weight, loop.baseline_momentum) == ((1.0, 1.0), 0.95)
    assert loop.reset_baseline and loop.baseline_has_reward
    assert loop.reward.performance_weight == 0.2
    assert (cfg.train_dataloader.batch_size, loop.policy_dataloader.batch_size) == (16, 16)
    weights, policy = cfg.optim_wrapper.weights, cfg.optim_wrapper.policy
    assert weights.clip_grad is policy.clip_grad is None
    assert (weights.optimizer.lr, policy.optimizer.lr) == (1e-3, 3e-4)
    assert (policy.optimizer.betas, policy.optimizer.weight_decay) == ((0.5, 0.999), 5e-4)
    (cosine,), (step,) = cfg.param_scheduler.weights, cfg.param_scheduler.policy
    assert (cosine.T_max, cosine.eta_min) == (400 * epoch, 1e-5)
    assert (step.type, step.milestones, step.gamma) == ("MultiStepLR", [100 * epoch], 0.5)


def search_space(cfg):
    """The search space of a config, without the weights of its supernet."""
    with torch.device("meta"):
        generator = cfg.model.generator.to_dict() | {"aligned": False}
        return MODELS.build(generator).space


def test_genotype_alone_makes_the_network_of_the_printed_command(tmp_path):
    """Width and skip come from the file, whatever the config trains by default."""
    genotype = load_genotype("HNAS_B").replace(mid_channels=4, global_skip=True)
    genotype.save(tmp_path / "top1.json", {"reward": 1.0})
    cfg = Config.fromfile(ROOT / "configs/hnas/hnas_a_x2_div2k.py")
    cfg.merge_from_dict({"model.generator.genotype": str(tmp_path / "top1.json")})
    network = init_generator(cfg)
    assert network.genotype == genotype
    assert (network.mid_channels, network.global_skip) == (4, True)
