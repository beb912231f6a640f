"""What the pages on HNAS say about its configs, and what the searches start from."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator
from mmsrnas.genotypes import load_genotype
from mmsrnas.models import HNASNet
from mmsrnas.models.hnas.cost import multi_adds

ROOT = Path(__file__).parents[1]
META = yaml.safe_load((ROOT / "configs/hnas/metafile.yml").read_text())
SEARCHES = sorted((ROOT / "configs/hnas").glob("hnas_search_*.py"))


def test_metafile_names_every_network_and_the_page_every_config():
    named = {model["Config"] for model in META["Models"]}
    configs = {str(p.relative_to(ROOT)) for p in (ROOT / "configs/hnas").glob("*.py")}
    assert named == configs - {str(path.relative_to(ROOT)) for path in SEARCHES}
    readme = (ROOT / "configs/hnas/README.md").read_text()
    assert all(f"({Path(config).name})" in readme for config in configs)


@pytest.mark.parametrize("model", META["Models"], ids=lambda m: m["Name"])
def test_costs_of_metafile_and_page(model):
    """They are mmengine's count, which the formula of the search equals."""
    cfg = Config.fromfile(ROOT / model["Config"])
    scale = cfg.model.generator.upscale_factor
    height, width = lr_size_of((720, 1280), scale)
    network = init_generator(cfg)
    counts = count_complexity(network, (3, height, width))
    assert model["Metadata"] == {"Parameters": counts.params, "FLOPs": counts.multi_adds}
    assert (
        multi_adds(network.genotype, network.channels, scale, (height, width)) == counts.multi_adds
    )
    readme = (ROOT / "configs/hnas/README.md").read_text()
    (row,) = [line for line in readme.splitlines() if f"[{model['Name']}]" in line]
    assert f"| {counts.params:,} | {counts.multi_adds / 1e9:.2f} G |" in row


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
    lambdas = {name: cfg.performance_weight for name, cfg in found.items()}
    assert lambdas == {"lambda02": 0.2, "lambda06": 0.6, "lambda09": 0.9, "reduced": 0.6}


def test_genotype_of_a_search_by_cfg_options(tmp_path):
    load_genotype("HNAS_B").save(tmp_path / "top1.json", {"reward": 1.0})
    cfg = Config.fromfile(ROOT / "configs/hnas/hnas_a_x2_div2k.py")
    options = {"genotype": str(tmp_path / "top1.json"), "channels": 4}
    cfg.merge_from_dict({f"model.generator.{key}": value for key, value in options.items()})
    assert init_generator(cfg).genotype == HNASNet("HNAS_B", channels=4).genotype
