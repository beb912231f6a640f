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


@pytest.mark.parametrize("method", ["drn", "drc"])
def test_metafile_names_every_config(method):
    named = {model["Config"] for owner, model in MODELS if owner == method}
    assert named == {str(p.relative_to(ROOT)) for p in (ROOT / f"configs/{method}").glob("*.py")}


@pytest.mark.parametrize(
    ("method", "model"),
    [entry for entry in MODELS if "Metadata" in entry[1]],
    ids=lambda value: value["Name"] if isinstance(value, dict) else value,
)
def test_costs_of_metafile_and_readme(method, model):
    cfg = Config.fromfile(ROOT / model["Config"])
    height, width = lr_size_of((720, 1280), cfg.model.generator.upscale_factor)
    counts = count_complexity(init_generator(cfg), (3, height, width))
    assert model["Metadata"] == {"Parameters": counts.params, "FLOPs": counts.multi_adds}
    readme = (ROOT / f"configs/{method}/README.md").read_text()
    (row,) = [line for line in readme.splitlines() if f"| [{model['Name']}]" in line]
    assert f"| {counts.params:,} |" in row
    assert f"| {counts.multi_adds / 1e9:.2f} G |" in row
