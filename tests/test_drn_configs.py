"""What the pages on DRN and DRC say about their configs."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.apis import init_generator

ROOT = Path(__file__).parents[1]
MODELS = [
    (method, model)
    for method in ("drn", "drc")
    for model in yaml.safe_load((ROOT / f"configs/{method}/metafile.yml").read_text())["Models"]
]


@pytest.mark.parametrize(
    ("method", "model"),
    [entry for entry in MODELS if "Parameters" in entry[1]["Metadata"]],
    ids=lambda value: value["Name"] if isinstance(value, dict) else value,
)
def test_costs_of_metafile(method, model):
    cfg = Config.fromfile(ROOT / model["Config"])
    height, width = lr_size_of((720, 1280), cfg.model.generator.upscale_factor)
    counts = count_complexity(init_generator(cfg), (3, height, width))
    stated = model["Metadata"]
    assert stated["Scale"] == cfg.model.generator.upscale_factor
    assert (stated["Parameters"], stated["FLOPs"]) == (counts.params, counts.multi_adds)


def test_official_selection_reads_the_released_data():
    loader = Config.fromfile(ROOT / "configs/drc/drc_prune_official_x4_div2k.py").train_dataloader
    assert loader.batch_size == 16
    assert loader.dataset.index_range == (0, 160)
    assert loader.dataset.patch_size == 192
    assert all("gt_patch_size" not in transform for transform in loader.dataset.pipeline)
